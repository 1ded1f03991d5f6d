"""Looks at calendars: reminds of what is due, and tells what a new schedule changed.

A record is looked at when something it follows from was changed, when one of its dates comes, and
at least once a month; and, whatever its time, when it was last looked at by another schedule. Each
batch is one transaction, so a recomputation of everybody is resumed where it was interrupted, and
what fell due while no server ran is told at the first look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import and_, select, update
from sqlalchemy.dialects.postgresql import insert

from carnet.access.facts import READABLE_STATES
from carnet.calendar.dates import iso
from carnet.calendar.items import Calendar, Item, ItemStatus
from carnet.calendar.rules import Kind
from carnet.notifications.actions import Notice, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.people.tables import Person
from carnet.prevention.books import in_force, keep_shipped, version
from carnet.prevention.history import Known, assess, known_to_holders
from carnet.prevention.queries import key_of
from carnet.prevention.tables import (
    Appointment,
    Moment,
    PreventionChange,
    PreventionChoice,
    PreventionLook,
    PreventionReminder,
    PreventionSettings,
)
from carnet.records.tables import Record
from carnet.records.transitions import parents_of
from carnet.store.database import Database, Work

JOB = "prevention.reminders"
INTERVAL = timedelta(minutes=1)  # until the next look into the queue
BATCH = 200  # records in one transaction
AT_LEAST = timedelta(days=30)  # between two looks at one record
BEFORE_OVERDUE = 14  # days
HOUR = time(8, tzinfo=UTC)  # of the day at which a date is told


async def run(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Look at what is due; returns when to look again."""
    while True:
        async with database.write() as work:
            if not await remind_of_appointments(work, BATCH) and not await look(work, BATCH):
                return work.now + INTERVAL


async def look(work: Work, limit: int) -> int:
    """Look at some calendars that are due, else at some of another schedule; returns how many."""
    digest, calendar = await in_force(work)
    open_ = and_(Record.state.in_(READABLE_STATES), Person.is_deceased.is_(False))
    records = select(Record).join(Person, Person.id == Record.person_id).where(open_)
    due = records.where(Record.calendar_due_at <= work.now).order_by(
        Record.calendar_due_at, Record.id
    )
    taken = await _taken(work, due, limit)
    if not taken:
        other = records.join(PreventionLook, PreventionLook.record_id == Record.id).where(
            PreventionLook.digest != digest
        )
        taken = await _taken(work, other.order_by(Record.id), limit)
    if taken:
        await keep_shipped(work, digest, calendar)
        await _look_at(work, taken, digest, calendar)
    return len(taken)


async def _taken(work: Work, statement: Any, limit: int) -> list[Record]:
    locked = statement.limit(limit).with_for_update(of=Record, skip_locked=True, key_share=True)
    return list(await work.session.scalars(locked))


@dataclass(frozen=True, slots=True)
class _Sight:
    """What one look at a calendar found."""

    items: tuple[Item, ...]
    before: tuple[Item, ...] | None  # by the schedule of the look before


async def _look_at(work: Work, records: Sequence[Record], digest: str, calendar: Calendar) -> None:
    ids = [record.id for record in records]
    looks = select(PreventionLook).where(PreventionLook.record_id.in_(ids))
    earlier = {row.record_id: row.digest for row in await work.session.scalars(looks)}
    former = {each: await version(work, each) for each in set(earlier.values()) if each != digest}
    known = await known_to_holders(work, records)
    today = work.now.date()

    def sights() -> dict[UUID, _Sight]:
        found = {}
        for id_, of_person in known.items():
            before = former.get(earlier.get(id_, ""))
            found[id_] = _Sight(
                _items(calendar, of_person, today),
                _items(before, of_person, today) if before is not None else None,
            )
        return found

    seen = await asyncio.to_thread(sights)
    silent = await _silent(work, ids)
    notices: list[Notice] = []
    people = await _recipients(work, records)
    for record in records:
        sight = seen[record.id]
        if await _note_changes(work, record.id, digest, sight):
            notices += _notices(
                people[record.id], NotificationKind.PREVENTION_CHANGED, record.id, digest
            )
    told = await _note_reminders(work, seen, silent, today)
    for record_id, batch in told.items():
        notices += _notices(people[record_id], NotificationKind.PREVENTION_DUE, record_id, batch)
    await notify_all(work, notices)
    await _note_looks(work, seen, silent, digest, today)


def _items(calendar: Calendar, known: Known, today: date) -> tuple[Item, ...]:
    found, _ = assess(calendar, known, today)
    return found.items if found is not None else ()


def _notices(
    people: Collection[UUID], kind: NotificationKind, record_id: UUID, what: str
) -> list[Notice]:
    subject = uuid5(record_id, what)
    return [Notice(person_id, kind, subject, record_id) for person_id in sorted(people)]


async def _recipients(work: Work, records: Sequence[Record]) -> dict[UUID, set[UUID]]:
    """Return whom to tell of each record: its holder, and the parents of a minor."""
    parents = await parents_of(work, [record.person_id for record in records])
    return {record.id: {record.person_id} | parents[record.person_id] for record in records}


@dataclass(frozen=True, slots=True)
class _Silence:
    """What no message comes about: refused kinds, decided items, those with an appointment."""

    kinds: frozenset[Kind]
    keys: frozenset[str]


