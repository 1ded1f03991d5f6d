"""Taking over appointments from a file of another calendar, once however often it is given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from carnet.access.rules import Action
from carnet.people.actor import Actor
from carnet.prevention.appointments import check_room, journal, may_move, new_row
from carnet.prevention.tables import Appointment
from carnet.records.actions import writable
from carnet.store.database import Work

if TYPE_CHECKING:
    from carnet.prevention.ics_import import Imported


@dataclass(slots=True)
class ImportOutcome:
    """How many appointments came of a file."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    cancelled: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


async def import_ics(
    actor: Actor, work: Work, record_id: UUID, text: str, time_zone: str
) -> ImportOutcome:
    """Take over the appointments of an iCalendar file, by their UIDs.

    Raises:
        ValidationFailed: it is no such file, or larger than is taken; or there is no such zone.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
        QuotaExceeded: the record has no room; nothing is taken then.
    """
    from carnet.prevention.ics_import import read  # slow to load, and seldom used

    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    reading = await asyncio.to_thread(read, text, work.now, time_zone)
    outcome = ImportOutcome(skipped=reading.skipped)
    wanted = {each.uid: each for each in reading.found}
    statement = select(Appointment).where(
        Appointment.record_id == record_id, Appointment.source_uid.in_(wanted)
    )
    standing = {row.source_uid: row for row in await work.session.scalars(statement)}
    touched: list[UUID] = []
    fresh = [each for uid, each in wanted.items() if uid not in standing and not each.is_cancelled]
    await check_room(work, record_id, len(fresh))
    for each in fresh:
        row = new_row(actor, work, granted, each.draft, each.uid)
        work.session.add(row)
        touched.append(row.id)
    outcome.created = len(fresh)
    for uid, row in standing.items():
        is_theirs = may_move(actor, granted, row)
        what = _renew(work, row, wanted[uid or ""]) if is_theirs else "unchanged"
        if what == "changed":
            outcome.changed += 1
        elif what == "cancelled":
            outcome.cancelled += 1
        else:
            outcome.unchanged += 1
            continue
        touched.append(row.id)
    await work.session.flush()
    if touched:
        await journal(work, granted, *touched)
    return outcome


def _renew(work: Work, row: Appointment, given: Imported) -> str:
    """Make an appointment what the file says; tells what that was."""
    if given.is_cancelled:
        if row.cancelled_at is not None:
            return "unchanged"
        row.cancelled_at = row.updated_at = work.now
        row.remind_at = None
        row.sequence += 1
        return "cancelled"
    columns = given.draft.columns(work.now)
    kept = ("item_key", "remind_minutes", "remind_at", "updated_at")  # set here, not in the file
    values = {name: value for name, value in columns.items() if name not in kept}
    if row.cancelled_at is None and all(getattr(row, n) == v for n, v in values.items()):
        return "unchanged"
    for name, value in values.items():
        setattr(row, name, value)
    row.cancelled_at = None
    row.updated_at = work.now
    row.sequence += 1
    return "changed"
