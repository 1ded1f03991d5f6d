"""Results hidden for an announcement: told of after two weeks, released after a month, once."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import world
from sqlalchemy import select, update

from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import Delegation, DelegationKind
from carnet.clock import MovableClock
from carnet.documents.announcements import run
from carnet.documents.queries import by_ids
from carnet.documents.rules import HIDDEN_FROM_HOLDER
from carnet.documents.tables import (
    DepositorKind,
    Document,
    DocumentCategory,
    DocumentStatus,
)
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Patient
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database


async def hidden(
    database: Database,
    record_id: UUID,
    status: DocumentStatus = DocumentStatus.CURRENT,
    *,
    is_secret: bool = False,
) -> UUID:
    publisher = await world.publisher(database)
    async with database.write() as work:
        id_ = work.new_id()
        work.session.add(
            Document(
                id=id_,
                record_id=record_id,
                lineage_id=id_,
                status=status,
                depositor=DepositorKind.PUBLISHER,
                publisher_id=publisher.publisher_id,
                unique_id=str(uuid4()),
                content_key=b"k" * 32,
                category=DocumentCategory.LABORATORY,
                title="Biopsy",
                confidentiality_codes=["N"],
                author_text="",
                flags=[],
                hidden_from_holder_until=work.now + HIDDEN_FROM_HOLDER,
                is_hidden_from_representatives=is_secret,
                sort_at=work.now,
                deposited_at=work.now,
                updated_at=work.now,
            )
        )
        return id_


async def told(database: Database, person_id: UUID) -> list[UUID]:
    async with database.read() as work:
        found = await work.session.scalars(
            select(Notification.subject_id).where(
                Notification.person_id == person_id,
                Notification.kind == NotificationKind.RESULT_AWAITS,
            )
        )
        return list(found)


async def releases(database: Database) -> list[tuple[str, list[UUID]]]:
    async with database.read() as work:
        rows = await work.session.scalars(
            select(JournalEntry).where(JournalEntry.action == "RELEASE_DOCUMENT")
        )
        return [(row.actor_kind, row.object_ids) for row in rows]


async def sees(database: Database, holder: Patient, document_id: UUID) -> bool:
    async with database.read() as work:
        return document_id in await by_ids(holder, work, [document_id])


async def test_told_after_two_weeks_and_released_after_a_month(
    database: Database, clock: MovableClock
) -> None:
    holder = await world.holder(database)
    document_id = await hidden(database, await world.record_of(database, holder))
    clock.offset += timedelta(days=14) - timedelta(minutes=1)
    await run(database)
    assert await told(database, holder.person_id) == []
    clock.offset += timedelta(minutes=1)
    for _ in range(2):
        await run(database)
        assert await told(database, holder.person_id) == [document_id]
    assert not await sees(database, holder, document_id)
    assert await releases(database) == []
    clock.offset += timedelta(days=16)
    assert await sees(database, holder, document_id)  # by time, before anything ran
    for _ in range(2):
        await run(database)
        assert await releases(database) == [("SYSTEM", [document_id])]
    async with database.read() as work:
        row = await work.session.get_one(Document, document_id)
    assert row.released_at == row.hidden_from_holder_until


async def test_after_downtime_what_is_released_is_not_told_of(
    database: Database, clock: MovableClock
) -> None:
    holder = await world.holder(database)
    document_id = await hidden(database, await world.record_of(database, holder))
    clock.offset += timedelta(days=90)
    await run(database)
    assert await told(database, holder.person_id) == []
    assert await releases(database) == [("SYSTEM", [document_id])]


@pytest.mark.parametrize("status", [DocumentStatus.WITHDRAWN, DocumentStatus.SUPERSEDED])
async def test_former_and_withdrawn_documents_tell_nothing(
    database: Database, clock: MovableClock, status: DocumentStatus
) -> None:
    holder = await world.holder(database)
    document_id = await hidden(database, await world.record_of(database, holder), status)
    clock.offset += timedelta(days=15)
    await run(database)
    assert await told(database, holder.person_id) == []
    clock.offset += timedelta(days=30)
    await run(database)
    is_there = status is DocumentStatus.SUPERSEDED
    assert await releases(database) == ([("SYSTEM", [document_id])] if is_there else [])


async def test_a_document_waits_while_the_record_is_closed(
    database: Database, clock: MovableClock
) -> None:
    holder = await world.holder(database, RecordState.CLOSED)
    document_id = await hidden(database, await world.record_of(database, holder))
    clock.offset += timedelta(days=20)
    await run(database)
    assert await told(database, holder.person_id) == []
    async with database.write() as work:
        await work.session.execute(update(Record).values(state=RecordState.OPEN))
    await run(database)
    assert await told(database, holder.person_id) == [document_id]


async def test_parents_are_told_but_for_a_minors_secret(
    database: Database, clock: MovableClock
) -> None:
    child, parent = await world.holder(database), await world.holder(database)
    record_id = await world.record_of(database, child)
    async with database.write() as work:
        work.session.add(
            Delegation(
                id=work.new_id(),
                holder_person_id=child.person_id,
                delegate_person_id=parent.person_id,
                kind=DelegationKind.PARENT,
                scopes=[],
                invited_at=work.now,
                accepted_at=work.now,
            )
        )
    common = await hidden(database, record_id)
    secret = await hidden(database, record_id, is_secret=True)
    clock.offset += timedelta(days=15)
    await run(database)
    assert sorted(await told(database, child.person_id)) == sorted([common, secret])
    assert await told(database, parent.person_id) == [common]
