"""Reads of the prevention calendar. Who sees a profile sees what follows from it, and no more."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.filters import profile_visible
from carnet.calendar.facts import SetAside
from carnet.calendar.items import Calendar, Item, ItemStatus
from carnet.calendar.rules import Kind, RuleBook
from carnet.people.actor import Actor
from carnet.prevention.books import in_force
from carnet.prevention.history import Known, Source, assess, known_of, knows_all
from carnet.prevention.tables import (
    Appointment,
    Choice,
    PregnancyEpisode,
    PreventionAct,
    PreventionChange,
    PreventionChoice,
    PreventionFact,
    PreventionSettings,
)
from carnet.records.tables import Record
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of the calendar with what was decided on it, and the appointment set for it."""

    item: Item
    choice: PreventionChoice | None = None
    appointment: Appointment | None = None

    @property
    def key(self) -> str:
        """What names the item in its record; one of a pregnancy names its day too."""
        return key_of(self.item)

    @property
    def is_open(self) -> bool:
        """Whether something is to be done, now or later."""
        return self.item.status is ItemStatus.NOT_COMPLETE and self.choice is None


def key_of(item: Item) -> str:
    """Return what names an item in its record."""
    if item.anchored_on is None:
        return item.occurrence.key
    return f"{item.occurrence.key}@{date.fromordinal(item.anchored_on).isoformat()}"


@dataclass(slots=True)
class RecordCalendar:
    """A record's calendar on a day, as one actor sees it."""

    record_id: UUID
    as_of: date
    digest: str
    book: RuleBook
    known: Known
    entries: list[Entry]
    aside: tuple[SetAside, ...]
    sources: Sequence[Source] = field(repr=False)
    appointments: list[Appointment] = field(default_factory=list)
    refused_kinds: frozenset[Kind] = frozenset()

    @property
    def is_computable(self) -> bool:
        """Whether the birth date is known to the day, without which nothing is computed."""
        return self.known.birth_date is not None


def of_visible_profile(
    actor: Actor, work: Work, record_id: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    """Return the one filter on what was stated for the calendar: of a visible profile."""
    seen = profile_visible(actor, work.now, Record.__table__.c)
    return exists().where(Record.id == record_id, seen)


async def calendars(
    actor: Actor, work: Work, record_ids: Collection[UUID], as_of: date | None = None
) -> dict[UUID, RecordCalendar]:
    """Return the calendars of the records whose profile the actor sees.

    Args:
        as_of: the day to compute for; today without it. Facts are those known now.
    """
    day = as_of or work.now.date()
    seen = select(Record).where(
        Record.id.in_(record_ids), profile_visible(actor, work.now, Record.__table__.c)
    )
    records = list(await work.session.scalars(seen))
    if not records:
        return {}
    digest, calendar = await in_force(work)
    known = await known_of(actor, work, records)
    stated = await _stated(work, known)
    computed = await asyncio.to_thread(_computed, calendar, known, day)
    found: dict[UUID, RecordCalendar] = {}
    for record_id, (items, aside, sources) in computed.items():
        choices, appointments, refused = stated[record_id]
        coming = _by_item(appointments, day)
        found[record_id] = RecordCalendar(
            record_id,
            day,
            digest,
            calendar.book,
            known[record_id],
            [Entry(i, choices.get(key_of(i)), coming.get(key_of(i))) for i in items],
            aside,
            sources,
            appointments,
            refused,
        )
    return found


Computed = tuple[tuple[Item, ...], tuple[SetAside, ...], Sequence[Source]]


def _computed(calendar: Calendar, known: dict[UUID, Known], day: date) -> dict[UUID, Computed]:
    """Compute all, away from the event loop."""
    found: dict[UUID, Computed] = {}
    for record_id, of_person in known.items():
        prevention, sources = assess(calendar, of_person, day)
        items = prevention.items if prevention is not None else ()
        found[record_id] = (items, prevention.aside if prevention is not None else (), sources)
    return found


def _by_item(appointments: Sequence[Appointment], day: date) -> dict[str, Appointment]:
    """Return the next appointment that is set for each item."""
    return {
        each.item_key: each
        for each in reversed(appointments)
        if each.item_key and each.cancelled_at is None and each.sort_at.date() >= day
    }


_Stated = tuple[dict[str, PreventionChoice], list[Appointment], frozenset[Kind]]


async def _stated(work: Work, record_ids: Collection[UUID]) -> dict[UUID, _Stated]:
    found: dict[UUID, _Stated] = {id_: ({}, [], frozenset()) for id_ in record_ids}
    for choice in await work.session.scalars(
        select(PreventionChoice).where(PreventionChoice.record_id.in_(record_ids))
    ):
        found[choice.record_id][0][choice.item_key] = choice
    for appointment in await work.session.scalars(
        select(Appointment)
        .where(Appointment.record_id.in_(record_ids))
        .order_by(Appointment.sort_at, Appointment.id)
    ):
        found[appointment.record_id][1].append(appointment)
    for row in await work.session.scalars(
        select(PreventionSettings).where(PreventionSettings.record_id.in_(record_ids))
    ):
        choices, appointments, _ = found[row.record_id]
        kinds = frozenset(Kind(kind) for kind in row.refused_kinds)
        found[row.record_id] = choices, appointments, kinds
    return found


async def changes_of(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, list[PreventionChange]]:
    """Return what the newest version of the schedule changed in each record, where the actor sees
    all that it was reckoned from."""
    digest, _ = await in_force(work)
    found: dict[UUID, list[PreventionChange]] = defaultdict(list)
    for row in await work.session.scalars(
        select(PreventionChange)
        .where(
            PreventionChange.record_id.in_(record_ids),
            PreventionChange.digest == digest,
            of_visible_profile(actor, work, PreventionChange.record_id),
        )
        .order_by(PreventionChange.item_key)
    ):
        found[row.record_id].append(row)
    records = list(await work.session.scalars(select(Record).where(Record.id.in_(found))))
    whole = await knows_all(actor, work, records)
    return {id_: rows for id_, rows in found.items() if id_ in whole}


async def appointments_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, Appointment]:
    """Return those of the appointments that the actor sees."""
    seen = of_visible_profile(actor, work, Appointment.record_id)
    statement = select(Appointment).where(Appointment.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


async def acts_by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, PreventionAct]:
    """Return those of the acts that the actor sees."""
    seen = of_visible_profile(actor, work, PreventionAct.record_id)
    statement = select(PreventionAct).where(PreventionAct.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


async def facts_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, PreventionFact]:
    """Return those of the facts that the actor sees."""
    seen = of_visible_profile(actor, work, PreventionFact.record_id)
    statement = select(PreventionFact).where(PreventionFact.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


async def pregnancies_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, PregnancyEpisode]:
    """Return those of the pregnancies that the actor sees."""
    seen = of_visible_profile(actor, work, PregnancyEpisode.record_id)
    statement = select(PregnancyEpisode).where(PregnancyEpisode.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


__all__ = ["Choice", "Entry", "RecordCalendar", "calendars", "changes_of", "key_of"]
