"""Reads of doses and of who reported them, as the actor sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    TEXT,
    ColumnElement,
    and_,
    exists,
    func,
    or_,
    select,
    type_coerce,
)

from carnet.access.filters import source_visible
from carnet.people.actor import Actor
from carnet.records.doses import summed
from carnet.records.queries import by_record, profile_visible_to, told_to
from carnet.records.tables import (
    Immunization,
    ImmunizationSource,
)
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many


def sources_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on reports of doses: not those of a document that the actor cannot see."""
    return and_(
        _report_visible(actor, now),
        exists().where(
            Immunization.id == ImmunizationSource.immunization_id,
            profile_visible_to(actor, now, Immunization.record_id),
        ),
    )


def _report_visible(actor: Actor, now: datetime) -> ColumnElement[bool]:
    return and_(
        source_visible(actor, now, ImmunizationSource.source_document_id),
        told_to(actor, now, ImmunizationSource.hidden_from_holder_until),
    )


def immunizations_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the filter on doses: of a visible profile, with at least one visible report."""
    return and_(
        profile_visible_to(actor, now, Immunization.record_id),
        exists().where(
            ImmunizationSource.immunization_id == Immunization.id, _report_visible(actor, now)
        ),
    )


DOSES_NEWEST = Order("immunizations.newest", Immunization.sort_on.desc(), Immunization.id.desc())

DOSES_OLDEST = Order("immunizations.oldest", Immunization.sort_on, Immunization.id)


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
    return by_record(rows)


async def doses_told(work: Work, record_ids: Collection[UUID]) -> dict[UUID, list[Immunization]]:
    """Return all doses of each record of which its holder may know."""
    told = ImmunizationSource.hidden_from_holder_until
    reported = exists().where(
        ImmunizationSource.immunization_id == Immunization.id,
        or_(told.is_(None), told <= work.now),
    )
    statement = select(Immunization).where(Immunization.record_id.in_(record_ids), reported)
    rows = await work.session.scalars(statement.order_by(Immunization.sort_on, Immunization.id))
    return by_record(list(rows))


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
