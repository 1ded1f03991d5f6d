"""Appointments and reminders that people set in a calendar; see `carnet.prevention.statements`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select

from carnet.access.deciding import Granted
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.rules import Action
from carnet.errors import AccessDenied, Conflict, NotFound, QuotaExceeded, ValidationFailed
from carnet.people.actor import Actor, Patient
from carnet.prevention.queries import appointments_by_ids, calendars
from carnet.prevention.tables import Appointment
from carnet.records.actions import author_of, writable
from carnet.records.looks import tell
from carnet.store.database import Work

TITLE_LIMIT = 200  # characters
PLACE_LIMIT = 500
APPOINTMENTS_LIMIT = 1000  # of one record, cancelled ones included
LONGEST_REMINDER = 366 * 24 * 60  # minutes before the start
LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class AppointmentDraft:
    """What somebody sets: a start at a time or on a day, and what it is for."""

    title: str = field(repr=False)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    starts_on: date | None = None
    time_zone: str = "Europe/Paris"
    place: str | None = field(default=None, repr=False)
    item_key: str | None = None
    remind_minutes: int | None = None

    def checked(self) -> AppointmentDraft:
        """Return the draft itself when it can be stored.

        Raises:
            ValidationFailed: ``path`` names the field that is wrong.
        """
        if not self.title.strip() or len(self.title) > TITLE_LIMIT:
            raise ValidationFailed(f"A title has 1 to {TITLE_LIMIT} characters.", path=("title",))
        if self.place is not None and len(self.place) > PLACE_LIMIT:
            raise ValidationFailed(
                f"A place has at most {PLACE_LIMIT} characters.", path=("place",)
            )
        if (self.starts_at is None) == (self.starts_on is None):
            raise ValidationFailed("It starts at a time or on a day.", path=("startsAt",))
        if self.ends_at is not None and (
            self.starts_at is None or not timedelta() <= self.ends_at - self.starts_at <= LONGEST
        ):
            raise ValidationFailed("It does not end then.", path=("endsAt",))
        minutes = self.remind_minutes
        if minutes is not None and not 0 <= minutes <= LONGEST_REMINDER:
            raise ValidationFailed(
                f"A reminder is 0 to {LONGEST_REMINDER} minutes before.", path=("remindMinutes",)
            )
        self.zone()
        return self

    def zone(self) -> ZoneInfo:
        """Return the time zone.

        Raises:
            ValidationFailed: there is no such zone.
        """
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValidationFailed("There is no such time zone.", path=("timeZone",)) from None

    def start(self) -> datetime:
        """Return the moment it starts: of a day, its beginning there."""
        if self.starts_at is not None:
            return self.starts_at
        return datetime.combine(self.starts_on or date.min, time(), self.zone())

    def columns(self, now: datetime) -> dict[str, object]:
        """Return the columns of the row."""
        start = self.start()
        at = None
        if self.remind_minutes is not None and start > now:
            at = start - timedelta(minutes=self.remind_minutes)
        return {
            "title": self.title.strip(),
            "place": self.place or None,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "starts_on": self.starts_on,
            "time_zone": self.time_zone,
            "sort_at": start,
            "item_key": self.item_key,
            "remind_minutes": self.remind_minutes,
            "remind_at": at,
            "updated_at": now,
        }


async def add(actor: Actor, work: Work, record_id: UUID, draft: AppointmentDraft) -> UUID:
    """Set an appointment.

    Raises:
        ValidationFailed: a field is wrong, or the calendar has no such item.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
        QuotaExceeded: the record has no room.
    """
    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    draft.checked()
    await _check_item(actor, work, record_id, draft.item_key)
    await check_room(work, record_id, 1)
    row = new_row(actor, work, granted, draft)
    work.session.add(row)
    await work.session.flush()
    await journal(work, granted, row.id)
    return row.id


def new_row(
    actor: Actor, work: Work, granted: Granted, draft: AppointmentDraft, uid: str | None = None
) -> Appointment:
    """Return a row for a checked draft; ``uid`` is that of the entry it was imported from."""
    stated_by, stated_by_id = author_of(actor, granted)
    return Appointment(
        id=work.new_id(),
        record_id=granted.record.id,
        source_uid=uid,
        sequence=0,
        stated_by=stated_by,
        stated_by_id=stated_by_id,
        created_at=work.now,
        **draft.columns(work.now),
    )


async def journal(work: Work, granted: Granted, *ids: UUID) -> None:
    """Write that appointments were changed, and tell who follows the calendar."""
    tell(work, [granted.record.id])
    what = {"what": "appointment"}
    await granted.journal(JournalAction.CHANGE_CALENDAR, ObjectKind.APPOINTMENT, *ids, details=what)


async def check_room(work: Work, record_id: UUID, more: int) -> None:
    """Refuse more appointments than a record has room for.

    Raises:
        QuotaExceeded: it has none.
    """
    count = select(func.count()).where(Appointment.record_id == record_id)
    if (await work.session.scalar(count) or 0) + more > APPOINTMENTS_LIMIT:
        raise QuotaExceeded("The calendar has no room for more appointments.")


async def _check_item(actor: Actor, work: Work, record_id: UUID, key: str | None) -> None:
    if key is None:
        return
    calendar = (await calendars(actor, work, [record_id])).get(record_id)
    if calendar is None or key not in {entry.key for entry in calendar.entries}:
        raise ValidationFailed("The calendar has no such item.", path=("itemKey",))


async def _own(actor: Actor, work: Work, id_: UUID) -> tuple[Appointment, Granted]:
    found = (await appointments_by_ids(actor, work, [id_])).get(id_)
    if found is None:
        raise NotFound()
    granted = await writable(actor, work, found.record_id, Action.WRITE_PROFILE)
    await work.session.refresh(found, with_for_update=True)
    if not may_move(actor, granted, found):
        raise AccessDenied("records.only-author-changes", "Only who set it, or the holder, does.")
    return found, granted


def may_move(actor: Actor, granted: Granted, row: Appointment) -> bool:
    """Tell whether the actor may change an appointment: one they set themselves; the holder, and
    who acts for them, any in their calendar."""
    return isinstance(actor, Patient) or author_of(actor, granted) == (
        row.stated_by,
        row.stated_by_id,
    )


async def change(
    actor: Actor, work: Work, appointment_id: UUID, draft: AppointmentDraft, sequence: int
) -> UUID:
    """Move or correct an appointment.

    Args:
        sequence: the one that the actor saw.

    Raises:
        NotFound, RecordClosed: as `carnet.records.actions.writable`.
        AccessDenied: the same, or a professional did not set it.
        Conflict: it was changed or cancelled meanwhile.
        ValidationFailed: a field is wrong, or the calendar has no such item.
    """
    row, granted = await _own(actor, work, appointment_id)
    if row.sequence != sequence or row.cancelled_at is not None:
        raise Conflict()
    draft.checked()
    await _check_item(actor, work, row.record_id, draft.item_key)
    for name, value in draft.columns(work.now).items():
        setattr(row, name, value)
    row.sequence += 1
    await work.session.flush()
    await journal(work, granted, row.id)
    return row.id


async def cancel(actor: Actor, work: Work, appointment_id: UUID) -> UUID:
    """Cancel an appointment; it stays, said to be cancelled. Cancelled again, nothing changes.

    Raises:
        NotFound, AccessDenied, RecordClosed: as `change`.
    """
    row, granted = await _own(actor, work, appointment_id)
    if row.cancelled_at is None:
        row.cancelled_at = row.updated_at = work.now
        row.remind_at = None
        row.sequence += 1
        await work.session.flush()
        await journal(work, granted, row.id)
    return row.id
