"""What a holder masked, or hid from who acts for them, stays so in every version of it."""

from __future__ import annotations

from dataclasses import replace as replace_fields
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
import world
from sqlalchemy import func, select

from carnet.access.journal import JournalAction
from carnet.documents.actions import deposit, hide_from_representatives, replace, set_masked
from carnet.documents.deposits import Deposit, land
from carnet.documents.journal import JournalFilter, counts
from carnet.documents.landed import Landing
from carnet.documents.queries import by_ids
from carnet.documents.tables import Document, DocumentCategory
from carnet.documents.versions import DocumentDraft
from carnet.errors import AccessDenied
from carnet.people.actor import Patient, Professional, Publisher, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Event

DRAFT = DocumentDraft("Plan", DocumentCategory.OTHER)


@pytest.fixture
async def holder(database: Database) -> Patient:
    return await world.holder(database)


@pytest.fixture
async def record_id(database: Database, holder: Patient) -> UUID:
    return await world.record_of(database, holder)


@pytest.fixture
async def caregiver(database: Database, holder: Patient) -> Patient:
    found = await world.holder(database)
    await world.delegation(database, holder, found)
    return found


@pytest.fixture
async def doctor(database: Database, holder: Patient) -> Professional:
    found = await world.professional(database)
    await world.care_team(database, holder, found)
    return found


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


async def put(database: Database, sent: Deposit) -> tuple[UUID, Landing]:
    async with database.write() as work:
        landed = await land(work, sent, [])
        return landed.document.id, landed.landing


def of(publisher: Publisher, record_id: UUID, id_: str, **more: Any) -> Deposit:
    return Deposit(
        record_id=record_id,
        publisher_id=publisher.publisher_id,
        unique_id=id_,
        content_key=sha256(id_.encode()).digest(),
        title=more.pop("title", "Bilan"),
        category=DocumentCategory.OTHER,
        **more,
    )


async def hide(database: Database, holder: Patient, document_id: UUID) -> None:
    async with database.write() as work:
        await hide_from_representatives(holder, work, document_id, True)


async def mask(database: Database, holder: Patient, document_id: UUID) -> None:
    async with database.write() as work:
        await set_masked(holder, work, document_id, True)


async def seen_by(database: Database, actor: Patient | Professional) -> set[str]:
    async with database.read() as work:
        ids = set(await work.session.scalars(select(Document.id)))
        return {row.unique_id for row in (await by_ids(actor, work, ids)).values()}


async def upload(database: Database, blobs: BlobStore, actor: Patient | Professional) -> UUID:
    async def chunks() -> Any:
        yield b"%PDF-1.4 a"

    stored = await blobs.receive(
        database, actor_key(actor), chunks(), media_type="application/pdf", limit_bytes=100
    )
    return stored.id


@pytest.mark.parametrize("who", ["holder", "doctor"])
async def test_a_replacement_is_hidden_from_whom_the_document_was_hidden(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    caregiver: Patient,
    record_id: UUID,
    who: str,
) -> None:
    actor = holder if who == "holder" else doctor
    blob_ids = [await upload(database, blobs, actor) for _ in range(2)]
    async with database.write() as work:
        first = (await deposit(actor, work, blobs, record_id, blob_ids[0], DRAFT)).id
    assert len(await seen_by(database, caregiver)) == 1
    await hide(database, holder, first)
    async with database.write() as work:
        await replace(actor, work, blobs, first, blob_ids[1], DRAFT)
    assert await seen_by(database, caregiver) == set()
    assert len(await seen_by(database, holder)) == 2


async def test_a_deposit_sent_again_shows_nothing_that_was_hidden(
    database: Database, holder: Patient, caregiver: Patient, publisher: Publisher, record_id: UUID
) -> None:
    document_id, _ = await put(database, of(publisher, record_id, "1"))
    await hide(database, holder, document_id)
    _, landing = await put(database, of(publisher, record_id, "1"))
    assert landing is Landing.DUPLICATE
    _, landing = await put(database, of(publisher, record_id, "1", title="Autre"))
    assert landing is Landing.UPDATED
    assert await seen_by(database, caregiver) == set()


async def test_a_publisher_hides_what_was_shown(
    database: Database, caregiver: Patient, publisher: Publisher, record_id: UUID
) -> None:
    await put(database, of(publisher, record_id, "1"))
    assert await seen_by(database, caregiver) == {"1"}
    hidden = of(publisher, record_id, "1", is_hidden_from_representatives=True)
    assert (await put(database, hidden))[1] is Landing.UPDATED
    assert await seen_by(database, caregiver) == set()


