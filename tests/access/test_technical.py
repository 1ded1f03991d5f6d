"""The two classes of what is kept: technical events for a year, the journal for good."""

from datetime import timedelta

import world
from sqlalchemy import func, select

from carnet.access.journal import Fact, JournalAction, write
from carnet.access.journal_tables import JournalEntry, TechnicalEvent
from carnet.access.technical import FORGET_EVERY, KEPT, forget, note_technical
from carnet.clock import MovableClock
from carnet.ids import new_id
from carnet.store.database import Database


async def test_technical_events_are_forgotten_after_a_year_and_the_journal_never(
    database: Database, clock: MovableClock
) -> None:
    patient = world.a_patient()
    for _ in range(2):
        async with database.write() as work:
            await note_technical(work, "TRIED", patient, {"count": 1})
            fact = Fact(new_id(work.now), JournalAction.READ_RECORD, "holder")
            await write(patient, work, [fact])
        clock.offset += KEPT / 2 + timedelta(seconds=1)
    again_at = await forget(database, {})
    async with database.read() as work:
        counts = [
            await work.session.scalar(select(func.count()).select_from(table))
            for table in (TechnicalEvent, JournalEntry)
        ]
        assert abs(again_at - work.now - FORGET_EVERY) < timedelta(minutes=1)
    assert counts == [1, 2]
