"""Reads of records and profiles. Everything passes `visible_to` or a filter built on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import (
    TEXT,
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.filters import candidates, profile_visible, record_visible, source_visible
from carnet.errors import NotFound
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Person, PersonIdentifier
from carnet.records.doses import summed
from carnet.records.tables import (
    Immunization,
    ImmunizationSource,
    NothingToDeclare,
    ProfileEntry,
    Record,
    Section,
)
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate, paginate_many

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


def _profile_visible(
    actor: Actor, now: datetime, record_id: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    return exists().where(Record.id == record_id, profile_visible(actor, now, Record.__table__.c))


def entries_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on profile entries: those of a visible profile that were not removed, and
    not those read from a document that the actor does not see."""
    return and_(
        _profile_visible(actor, now, ProfileEntry.record_id),
        ProfileEntry.removed_at.is_(None),
        source_visible(actor, now, ProfileEntry.source_document_id),
        _told(actor, now, ProfileEntry.hidden_from_holder_until),
    )


def sources_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on reports of doses: not those of a document that the actor cannot see."""
    return and_(
        _report_visible(actor, now),
        exists().where(
            Immunization.id == ImmunizationSource.immunization_id,
            _profile_visible(actor, now, Immunization.record_id),
        ),
    )


def _report_visible(actor: Actor, now: datetime) -> ColumnElement[bool]:
    return and_(
        source_visible(actor, now, ImmunizationSource.source_document_id),
        _told(actor, now, ImmunizationSource.hidden_from_holder_until),
    )


def _told(
    actor: Actor, now: datetime, until: InstrumentedAttribute[datetime | None]
) -> ColumnElement[bool]:
    """Return whether the actor may know of a fact that is hidden from its holder until then."""
    return or_(until.is_(None), until <= now) if isinstance(actor, Patient) else true()


def immunizations_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on doses: of a visible profile, with at least one visible report."""
    return and_(
        _profile_visible(actor, now, Immunization.record_id),
        exists().where(
            ImmunizationSource.immunization_id == Immunization.id, _report_visible(actor, now)
        ),
    )


ENTRIES_NEWEST = Order("entries.newest", ProfileEntry.sort_on.desc(), ProfileEntry.id.desc())
ENTRIES_OLDEST = Order("entries.oldest", ProfileEntry.sort_on, ProfileEntry.id)
DOSES_NEWEST = Order("immunizations.newest", Immunization.sort_on.desc(), Immunization.id.desc())
DOSES_OLDEST = Order("immunizations.oldest", Immunization.sort_on, Immunization.id)


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


async def entries_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, ProfileEntry]:
    """Return those of the profile entries that the actor sees."""
    seen = entries_visible_to(actor, work.now)
    statement = select(ProfileEntry).where(ProfileEntry.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


async def immunizations_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, Immunization]:
    """Return those of the doses that the actor sees."""
    seen = immunizations_visible_to(actor, work.now)
    statement = select(Immunization).where(Immunization.id.in_(ids), seen)
    rows = {row.id: row for row in await work.session.scalars(statement)}
    secret = await _with_secrets(actor, work, Immunization.id.in_(rows))
    await _keep_secrets(actor, work, {id_: row for id_, row in rows.items() if id_ in secret})
    return rows


async def _with_secrets(actor: Actor, work: Work, doses: ColumnElement[bool]) -> set[UUID]:
    """Return which of the doses have reports that the actor does not see."""
    hidden = (
        select(ImmunizationSource.immunization_id)
        .join(Immunization, Immunization.id == ImmunizationSource.immunization_id)
        .where(doses, ~_report_visible(actor, work.now))
    )
    return set(await work.session.scalars(hidden))


async def _keep_secrets(actor: Actor, work: Work, rows: dict[UUID, Immunization]) -> None:
    """Make doses the sum of the reports that the actor sees, as if the others had not come."""
    if not rows:
        return
    for id_, sources in (await sources_of(actor, work, rows)).items():
        work.session.expunge(rows[id_])  # so that nothing of it is ever written
        for name, value in summed(sources).items():
            setattr(rows[id_], name, value)


def _by_what_is_seen(actor: Actor, now: datetime, order: Order) -> Order:
    """Return the order by the date that the actor sees, as `doses.summed` finds it: the sharpest,
    of equals the first reported. Neither places nor cursors tell of another."""
    date = type_coerce(ImmunizationSource.given_on, TEXT)
    seen = (
        select(date)
        .where(
            ImmunizationSource.immunization_id == Immunization.id,
            ImmunizationSource.given_on.is_not(None),
            source_visible(actor, now, ImmunizationSource.source_document_id),
        )
        .order_by(func.length(date).desc(), ImmunizationSource.id)
        .limit(1)
        .correlate(Immunization)
        .scalar_subquery()
    )
    key = func.coalesce(seen, "", type_=TEXT)
    if order.descending[0]:
        return Order(order.name, key.desc(), Immunization.id.desc())
    return Order(order.name, key, Immunization.id)


def _entries(actor: Actor, now: datetime, section: Section) -> Select[ProfileEntry]:
    return select(ProfileEntry).where(
        ProfileEntry.section == section, entries_visible_to(actor, now)
    )


async def entry_pages(
    actor: Actor,
    work: Work,
    record_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    section: Section,
) -> dict[UUID, Page[ProfileEntry]]:
    """Return a page of one section for each record."""
    statement = _entries(actor, work.now, section)
    return await paginate_many(
        work, statement, order, request, parent=ProfileEntry.record_id, parents=record_ids
    )


