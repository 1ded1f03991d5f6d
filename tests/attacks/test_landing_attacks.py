"""Attacks on the landing of submissions: what is hidden, lost, merged wrongly or breaks all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import world
from sqlalchemy import select, text

from carnet.access.journal_tables import JournalChain, JournalEntry
from carnet.clock import MovableClock
from carnet.documents.actions import set_masked
from carnet.documents.deposits import withdraw
from carnet.documents.tables import Document, DocumentStatus
from carnet.errors import NotFound
from carnet.intake import landing
from carnet.intake.model import (
    ContentPart,
    DocumentItem,
    EntryItem,
    ImmunizationItem,
    Item,
    PatientClaim,
    Reading,
    WithdrawalItem,
)
from carnet.intake.receipt import ItemOutcome, Outcome
from carnet.people.actor import Patient, Publisher
from carnet.people.tables import PersonIdentifier
from carnet.records import dose_queries, profile_queries
from carnet.records.actions import DoseDraft, declare_nothing, lock_records, report_dose
from carnet.records.profile_queries import nothing_to_declare
from carnet.records.tables import Section
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.keyset import PageRequest
from carnet.store.tables import Event
from carnet.values import Coding, Identifier, PartialDate

SYSTEM = "urn:oid:1.2.250.1.213.1.4.8"
NUMBER = "279035121518989"
DAY = PartialDate("2024-03-01")
FLU = (Coding("http://hl7.org/fhir/sid/cvx", "140"),)


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


@pytest.fixture
async def patient(database: Database) -> Patient:
    holder = await world.holder(database)
    async with database.write() as work:
        work.session.add(
            PersonIdentifier(
                id=work.new_id(),
                person_id=holder.person_id,
                system=SYSTEM,
                value=NUMBER,
                is_national=True,
                is_key_valid=True,
            )
        )
    return holder


@pytest.fixture
async def record_id(database: Database, patient: Patient) -> UUID:
    return await world.record_of(database, patient)


def reading(*items: Item) -> Reading:
    claim = PatientClaim((Identifier(SYSTEM, NUMBER),), is_reference=True)
    return Reading("FHIR R4", {"p": claim}, items)


async def send(
    database: Database, blobs: BlobStore, publisher: Publisher, *items: Item
) -> list[ItemOutcome]:
    async with database.write() as work:
        return await landing.land(publisher, work, blobs, reading(*items))


def document(key: str, content: bytes = b"a", **more: object) -> DocumentItem:
    item = DocumentItem(key, "p", key, "Bilan", ContentPart(content, "text/plain"))
    return replace(item, **more)  # type: ignore[arg-type]


def dose(key: str, **more: object) -> ImmunizationItem:
    item = ImmunizationItem(key, "p", "Vaxigrip", FLU, given_on=DAY)
    return replace(item, **more)  # type: ignore[arg-type]


def allergy(key: str, **more: object) -> EntryItem:
    return replace(EntryItem(key, "p", Section.ALLERGIES, "Lait"), **more)  # type: ignore[arg-type]


async def doses_seen(database: Database, patient: Patient, record_id: UUID):
    async with database.read() as work:
        pages = await dose_queries.immunization_pages(
            patient, work, [record_id], PageRequest.of(first=50), dose_queries.DOSES_NEWEST
        )
    return list(pages[record_id].items) if record_id in pages else []


async def entries_seen(database: Database, patient: Patient, record_id: UUID, section: Section):
    async with database.read() as work:
        pages = await profile_queries.entry_pages(
            patient,
            work,
            [record_id],
            PageRequest.of(first=50),
            profile_queries.ENTRIES_NEWEST,
            section,
        )
    return list(pages[record_id].items) if record_id in pages else []


async def test_a_dose_tells_nothing_that_only_a_hidden_document_says(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    async with database.write() as work:
        await report_dose(patient, work, record_id, DoseDraft("Grippe", FLU, DAY))
    secret = dose(
        "d",
        vaccine_label="Vaccin d'un essai clinique secret",
        lot_number="SECRET",
        dose_rank=2,
        document="doc",
        is_subpotent=True,
        codings=(*FLU, Coding("urn:x", "SECRET")),
    )
    await send(database, blobs, publisher, document("doc", is_hidden_from_holder=True), secret)
    (seen,) = await doses_seen(database, patient, record_id)
    assert seen.vaccine_label == "Grippe"
    assert seen.lot_number is None
    assert seen.dose_rank is None
    assert not seen.is_subpotent
    assert [c["code"] for c in seen.codings] == ["140"]


async def test_nothing_to_declare_ends_when_hidden_entries_are_released(
    database: Database,
    blobs: BlobStore,
    publisher: Publisher,
    patient: Patient,
    record_id: UUID,
    clock: MovableClock,
) -> None:
    async with database.write() as work:
        await declare_nothing(patient, work, record_id, Section.ALLERGIES)
    await send(
        database,
        blobs,
        publisher,
        document("doc", is_hidden_from_holder=True),
        allergy("a", document="doc"),
    )
    async with database.read() as work:
        assert len((await nothing_to_declare(patient, work, [record_id]))[record_id]) == 1
    clock.offset += timedelta(days=31)
    assert len(await entries_seen(database, patient, record_id, Section.ALLERGIES)) == 1
    async with database.read() as work:
        assert not (await nothing_to_declare(patient, work, [record_id])).get(record_id)


async def test_a_dose_ends_nothing_to_declare_of_immunizations(
    database: Database, patient: Patient, record_id: UUID
) -> None:
    async with database.write() as work:
        await declare_nothing(patient, work, record_id, Section.IMMUNIZATIONS)
    async with database.write() as work:
        await report_dose(patient, work, record_id, DoseDraft("Grippe", FLU, DAY))
    async with database.read() as work:
        assert not (await nothing_to_declare(patient, work, [record_id])).get(record_id)


async def test_a_corrected_entry_changes_its_section(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    await send(database, blobs, publisher, allergy("o", section=Section.LIFESTYLE))
    (outcome,) = await send(
        database, blobs, publisher, allergy("o", section=Section.MEASUREMENTS, label="Poids")
    )
    assert outcome.outcome is Outcome.UPDATED
    assert not await entries_seen(database, patient, record_id, Section.LIFESTYLE)
    assert len(await entries_seen(database, patient, record_id, Section.MEASUREMENTS)) == 1


async def test_a_key_whose_kind_changed_is_not_lost(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    await send(database, blobs, publisher, dose("k"))
    await send(database, blobs, publisher, allergy("k"))
    assert len(await entries_seen(database, patient, record_id, Section.ALLERGIES)) == 1


@pytest.mark.parametrize(
    "bad",
    [
        dose("bad", dose_rank=0),
        dose("bad", dose_rank=2**40),
        dose("bad", dose_rank=10**30),
        dose("bad", lot_number="\0"),
        dose("bad", vaccine_label="\0"),
        dose("bad", codings=(Coding("\0", "x"),)),
        dose("b\0d"),
        allergy("b\0d"),
        allergy("bad", label="\0"),
        allergy("bad", label="\ud800"),
        dose("bad", vaccine_label="\ud800"),
        document("bad", title="\0"),
        document("bad", title="\ud800"),
        document("".join(chr(0x4E00 + n) for n in range(9000))),
        dose("".join(chr(0x4E00 + n) for n in range(9000))),
        allergy("".join(chr(0x4E00 + n) for n in range(9000))),
        WithdrawalItem("w", "p", "\0"),
        WithdrawalItem("w", "p", "".join(chr(0x4E00 + n) for n in range(9000))),
    ],
    ids=lambda item: f"{type(item).__name__}",
)
async def test_one_bad_item_does_not_stop_the_others(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, bad: Item
) -> None:
    outcomes = await send(
        database, blobs, publisher, bad, dose("good", given_on=PartialDate("2020")), allergy("g")
    )
    assert outcomes[0].outcome is Outcome.REFUSED
    assert [o.outcome for o in outcomes[1:]] == [Outcome.CREATED] * 2


async def test_a_refused_replacement_leaves_the_facts_of_what_it_replaces(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    outcomes = await send(
        database,
        blobs,
        publisher,
        document("one"),
        document("two", b"b", replaces_unique_id="one", authors=(), language="\0"),
        allergy("a", document="one"),
        dose("d", document="one"),
    )
    assert [o.outcome for o in outcomes] == [
        Outcome.CREATED,
        Outcome.REFUSED,
        Outcome.CREATED,
        Outcome.CREATED,
    ]
    async with database.read() as work:
        (row,) = list(await work.session.scalars(select(Document)))
        assert row.status is DocumentStatus.CURRENT


async def test_a_refused_replacement_keeps_the_facts_that_stand(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    first = document("one"), allergy("a", document="one"), dose("d", document="one")
    await send(database, blobs, publisher, *first)
    bad = document("two", b"b", replaces_unique_id="one", language="\0")
    await send(database, blobs, publisher, bad, dose("e", given_on=PartialDate("2020-01-01")))
    assert len(await entries_seen(database, patient, record_id, Section.ALLERGIES)) == 1
    assert len(await doses_seen(database, patient, record_id)) == 2


async def test_a_source_that_calls_its_document_superseded_is_believed_later_too(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    await send(database, blobs, publisher, document("one"), allergy("a", document="one"))
    await send(
        database,
        blobs,
        publisher,
        document("one", is_superseded=True),
        allergy("a", document="one"),
    )
    async with database.read() as work:
        (row,) = list(await work.session.scalars(select(Document)))
        assert row.status is DocumentStatus.SUPERSEDED
    assert not await entries_seen(database, patient, record_id, Section.ALLERGIES)


async def test_a_late_former_version_does_not_supersede_the_current_one(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    await send(database, blobs, publisher, document("one", b"new"), allergy("a", document="one"))
    await send(database, blobs, publisher, document("one", b"old", is_superseded=True))
    async with database.read() as work:
        rows = await work.session.scalars(select(Document.status).order_by(Document.deposited_at))
        assert list(rows) == [DocumentStatus.CURRENT, DocumentStatus.SUPERSEDED]
    assert len(await entries_seen(database, patient, record_id, Section.ALLERGIES)) == 1


async def test_masking_while_a_withdrawal_lands_does_not_deadlock(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    await send(database, blobs, publisher, document("one"))
    async with database.read() as work:
        id_ = await work.session.scalar(select(Document.id))
    assert id_ is not None

    async def mask() -> None:
        async with database.write() as work:
            await set_masked(patient, work, id_, True)

    async with asyncio.timeout(20):
        async with database.write() as work:
            await lock_records(work, [record_id])
            task = asyncio.create_task(mask())
            async with database.read() as other:
                waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                while not task.done() and not await other.session.scalar(waiting):
                    pass
            await withdraw(work, record_id, publisher.publisher_id, "one")
        with pytest.raises(NotFound):
            await task


async def test_every_version_that_a_withdrawal_takes_is_written_down_and_told(
    database: Database, blobs: BlobStore, publisher: Publisher, patient: Patient, record_id: UUID
) -> None:
    """The same unique id with other bytes is a further version, and goes with the first."""
    await send(database, blobs, publisher, document("one", b"old"))
    hidden = replace(document("one", b"new"), is_hidden_from_holder=True)
    await send(database, blobs, publisher, document("one", b"newer"))
    await send(database, blobs, publisher, hidden)
    (outcome,) = await send(database, blobs, publisher, WithdrawalItem("w", "p", "one"))
    assert outcome.outcome is Outcome.UPDATED
    async with database.read() as work:
        versions = select(Document.id).order_by(Document.version)
        first, second, held = list(await work.session.scalars(versions))
        entries = select(JournalEntry.chain, JournalEntry.object_ids).where(
            JournalEntry.action == "DELETE_DOCUMENT"
        )
        written = {chain: set(ids) for chain, ids in await work.session.execute(entries)}
        told = select(Event.subject_id).where(Event.kind == "DOCUMENT_DELETED")
        assert set(await work.session.scalars(told)) == {first, second, held}
    assert written == {JournalChain.MAIN: {first, second}, JournalChain.HELD: {held}}
    assert outcome.target_id == held
