"""Reads of records and their holders. Everything of a record passes `visible_to` or a filter built
on it; `dose_queries` and `profile_queries` read what is in one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.filters import candidates, profile_visible, record_visible
from carnet.errors import NotFound
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Person, PersonIdentifier
from carnet.records.tables import (
    Immunization,
    ProfileEntry,
    Record,
)
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, paginate

Fact = TypeVar("Fact", Immunization, ProfileEntry)


def visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the one filter on records: its holder, who acts for them, and professionals whom
    the care team, a consent or an emergency lets in."""
    return record_visible(actor, now, Record.__table__.c)


def persons_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the one filter on persons: oneself, the holders of records that the actor sees."""
    of_record = exists().where(Record.person_id == Person.id, visible_to(actor, now))
    match actor:
        case Patient(person_id=own):
            return or_(Person.id == own, of_record)
        case Professional():
            return of_record
    return false()


def profile_visible_to(
    actor: Actor, now: datetime, record_id: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    """Return the filter on what hangs on a record: the actor sees its profile."""
    return exists().where(Record.id == record_id, profile_visible(actor, now, Record.__table__.c))


def told_to(
    actor: Actor, now: datetime, until: InstrumentedAttribute[datetime | None]
) -> ColumnElement[bool]:
    """Return whether the actor may know of a fact that is hidden from its holder until then."""
    return or_(until.is_(None), until <= now) if isinstance(actor, Patient) else true()


async def of_persons(actor: Actor, work: Work, person_ids: Collection[UUID]) -> dict[UUID, Record]:
    """Return the records of these persons that the actor sees."""
    statement = select(Record).where(Record.person_id.in_(person_ids), visible_to(actor, work.now))
    return {row.person_id: row for row in await work.session.scalars(statement)}


async def persons(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Person]:
    """Return those of the persons that the actor sees."""
    statement = select(Person).where(Person.id.in_(ids), persons_visible_to(actor, work.now))
    return {row.id: row for row in await work.session.scalars(statement)}


async def person(actor: Actor, work: Work, person_id: UUID) -> Person:
    """Return a person.

    Raises:
        NotFound: no such person, or not theirs to see.
    """
    found = (await persons(actor, work, [person_id])).get(person_id)
    if found is None:
        raise NotFound()
    return found


async def identifiers_of(
    actor: Actor, work: Work, person_ids: Collection[UUID]
) -> dict[UUID, list[PersonIdentifier]]:
    """Return the numbers of the persons that the actor sees, national ones first."""
    statement = (
        select(PersonIdentifier)
        .join(Person)
        .where(PersonIdentifier.person_id.in_(person_ids), persons_visible_to(actor, work.now))
        .order_by(
            PersonIdentifier.is_national.desc(), PersonIdentifier.system, PersonIdentifier.value
        )
    )
    found: dict[UUID, list[PersonIdentifier]] = defaultdict(list)
    for row in await work.session.scalars(statement):
        found[row.person_id].append(row)
    return dict(found)


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Record]:
    """Return those of the records that the actor sees."""
    statement = select(Record).where(Record.id.in_(ids), visible_to(actor, work.now))
    return {row.id: row for row in await work.session.scalars(statement)}


async def record(actor: Actor, work: Work, record_id: UUID) -> Record:
    """Return a record.

    Raises:
        NotFound: no such record, or not theirs to see.
    """
    found = (await by_ids(actor, work, [record_id])).get(record_id)
    if found is None:
        raise NotFound()
    return found


def by_record(rows: Sequence[Fact]) -> dict[UUID, list[Fact]]:
    """Return facts by the record that they are in."""
    found: dict[UUID, list[Fact]] = defaultdict(list)
    for row in rows:
        found[row.record_id].append(row)
    return dict(found)


PATIENTS = Order("patients.newest", Record.created_at.desc(), Record.id.desc())


def _patients(actor: Professional, now: datetime) -> ColumnElement[bool]:
    return and_(Record.id.in_(candidates(actor, now)), visible_to(actor, now))


async def patient_pages(
    actor: Actor, work: Work, professional_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[Record]]:
    """Return a page of the records that the professional sees; of nobody else's."""
    if not isinstance(actor, Professional) or actor.professional_id not in professional_ids:
        return {}
    statement = select(Record).where(_patients(actor, work.now))
    return {actor.professional_id: await paginate(work, statement, order, request)}


async def patient_counts(
    actor: Actor, work: Work, professional_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Return how many records the professional sees."""
    if not isinstance(actor, Professional) or actor.professional_id not in professional_ids:
        return {}
    found = select(func.count()).select_from(Record).where(_patients(actor, work.now))
    return {actor.professional_id: await work.session.scalar(found) or 0}
