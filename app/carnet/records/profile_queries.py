"""Reads of what a profile states, section by section, and of sections that are empty on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    or_,
    select,
)

from carnet.access.filters import source_visible
from carnet.people.actor import Actor
from carnet.records.dose_queries import immunizations_visible_to
from carnet.records.queries import by_record, profile_visible_to, told_to
from carnet.records.tables import (
    Immunization,
    NothingToDeclare,
    ProfileEntry,
    Section,
)
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many


def entries_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on profile entries: those of a visible profile that were not removed, and
    not those read from a document that the actor does not see."""
    return and_(
        profile_visible_to(actor, now, ProfileEntry.record_id),
        ProfileEntry.removed_at.is_(None),
        source_visible(actor, now, ProfileEntry.source_document_id),
        told_to(actor, now, ProfileEntry.hidden_from_holder_until),
    )


ENTRIES_NEWEST = Order("entries.newest", ProfileEntry.sort_on.desc(), ProfileEntry.id.desc())

ENTRIES_OLDEST = Order("entries.oldest", ProfileEntry.sort_on, ProfileEntry.id)


async def entries_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, ProfileEntry]:
    """Return those of the profile entries that the actor sees."""
    seen = entries_visible_to(actor, work.now)
    statement = select(ProfileEntry).where(ProfileEntry.id.in_(ids), seen)
    return {row.id: row for row in await work.session.scalars(statement)}


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


async def entries_of(
    actor: Actor, work: Work, record_ids: Collection[UUID], sections: Collection[Section]
) -> dict[UUID, list[ProfileEntry]]:
    """Return all entries of some sections of each record that the actor sees."""
    statement = select(ProfileEntry).where(
        ProfileEntry.record_id.in_(record_ids),
        ProfileEntry.section.in_(sections),
        entries_visible_to(actor, work.now),
    )
    return by_record(list(await work.session.scalars(statement.order_by(ProfileEntry.id))))


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
    return by_record(list(await work.session.scalars(statement.order_by(ProfileEntry.id))))


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
            profile_visible_to(actor, work.now, NothingToDeclare.record_id),
            ~entry,
            ~dose,
        )
        .order_by(NothingToDeclare.section)
    )
    found: dict[UUID, list[NothingToDeclare]] = defaultdict(list)
    for row in await work.session.scalars(statement):
        found[row.record_id].append(row)
    return found