async def _silent(work: Work, ids: Collection[UUID]) -> dict[UUID, _Silence]:
    kinds: dict[UUID, frozenset[Kind]] = {}
    keys: dict[UUID, set[str]] = {id_: set() for id_ in ids}
    for row in await work.session.scalars(
        select(PreventionSettings).where(PreventionSettings.record_id.in_(ids))
    ):
        kinds[row.record_id] = frozenset(Kind(kind) for kind in row.refused_kinds)
    decided = select(PreventionChoice.record_id, PreventionChoice.item_key).where(
        PreventionChoice.record_id.in_(ids)
    )
    coming = select(Appointment.record_id, Appointment.item_key).where(
        Appointment.record_id.in_(ids),
        Appointment.item_key.is_not(None),
        Appointment.cancelled_at.is_(None),
        Appointment.sort_at > work.now,
    )
    for statement in (decided, coming):
        for record_id, key in await work.session.execute(statement):
            keys[record_id].add(str(key))
    return {id_: _Silence(kinds.get(id_, frozenset()), frozenset(keys[id_])) for id_ in ids}


def moments(item: Item) -> Iterator[tuple[Moment, date]]:
    """Yield when an item is reminded of: as it becomes due, and before one is late with it."""
    if item.status is not ItemStatus.NOT_COMPLETE or item.due is None:
        return
    yield Moment.OPENS, date.fromordinal(item.due)
    limit = item.overdue if item.overdue is not None else item.latest
    if limit is not None and limit - BEFORE_OVERDUE > item.due:
        yield Moment.BEFORE_OVERDUE, date.fromordinal(limit - BEFORE_OVERDUE)


def _told_of(sight: _Sight, silence: _Silence) -> Iterator[Item]:
    for item in sight.items:
        if item.rule.kind not in silence.kinds and key_of(item) not in silence.keys:
            yield item


async def _note_reminders(
    work: Work, seen: Mapping[UUID, _Sight], silent: Mapping[UUID, _Silence], today: date
) -> dict[UUID, str]:
    """Note which reminders go out now, each once; returns what names each record's batch."""
    rows = [
        {
            "record_id": record_id,
            "item_key": key_of(item),
            "moment": moment,
            "due_on": date.fromordinal(item.due or 0),
            "told_at": work.now,
        }
        for record_id, sight in seen.items()
        for item in _told_of(sight, silent[record_id])
        for moment, on in moments(item)
        if on <= today
    ]
    if not rows:
        return {}
    statement = insert(PreventionReminder).on_conflict_do_nothing()
    fresh = await work.session.scalars(statement.returning(PreventionReminder.record_id), rows)
    return {record_id: work.now.isoformat() for record_id in set(fresh)}


def shape(item: Item) -> dict[str, str]:
    """Return what of an item people are told of when a schedule changes it."""
    said = {"status": item.status.value, "level": item.level.value}
    days = {
        "earliest": item.earliest,
        "due": item.due,
        "overdue": item.overdue,
        "latest": item.latest,
    }
    return said | {name: iso(day) for name, day in days.items() if day is not None}


async def _note_changes(work: Work, record_id: UUID, digest: str, sight: _Sight) -> bool:
    """Keep what the schedule changed for a record; tells whether it changed anything."""
    if sight.before is None:
        return False
    was = {key_of(item): shape(item) for item in sight.before}
    is_now = {key_of(item): shape(item) for item in sight.items}
    rows = [
        {
            "id": work.new_id(),
            "record_id": record_id,
            "digest": digest,
            "item_key": key,
            "was": was.get(key),
            "is_now": is_now.get(key),
            "created_at": work.now,
        }
        for key in sorted(was.keys() | is_now.keys())
        if was.get(key) != is_now.get(key)
    ]
    if rows:
        statement = insert(PreventionChange).on_conflict_do_nothing()
        await work.session.execute(statement.execution_options(render_nulls=True), rows)
    return bool(rows)


async def _note_looks(
    work: Work,
    seen: Mapping[UUID, _Sight],
    silent: Mapping[UUID, _Silence],
    digest: str,
    today: date,
) -> None:
    """Note that the calendars were looked at, and when to look again."""
    statement = insert(PreventionLook)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[PreventionLook.record_id],
            set_={name: statement.excluded[name] for name in ("looked_at", "digest")},
        ),
        [{"record_id": id_, "looked_at": work.now, "digest": digest} for id_ in sorted(seen)],
    )
    times = []
    for record_id, sight in seen.items():
        coming = [
            datetime.combine(on, HOUR)
            for item in _told_of(sight, silent[record_id])
            for _, on in moments(item)
            if on > today
        ]
        times.append({"id": record_id, "calendar_due_at": min([*coming, work.now + AT_LEAST])})
    await work.session.execute(update(Record), times)


async def remind_of_appointments(work: Work, limit: int) -> int:
    """Remind of appointments whose moment has come, once; of one that is past, no more."""
    statement = (
        select(Appointment, Record)
        .join(Record, Record.id == Appointment.record_id)
        .where(Appointment.remind_at <= work.now)
        .order_by(Appointment.remind_at, Appointment.id)
        .limit(limit)
        .with_for_update(of=Appointment, skip_locked=True)
    )
    found = [(row[0], row[1]) for row in await work.session.execute(statement)]
    people = await _recipients(work, [record for _, record in found])
    notices: list[Notice] = []
    for appointment, record in found:
        appointment.remind_at = None
        if appointment.sort_at > work.now and record.state in READABLE_STATES:
            what = f"{appointment.id}/{appointment.sequence}"
            notices += _notices(
                people[record.id], NotificationKind.APPOINTMENT_SOON, record.id, what
            )
    await work.session.flush()
    await notify_all(work, notices)
    return len(found)
