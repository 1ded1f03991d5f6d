"""Reads of the control log. All but what a refusal tells a member pass `visible_to`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, literal, select
from sqlalchemy.orm import aliased

from carnet.messaging.prepared import IDS, NOW, anybody, seen
from carnet.messaging.tables import ControlEntry, Thread
from carnet.messaging.taking_part import Moment, visible_to
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many

OLDEST = Order("control.oldest", ControlEntry.number.asc())
MOST_CAUGHT_UP = 50  # entries in one refusal; the rest is read page by page


async def pages(
    actor: Actor,
    work: Work,
    thread_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    after: int | None,
) -> dict[UUID, Page[ControlEntry]]:
    """Return a page of each thread's control log, of what follows an entry's number."""
    return await paginate_many(
        work,
        _after(actor, work, after),
        order,
        request,
        parent=ControlEntry.thread_id,
        parents=thread_ids,
    )


async def counts(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], after: int | None
) -> dict[UUID, int]:
    """Return how long each thread's control log is, after an entry's number."""
    statement = _after(actor, work, after)
    return await count_many(work, statement, parent=ControlEntry.thread_id, parents=thread_ids)


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, ControlEntry]:
    """Return those of the control entries that the actor sees."""
    return await seen(actor, work, _by_ids(actor.kind), ids)


async def after(work: Work, thread_id: UUID, number: int) -> list[ControlEntry]:
    """Return what follows in a control log, at most `MOST_CAUGHT_UP` entries: for members."""
    statement = (
        select(ControlEntry)
        .where(ControlEntry.thread_id == thread_id, ControlEntry.number > number)
        .order_by(ControlEntry.number)
        .limit(MOST_CAUGHT_UP)
    )
    return await _apart(work, statement)


async def after_epoch(work: Work, thread_id: UUID, epoch: int) -> list[ControlEntry]:
    """Return what follows the end of an epoch in a control log, as `after`."""
    statement = (
        select(ControlEntry)
        .where(ControlEntry.thread_id == thread_id, ControlEntry.epoch > epoch)
        .order_by(ControlEntry.number)
        .limit(MOST_CAUGHT_UP)
    )
    return await _apart(work, statement)


async def _apart(work: Work, statement: Select[ControlEntry]) -> list[ControlEntry]:
    """Return rows that outlive the transaction's rollback: a refusal takes them along."""
    rows = list(await work.session.scalars(statement))
    for row in rows:
        work.session.expunge(row)
    return rows


@cache
def _by_ids(kind: str) -> Select[ControlEntry] | None:
    actor = anybody(kind)
    if actor is None:
        return None
    return select(ControlEntry).where(ControlEntry.id == any_(IDS), _is_seen(actor, NOW))


def _after(actor: Actor, work: Work, number: int | None) -> Select[ControlEntry]:
    statement = select(ControlEntry).where(_is_seen(actor, work.now))
    return statement if number is None else statement.where(ControlEntry.number > number)


def _is_seen(actor: Actor, now: Moment) -> ColumnElement[bool]:
    thread = aliased(Thread)
    visible = visible_to(actor, now, thread)
    within = (
        select(literal(1)).select_from(thread).where(thread.id == ControlEntry.thread_id, visible)
    )
    return within.correlate_except(thread).exists()
