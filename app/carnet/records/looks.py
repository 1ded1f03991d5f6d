"""When a record's prevention calendar is to be looked at: whatever changes what it follows from
says so here, in its own transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import update

from carnet.records.tables import Record
from carnet.store.database import Work


async def look_again(work: Work, record_ids: Collection[UUID], at: datetime | None = None) -> None:
    """Have the calendars of these records looked at now, or at a later moment.

    The caller holds the records' rows, or writes nothing else of them.
    """
    if record_ids:
        await work.session.execute(
            update(Record)
            .where(Record.id.in_(record_ids))
            .values(calendar_due_at=at or work.now)
            .execution_options(synchronize_session=False)
        )
