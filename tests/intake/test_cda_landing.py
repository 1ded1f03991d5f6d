"""Every real CDA document and HL7 v2 message lands, and lands only once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import func, select
from world import publisher

from carnet.documents.tables import Document, DocumentStatus
from carnet.errors import ValidationFailed
from carnet.intake.actions import take_in
from carnet.intake.receipt import Outcome
from carnet.records.tables import Immunization, ProfileEntry
from carnet.store.blobs import BlobStore
from carnet.store.database import Database


async def counts(database: Database) -> list[int]:
    async with database.read() as work:
        return [
            await work.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Document, ProfileEntry, Immunization)
        ]


async def test_documents_and_messages_land_once(
    database: Database, blobs: BlobStore, samples: Path
) -> None:
    sender = await publisher(database)
    files = [
        *sorted((samples / "fr-cda").iterdir()),
        *sorted((samples / "c-cda").iterdir()),
        *(samples / "fr-hl7v2" / f"{name}.er7" for name in ("admission", "mdm_init")),
    ]

    async def send_all() -> Counter[Outcome]:
        seen: Counter[Outcome] = Counter()
        for file in files:
            media_type = "application/hl7-v2" if file.suffix == ".er7" else "text/xml"
            try:
                receipt = await take_in(sender, database, blobs, file.read_bytes(), media_type)
            except ValidationFailed:
                assert "No Known Allergies" in file.name
                continue
            seen.update(item.outcome for item in receipt.items)
        return seen

    first = await send_all()
    assert first[Outcome.REFUSED] == 2  # the two fragments
    after = await counts(database)
    assert (after[0], after[2]) == (27, 13)  # documents, doses
    again = await send_all()
    assert (again[Outcome.CREATED], again[Outcome.UPDATED], again[Outcome.REFUSED]) == (0, 0, 2)
    assert await counts(database) == after


async def test_a_report_is_sent_replaced_and_taken_back(
    database: Database, blobs: BlobStore, samples: Path
) -> None:
    sender = await publisher(database)
    for name, statuses in (
        ("mdm_init", {"81": DocumentStatus.CURRENT}),
        ("mdm_replace", {"81": DocumentStatus.SUPERSEDED, "82": DocumentStatus.CURRENT}),
    ):
        body = (samples / "fr-hl7v2" / f"{name}.er7").read_bytes()
        await take_in(sender, database, blobs, body, "application/hl7-v2")
        assert await statuses_by_id(database) == statuses
    body = (samples / "fr-hl7v2" / "mdm_delete.er7").read_bytes()
    receipt = await take_in(sender, database, blobs, body, "application/hl7-v2")
    assert receipt.items[0].outcome is not Outcome.REFUSED
    assert (await statuses_by_id(database))["82"] is not DocumentStatus.CURRENT


async def statuses_by_id(database: Database) -> dict[str, DocumentStatus]:
    """Return the status of each document by the end of its identifier."""
    async with database.read() as work:
        documents = await work.session.scalars(select(Document))
        return {document.unique_id[-2:]: document.status for document in documents}
