import time
from collections import Counter
from pathlib import Path

import pytest
import world
from sqlalchemy import func, select

from carnet.documents.tables import Document, DocumentContent
from carnet.intake.actions import take_in
from carnet.intake.receipt import Outcome, Receipt
from carnet.people.actor import Publisher
from carnet.people.tables import Person
from carnet.records.tables import Immunization, ImmunizationSource, ProfileEntry
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

FHIR = "application/fhir+json"


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


async def counts(database: Database) -> dict[str, int]:
    async with database.read() as work:
        return {
            table.__tablename__: await work.session.scalar(select(func.count()).select_from(table))
            or 0
            for table in (
                Person,
                Document,
                DocumentContent,
                ProfileEntry,
                Immunization,
                ImmunizationSource,
            )
        }


def outcomes(receipt: Receipt) -> Counter[Outcome]:
    return Counter(item.outcome for item in receipt.items)


async def test_a_whole_synthea_patient_lands_and_a_second_time_changes_nothing(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path
) -> None:
    body = next((samples / "synthea-r4").glob("Octavio*")).read_bytes()
    first = await take_in(publisher, database, blobs, body, FHIR)
    after = await counts(database)
    assert after["persons"] == 1
    assert after["immunizations"] == 11
    assert outcomes(first)[Outcome.CREATED] > 100
    assert outcomes(first)[Outcome.REFUSED] == 0
    second = await take_in(publisher, database, blobs, body, FHIR)
    assert await counts(database) == after
    assert second.submission_id == first.submission_id
    assert outcomes(second)[Outcome.DUPLICATE] == outcomes(first)[Outcome.CREATED]
    reordered = b" " + body  # other bytes, the same content: every item is looked at again
    third = await take_in(publisher, database, blobs, reordered, FHIR)
    assert await counts(database) == after
    assert outcomes(third)[Outcome.CREATED] == outcomes(third)[Outcome.UPDATED] == 0
