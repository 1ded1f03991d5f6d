"""Results that the holder sees some days later: told once, when the days are over."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import world
from sqlalchemy import select

from carnet.access import delays as waiting
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.access.settings import SettingsChange, change_settings
from carnet.clock import MovableClock
from carnet.documents import announcements, delays, journal
from carnet.documents.tables import Document, DocumentCategory, DocumentStatus
from carnet.people.actor import Patient
from carnet.store.database import Database
from carnet.store.jobs import Worker
from carnet.store.tables import Event, Job

RESULT = DocumentCategory.LABORATORY


@pytest.fixture
async def holder(database: Database) -> Patient:
    return await world.holder(database)


@pytest.fixture
def worker(database: Database) -> Worker:
    return Worker(database, {waiting.JOB: delays.tell})


async def choose(database: Database, holder: Patient, days: int, revision: int) -> None:
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        change = SettingsChange(hide_results_days=days)
        await change_settings(holder, work, record_id, change, revision)


async def deposit(
    database: Database,
    holder: Patient,
    number: int = 1,
    category: DocumentCategory = RESULT,
    until: timedelta | None = None,
) -> list[UUID]:
    """Deposit documents as intake does, in one transaction with one entry."""
    record_id = await world.record_of(database, holder)
    now = database.clock.now()
    hidden = now + until if until else None
    ids = [
        await world.document(
            database, record_id, category=category, hidden_from_holder_until=hidden
        )
        for _ in range(number)
    ]
    fact = Fact(
        record_id,
        JournalAction.DEPOSIT_DOCUMENT,
        "publisher.feeds",
        ObjectKind.DOCUMENT,
        tuple(ids),
        is_held=hidden is not None,
    )
    async with database.write() as work:
        await write(None, work, [fact])
    return ids


async def told(database: Database, stream_id: UUID) -> list[UUID]:
    async with database.read() as work:
        found = select(Event.subject_id).where(
            Event.stream_id == stream_id, Event.kind == "DOCUMENT_RELEASED"
        )
        return list(await work.session.scalars(found.order_by(Event.number)))


async def queue(database: Database) -> list[str]:
    async with database.read() as work:
        return list(await work.session.scalars(select(Job.key).where(Job.kind == waiting.JOB)))


async def test_each_result_is_told_once_when_its_days_are_over(
    database: Database, clock: MovableClock, holder: Patient, worker: Worker
) -> None:
    record_id = await world.record_of(database, holder)
    await choose(database, holder, 3, 0)
    ids = await deposit(database, holder, 30)
    await deposit(database, holder, 1, DocumentCategory.REPORT)
    clock.offset += timedelta(days=3) - timedelta(minutes=1)
    assert await worker.run_due() == 0
    clock.offset += timedelta(minutes=1)
    for _ in range(2):
        await worker.run_due()
        assert sorted(await told(database, record_id)) == sorted(ids)
        assert sorted(await told(database, holder.person_id)) == sorted(ids)
    assert await delays.tell(database, {"document_id": str(ids[0])}) is None  # done again
    assert len(await told(database, record_id)) == 30
    assert await queue(database) == []
    async with database.read() as work:
        entries = list(
            await work.session.scalars(
                select(JournalEntry).where(JournalEntry.action == "RELEASE_DOCUMENT")
            )
        )
        assert {(entry.actor_kind, entry.rule) for entry in entries} == {
            ("SYSTEM", "settings.results-shown")
        }
        released = await journal.released_with(holder, work, [entries[0].id])
        assert [row.action for row in released[entries[0].id]] == ["DEPOSIT_DOCUMENT"]


async def test_the_moment_moves_with_the_setting(
    database: Database, clock: MovableClock, holder: Patient, worker: Worker
) -> None:
    record_id = await world.record_of(database, holder)
    (early,) = await deposit(database, holder)  # seen at once
    await choose(database, holder, 10, 0)
    (late,) = await deposit(database, holder)
    assert sorted(await queue(database)) == sorted([str(early), str(late)])
    await choose(database, holder, 20, 1)
    clock.offset += timedelta(days=11)
    await worker.run_due()
    assert await told(database, record_id) == []
    await choose(database, holder, 5, 2)
    await worker.run_due()
    assert sorted(await told(database, record_id)) == sorted([early, late])
    await choose(database, holder, 0, 3)
    (seen,) = await deposit(database, holder)
    await choose(database, holder, 7, 4)
    await choose(database, holder, 0, 5)
    await worker.run_due()
    assert await told(database, record_id) == [*sorted([early, late]), seen]


async def test_what_went_or_is_held_is_not_told(
    database: Database, clock: MovableClock, holder: Patient, worker: Worker
) -> None:
    record_id = await world.record_of(database, holder)
    await choose(database, holder, 3, 0)
    (gone,) = await deposit(database, holder)
    (held,) = await deposit(database, holder, until=timedelta(days=30))
    async with database.write() as work:
        row = await work.session.get_one(Document, gone)
        row.status = DocumentStatus.WITHDRAWN
    clock.offset += timedelta(days=3)
    await worker.run_due()
    assert await told(database, record_id) == [] and await queue(database) == []
    clock.offset += timedelta(days=27)
    await announcements.run(database)
    assert await told(database, record_id) == [held]


async def test_the_next_look_is_at_the_next_release(
    database: Database, clock: MovableClock, holder: Patient
) -> None:
    assert await announcements.run(database) > clock.now() + timedelta(minutes=4)
    (held,) = await deposit(database, holder, until=timedelta(days=30))
    clock.offset += timedelta(days=30) - timedelta(seconds=30)
    due = await announcements.run(database)
    async with database.read() as work:
        row = await work.session.get_one(Document, held)
    assert due == row.hidden_from_holder_until
    clock.offset += timedelta(seconds=30)
    await announcements.run(database)
    assert await told(database, holder.person_id) == [held]
