"""When a record's prevention calendar is to be looked at: whatever changes what it follows from
says so here, in its own transaction."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import update

from carnet.records.tables import Record
from carnet.store.database import Work
from carnet.store.events import NewEvent

CALENDAR_CHANGED = "CALENDAR_CHANGED"


async def look_again(work: Work, record_ids: Collection[UUID], *, is_told: bool = False) -> None:
    """Have the calendars of these records looked at now.

    The caller holds the records' rows, or writes nothing else of them.

    Args:
        is_told: tell who follows the calendar: it follows from what everybody sees who sees the
            profile. What a document says is told with the document, to who may see that.
    """
    if not record_ids:
        return
    await work.session.execute(
        update(Record)
        .where(Record.id.in_(record_ids))
        .values(calendar_due_at=work.now)
        .execution_options(synchronize_session=False)
    )
    if is_told:
        tell(work, record_ids)


def tell(work: Work, record_ids: Collection[UUID]) -> None:
    """Tell who follows these calendars that something changed, once in a transaction."""
    told = {event.subject_id for event in work.events if event.kind == CALENDAR_CHANGED}
    work.events.extend(
        NewEvent(work.new_id(), (id_,), CALENDAR_CHANGED, id_, id_)
        for id_ in sorted(set(record_ids) - told)
    )