async def entry_counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID], section: Section
) -> dict[UUID, int]:
    """Return how many entries of one section the actor sees in each record."""
    statement = _entries(actor, work.now, section)
    return await count_many(work, statement, parent=ProfileEntry.record_id, parents=record_ids)


async def immunization_pages(
    actor: Actor, work: Work, record_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[Immunization]]:
    """Return a page of doses for each record."""
    statement = select(Immunization).where(immunizations_visible_to(actor, work.now))
    secret = await _with_secrets(actor, work, Immunization.record_id.in_(record_ids))
    if secret:
        order = _by_what_is_seen(actor, work.now, order)
    pages = await paginate_many(
        work, statement, order, request, parent=Immunization.record_id, parents=record_ids
    )
    rows = {row.id: row for page in pages.values() for row in page.items if row.id in secret}
    await _keep_secrets(actor, work, rows)
    return pages


async def immunization_counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Return how many doses the actor sees in each record."""
    statement = select(Immunization).where(immunizations_visible_to(actor, work.now))
    return await count_many(work, statement, parent=Immunization.record_id, parents=record_ids)


async def doses_of(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, list[Immunization]]:
    """Return all doses of each record, as the actor sees them, the oldest first."""
    statement = (
        select(Immunization)
        .where(Immunization.record_id.in_(record_ids), immunizations_visible_to(actor, work.now))
        .order_by(Immunization.sort_on, Immunization.id)
    )
    rows = list(await work.session.scalars(statement))
    secret = await _with_secrets(actor, work, Immunization.record_id.in_(record_ids))
    await _keep_secrets(actor, work, {row.id: row for row in rows if row.id in secret})
    return _by_record(rows)


async def entries_of(
    actor: Actor, work: Work, record_ids: Collection[UUID], sections: Collection[Section]
) -> dict[UUID, list[ProfileEntry]]:
    """Return all entries of some sections of each record that the actor sees."""
    statement = select(ProfileEntry).where(
        ProfileEntry.record_id.in_(record_ids),
        ProfileEntry.section.in_(sections),
        entries_visible_to(actor, work.now),
    )
    return _by_record(list(await work.session.scalars(statement.order_by(ProfileEntry.id))))


async def doses_told(work: Work, record_ids: Collection[UUID]) -> dict[UUID, list[Immunization]]:
    """Return all doses of each record of which its holder may know."""
    told = ImmunizationSource.hidden_from_holder_until
    reported = exists().where(
        ImmunizationSource.immunization_id == Immunization.id,
        or_(told.is_(None), told <= work.now),
    )
    statement = select(Immunization).where(Immunization.record_id.in_(record_ids), reported)
    rows = await work.session.scalars(statement.order_by(Immunization.sort_on, Immunization.id))
    return _by_record(list(rows))


async def entries_told(
    work: Work, record_ids: Collection[UUID], sections: Collection[Section]
) -> dict[UUID, list[ProfileEntry]]:
    """Return all entries of some sections of each record of which its holder may know."""
    until = ProfileEntry.hidden_from_holder_until
    statement = select(ProfileEntry).where(
        ProfileEntry.record_id.in_(record_ids),
        ProfileEntry.section.in_(sections),
        ProfileEntry.removed_at.is_(None),
        or_(until.is_(None), until <= work.now),
    )
    return _by_record(list(await work.session.scalars(statement.order_by(ProfileEntry.id))))


def _by_record(rows: Sequence[Fact]) -> dict[UUID, list[Fact]]:
    found: dict[UUID, list[Fact]] = defaultdict(list)
    for row in rows:
        found[row.record_id].append(row)
    return dict(found)


async def sources_of(
    actor: Actor, work: Work, immunization_ids: Collection[UUID]
) -> dict[UUID, list[ImmunizationSource]]:
    """Return the visible reports of each dose, the oldest first."""
    statement = (
        select(ImmunizationSource)
        .where(
            ImmunizationSource.immunization_id.in_(immunization_ids),
            sources_visible_to(actor, work.now),
        )
        .order_by(ImmunizationSource.id)
    )
    found: dict[UUID, list[ImmunizationSource]] = defaultdict(list)
    for source in await work.session.scalars(statement):
        found[source.immunization_id].append(source)
    return found


async def nothing_to_declare(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, list[NothingToDeclare]]:
    """Return the dated «nothing to declare» of each record, where the actor sees nothing there.

    What was hidden when it was stated may have been released since.
    """
    entry = exists().where(
        ProfileEntry.record_id == NothingToDeclare.record_id,
        ProfileEntry.section == NothingToDeclare.section,
        entries_visible_to(actor, work.now),
    )
    dose = exists().where(
        NothingToDeclare.section == Section.IMMUNIZATIONS,
        Immunization.record_id == NothingToDeclare.record_id,
        immunizations_visible_to(actor, work.now),
    )
    statement = (
        select(NothingToDeclare)
        .where(
            NothingToDeclare.record_id.in_(record_ids),
            _profile_visible(actor, work.now, NothingToDeclare.record_id),
            ~entry,
            ~dose,
        )
        .order_by(NothingToDeclare.section)
    )
    found: dict[UUID, list[NothingToDeclare]] = defaultdict(list)
    for row in await work.session.scalars(statement):
        found[row.record_id].append(row)
    return found


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
