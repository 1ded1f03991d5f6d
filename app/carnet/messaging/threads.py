"""Reads of threads. Every one passes `visible_to`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, func, literal, select
from sqlalchemy.orm import aliased

from carnet.access.tables import Delegation, DelegationScope
from carnet.errors import NotFound
from carnet.messaging.prepared import IDS, ME, NOW, anybody, given, seen
from carnet.messaging.tables import (
    EpochWrap,
    Message,
    MessagingAccount,
    MessagingMandate,
    Thread,
    ThreadMember,
    ThreadReader,
    ThreadState,
)
from carnet.messaging.taking_part import readable_by, takes_part, visible_to
from carnet.notifications.queries import recipient_of
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, paginate

NEWEST = Order("threads.newest", Thread.last_activity_at.desc(), Thread.id.desc())
MOST_UNREAD = 1000  # messages of a thread that are counted


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Thread]:
    """Return those of the threads that the actor sees."""
    return await seen(actor, work, _by_ids(actor.kind), ids)


@cache
def _by_ids(kind: str) -> Select[Thread] | None:
    actor = anybody(kind)
    if actor is None:
        return None
    return select(Thread).where(Thread.id == any_(IDS), visible_to(actor, NOW))


async def require(actor: Actor, work: Work, thread_id: bytes) -> Thread:
    """Return a thread that the actor sees, by the protocol's id.

    Raises:
        NotFound: there is none.
    """
    statement = select(Thread).where(Thread.thread_id == thread_id, visible_to(actor, work.now))
    row = await work.session.scalar(statement)
    if row is None:
        raise NotFound()
    return row


async def locked(
    actor: Actor, work: Work, thread_id: bytes | None, id_: UUID | None = None
) -> Thread:
    """Return a thread that the actor sees, as it is once nobody else is writing in it.

    Raises:
        NotFound: there is none.
    """
    which = Thread.id == id_ if id_ is not None else Thread.thread_id == thread_id
    seen = visible_to(actor, work.now)
    held = select(Thread).where(which, seen).with_for_update(of=Thread)
    row = await work.session.scalar(held.execution_options(populate_existing=True))
    # Whoever had to wait for the row saw members and rights as they were before.
    again = select(Thread.id).where(which, seen)
    if row is None or await work.session.scalar(again) is None:
        raise NotFound()
    return row


async def pages(
    actor: Actor,
    work: Work,
    viewer_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    state: ThreadState | None,
) -> dict[UUID, Page[Thread]]:
    """Return a page of the viewer's threads, the latest first."""
    viewer = recipient_of(actor)
    if viewer is None or viewer not in viewer_ids:
        return {}
    return {viewer: await paginate(work, _threads(actor, work, state), order, request)}


async def counts(
    actor: Actor, work: Work, viewer_ids: Sequence[UUID], state: ThreadState | None
) -> dict[UUID, int]:
    """Return how many threads the viewer has."""
    viewer = recipient_of(actor)
    if viewer is None or viewer not in viewer_ids:
        return {}
    listed = _threads(actor, work, state)
    # Without its table, the filter would count one row for all.
    counted = listed.with_only_columns(func.count(), maintain_column_froms=True)
    return {viewer: (await work.session.scalars(counted)).one()}


def _threads(actor: Actor, work: Work, state: ThreadState | None) -> Select[Thread]:
    statement = select(Thread).where(visible_to(actor, work.now))
    return statement if state is None else statement.where(Thread.state == state)


async def members_of(
    actor: Actor, work: Work, thread_ids: Collection[UUID]
) -> dict[UUID, list[tuple[ThreadMember, MessagingAccount]]]:
    """Return who is in each thread."""
    statement = (
        select(ThreadMember, MessagingAccount)
        .join(MessagingAccount, MessagingAccount.id == ThreadMember.account_id)
        .join(Thread, Thread.id == ThreadMember.thread_id)
        .where(
            ThreadMember.thread_id.in_(thread_ids),
            ThreadMember.left_at.is_(None),
            visible_to(actor, work.now),
        )
        .order_by(ThreadMember.joined_at, ThreadMember.account_id)
    )
    found: dict[UUID, list[tuple[ThreadMember, MessagingAccount]]] = defaultdict(list)
    for member, account in await work.session.execute(statement):
        found[member.thread_id].append((member, account))
    return found


