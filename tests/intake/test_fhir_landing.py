"""Every real FHIR file lands with nothing lost on the way, and lands only once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import func, select
from world import publisher

from carnet.documents.tables import Document
from carnet.errors import ValidationFailed
from carnet.intake.actions import take_in
from carnet.intake.model import Reason
from carnet.intake.receipt import ItemOutcome, Outcome
from carnet.people.tables import Person
from carnet.records.tables import Immunization, ImmunizationSource, ProfileEntry
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

FOLDERS = ("synthea-r4", "ips", "us-core", "fhir-r4-spec", "fr-fhir-dmp", "fr-fhir-eprescription")


async def counts(database: Database) -> list[int]:
    async with database.read() as work:
        return [
            await work.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Person, Document, ProfileEntry, Immunization, ImmunizationSource)
        ]


async def test_all_samples_land_once(database: Database, blobs: BlobStore, samples: Path) -> None:
    sender = await publisher(database)
    files = [path for folder in FOLDERS for path in sorted((samples / folder).glob("*.json"))]

    async def send_all() -> list[ItemOutcome]:
        seen: list[ItemOutcome] = []
        for file in files:
            media_type = "application/fhir+json"
            receipt = await take_in(sender, database, blobs, file.read_bytes(), media_type)
            seen += receipt.items
        return seen

    first = await send_all()
    refused = Counter(item.reason for item in first if item.outcome is Outcome.REFUSED)
    # Patients that no file names, and one prescription whose medication is nowhere.
    assert set(refused) == {Reason.NO_PATIENT, Reason.UNKNOWN_PATIENT, Reason.NOT_SUPPORTED}
    assert refused[Reason.NOT_SUPPORTED] == 1
    after = await counts(database)
    assert all(count > 0 for count in after)
    again = await send_all()
    assert {item.outcome for item in again} == {
        Outcome.DUPLICATE,
        Outcome.REFUSED,
        Outcome.NOT_INTERPRETED,
    }
    assert await counts(database) == after


async def test_health_cards_of_one_person_add_up(
    database: Database, blobs: BlobStore, samples: Path
) -> None:
    """Their entries are named ``resource:1``, ``resource:2`` in every card."""
    sender = await publisher(database)
    cards = 0
    for file in sorted((samples / "smart-health-cards").glob("*.json")):
        body = file.read_bytes().replace(
            b'"resourceType": "Patient",',
            b'"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}],',
        )
        try:
            receipt = await take_in(sender, database, blobs, body, "application/fhir+json")
        except ValidationFailed:  # keys and signed payloads beside the bundles
            continue
        cards += 1
        assert {item.outcome for item in receipt.items} <= {Outcome.CREATED, Outcome.DUPLICATE}
    assert cards == 6
    people, _, _, _, reports = await counts(database)
    assert (people, reports) == (1, 10)