async def test_a_publishers_replacement_is_hidden_with_what_it_replaces(
    database: Database, holder: Patient, caregiver: Patient, publisher: Publisher, record_id: UUID
) -> None:
    document_id, _ = await put(database, of(publisher, record_id, "1"))
    await hide(database, holder, document_id)
    await put(database, of(publisher, record_id, "2", replaces_unique_id="1"))
    assert await seen_by(database, caregiver) == set()
    assert await seen_by(database, holder) == {"1", "2"}


async def test_an_original_that_comes_late_is_as_hidden_as_its_replacement(
    database: Database,
    holder: Patient,
    doctor: Professional,
    caregiver: Patient,
    publisher: Publisher,
    record_id: UUID,
) -> None:
    document_id, _ = await put(database, of(publisher, record_id, "2", replaces_unique_id="1"))
    await hide(database, holder, document_id)
    await mask(database, holder, document_id)
    await put(database, of(publisher, record_id, "1"))
    assert await seen_by(database, caregiver) == set()
    assert await seen_by(database, doctor) == set()
    assert await seen_by(database, holder) == {"1", "2"}


async def test_lineages_that_are_joined_are_as_hidden_as_either(
    database: Database,
    holder: Patient,
    doctor: Professional,
    caregiver: Patient,
    publisher: Publisher,
    record_id: UUID,
) -> None:
    oldest, _ = await put(database, of(publisher, record_id, "1"))
    newest, _ = await put(database, of(publisher, record_id, "3", replaces_unique_id="2"))
    await mask(database, holder, oldest)
    await hide(database, holder, newest)
    await put(database, of(publisher, record_id, "2", replaces_unique_id="1"))
    assert await seen_by(database, doctor) == set()
    assert await seen_by(database, caregiver) == set()
    assert await seen_by(database, holder) == {"1", "2", "3"}


async def test_what_the_holder_hid_only_the_holder_shows(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    caregiver: Patient,
    record_id: UUID,
) -> None:
    blob_ids = [await upload(database, blobs, doctor) for _ in range(2)]
    async with database.write() as work:
        first = (await deposit(doctor, work, blobs, record_id, blob_ids[0], DRAFT)).id
        await hide_from_representatives(doctor, work, first, True)
    async with database.write() as work:
        await hide_from_representatives(doctor, work, first, False)
    assert len(await seen_by(database, caregiver)) == 1
    await hide(database, holder, first)
    async with database.write() as work:
        second = (await replace(doctor, work, blobs, first, blob_ids[1], DRAFT)).id
    for document_id in (first, second):
        with pytest.raises(AccessDenied) as refused:
            async with database.write() as work:
                await hide_from_representatives(doctor, work, document_id, False)
        assert refused.value.rule == "access.holder-only"
    assert await seen_by(database, caregiver) == set()
    async with database.write() as work:
        await hide_from_representatives(holder, work, second, False)
    assert len(await seen_by(database, caregiver)) == 2


async def test_the_holders_word_stands_also_for_what_was_hidden_already(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    caregiver: Patient,
    record_id: UUID,
) -> None:
    blob_id = await upload(database, blobs, doctor)
    hidden = replace_fields(DRAFT, is_hidden_from_representatives=True)
    async with database.write() as work:
        document_id = (await deposit(doctor, work, blobs, record_id, blob_id, hidden)).id
    before = await told_of(database, document_id)
    for _ in range(2):
        await hide(database, holder, document_id)
    assert await told_of(database, document_id) == before  # nobody sees that anything happened
    assert await hides_of(database, holder, record_id) == 1
    assert await hides_of(database, caregiver, record_id) == 0
    with pytest.raises(AccessDenied) as refused:
        async with database.write() as work:
            await hide_from_representatives(doctor, work, document_id, False)
    assert refused.value.rule == "access.holder-only"
    assert await seen_by(database, caregiver) == set()
    async with database.write() as work:
        await hide_from_representatives(holder, work, document_id, False)
    async with database.write() as work:
        await hide_from_representatives(doctor, work, document_id, True)
    async with database.write() as work:
        await hide_from_representatives(doctor, work, document_id, False)  # their own decision
    assert len(await seen_by(database, caregiver)) == 1


async def told_of(database: Database, document_id: UUID) -> tuple[int, int]:
    """Return the document's revision, and how many events there are of it."""
    async with database.read() as work:
        document = await work.session.get_one(Document, document_id)
        events = select(func.count(Event.id.distinct())).where(Event.subject_id == document_id)
        return document.revision, await work.session.scalar(events) or 0


async def hides_of(database: Database, actor: Patient, record_id: UUID) -> int:
    """Return how many entries of their own journal tell the actor that something was hidden."""
    wanted = JournalFilter(actions=(JournalAction.HIDE_DOCUMENT,))
    async with database.read() as work:
        return (await counts(actor, work, [record_id], wanted)).get(record_id, 0)