async def wraps_of(
    actor: Actor, work: Work, thread_ids: Collection[UUID], after: int, first: int
) -> dict[UUID, list[tuple[EpochWrap, bytes]]]:
    """Return the wraps for the accounts through which the viewer takes part, with the protocol's id
    of the account: those of the ``first`` epochs after ``after``."""
    member = aliased(ThreadMember)
    epochs = (
        select(EpochWrap.epoch)
        .where(EpochWrap.thread_id == Thread.id, EpochWrap.account_id == MessagingAccount.id)
        .where(EpochWrap.epoch > after)
        .order_by(EpochWrap.epoch)
        .limit(first)
        .correlate(Thread, MessagingAccount)
    )
    statement = (
        select(EpochWrap, MessagingAccount.account_id)
        .join(MessagingAccount, MessagingAccount.id == EpochWrap.account_id)
        .join(Thread, Thread.id == EpochWrap.thread_id)
        .join(
            member,
            (member.thread_id == Thread.id) & (member.account_id == MessagingAccount.id),
        )
        .where(
            EpochWrap.thread_id.in_(thread_ids),
            EpochWrap.epoch.in_(epochs),
            takes_part(actor, work.now, Thread, member, MessagingAccount),
        )
        .order_by(EpochWrap.thread_id, EpochWrap.epoch, EpochWrap.account_id)
    )
    found: dict[UUID, list[tuple[EpochWrap, bytes]]] = defaultdict(list)
    for wrap, account_id in await work.session.execute(statement):
        found[wrap.thread_id].append((wrap, account_id))
    return found


async def unread(actor: Actor, work: Work, thread_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return how many messages of others each thread has that the viewer has not read.

    Quiet ones do not count. More than `MOST_UNREAD` are not counted on.
    """
    viewer = recipient_of(actor)
    read_to = (
        select(ThreadReader.read_to)
        .where(ThreadReader.thread_id == Thread.id, ThreadReader.reader_id == viewer)
        .correlate(Thread)
        .scalar_subquery()
    )
    new = (
        select(Message.number)
        .where(
            Message.thread_id == Thread.id,
            Message.number > func.coalesce(read_to, 0),
            Message.sender_id != viewer,
            ~Message.is_quiet,
            readable_by(actor, work.now, Thread, cast(ColumnElement[int], Message.epoch)),
        )
        .limit(MOST_UNREAD)
        .correlate(Thread)
        .subquery()
    )
    counted = select(func.count()).select_from(new).scalar_subquery()
    statement = select(Thread.id, counted).where(Thread.id.in_(thread_ids))
    return {id_: count for id_, count in await work.session.execute(statement)}


async def read_to(actor: Actor, work: Work, thread_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return up to which message the viewer has read each thread."""
    statement = select(ThreadReader.thread_id, ThreadReader.read_to).where(
        ThreadReader.thread_id.in_(thread_ids), ThreadReader.reader_id == recipient_of(actor)
    )
    return {id_: number for id_, number in await work.session.execute(statement)}


async def ends_at(actor: Actor, work: Work, thread_id: UUID) -> datetime | None:
    """Return when what lets the actor take part may end by itself; None is never.

    Raises:
        NotFound: they take no part.
    """
    statement = _ending(actor.kind)
    if statement is None:
        raise NotFound()
    asked = given(actor, work.now, ids=[thread_id])
    found = (await work.session.execute(statement, asked)).one_or_none()
    if found is None:
        raise NotFound()
    return min((at for at in found if at is not None), default=None)


@cache
def _ending(kind: str) -> Select[datetime | None, datetime | None] | None:
    actor = anybody(kind)
    if actor is None:
        return None
    ending = (
        select(func.min(Delegation.expires_at))
        .where(
            Delegation.holder_person_id == Thread.person_id,
            Delegation.delegate_person_id == ME,  # of nobody but a person
            Delegation.revoked_at.is_(None),
            Delegation.expires_at > NOW,
            literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        )
        .correlate(Thread)
        .scalar_subquery()
    )
    mandate = aliased(MessagingMandate)
    over = (
        select(func.min(mandate.not_after))
        .join(ThreadMember, ThreadMember.account_id == mandate.account_id)
        .where(ThreadMember.thread_id == Thread.id, mandate.not_after > NOW)
        .correlate(Thread)
        .scalar_subquery()
    )
    return select(ending, over).where(Thread.id == any_(IDS), visible_to(actor, NOW))
