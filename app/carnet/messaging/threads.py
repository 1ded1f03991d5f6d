"""Reads of threads. Every one passes `visible_to`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, select, true
from sqlalchemy.orm import aliased

from carnet.errors import NotFound
from carnet.messaging.accounts import acts_with, shut_out
from carnet.messaging.tables import (
    ControlEntry,
    EpochWrap,
    Message,
    MessageAttachment,
    MessagingAccount,
    Thread,
    ThreadMember,
    ThreadState,
)
from carnet.notifications.queries import recipient_of
from carnet.people.actor import Actor, Patient, Professional
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate, paginate_many
from carnet.store.tables import Blob

NEWEST = Order("threads.newest", Thread.last_activity_at.desc(), Thread.id.desc())
OLDEST_CONTROL = Order("control.oldest", ControlEntry.number.asc())
OLDEST_MESSAGE = Order("messages.oldest", Message.number.asc())


def visible_to(actor: Actor, now: datetime, thread: type[Thread] = Thread) -> ColumnElement[bool]:
    """Return the one filter on threads: a member's account is the actor's to act with, and the
    patient has not shut them out."""
    if not isinstance(actor, Patient | Professional):
        return false()
    member, account = aliased(ThreadMember), aliased(MessagingAccount)
    belongs = (
        select(literal(1))
        .select_from(member)
        .join(account, account.id == member.account_id)
        .where(
            member.thread_id == thread.id,
            member.left_at.is_(None),
            acts_with(actor, now, account),
        )
        .correlate_except(member, account)
        .exists()
    )
    if isinstance(actor, Patient):
        return belongs
    return and_(belongs, ~shut_out(actor, thread.person_id))


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Thread]:
    """Return those of the threads that the actor sees."""
    statement = select(Thread).where(Thread.id.in_(ids), visible_to(actor, work.now))
    return {row.id: row for row in await work.session.scalars(statement)}


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
    counted = _threads(actor, work, state).with_only_columns(func.count())
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


async def control_pages(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[ControlEntry]]:
    """Return a page of each thread's control log."""
    return await paginate_many(
        work,
        _within(actor, work, ControlEntry),
        order,
        request,
        parent=ControlEntry.thread_id,
        parents=thread_ids,
    )


async def control_counts(actor: Actor, work: Work, thread_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how long each thread's control log is."""
    statement = _within(actor, work, ControlEntry)
    return await count_many(work, statement, parent=ControlEntry.thread_id, parents=thread_ids)


async def message_pages(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[Message]]:
    """Return a page of each thread's messages."""
    return await paginate_many(
        work,
        _within(actor, work, Message),
        order,
        request,
        parent=Message.thread_id,
        parents=thread_ids,
    )


async def message_counts(actor: Actor, work: Work, thread_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many messages each thread has."""
    statement = _within(actor, work, Message)
    return await count_many(work, statement, parent=Message.thread_id, parents=thread_ids)


async def messages_by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Message]:
    """Return those of the messages that the actor sees."""
    statement = _within(actor, work, Message).where(Message.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def control_by_ids(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, ControlEntry]:
    """Return those of the control entries that the actor sees."""
    statement = _within(actor, work, ControlEntry).where(ControlEntry.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def wraps_of(
    actor: Actor, work: Work, thread_ids: Collection[UUID]
) -> dict[UUID, list[tuple[EpochWrap, bytes]]]:
    """Return the wraps for the viewer's own accounts, with the protocol's id of the account."""
    statement = (
        select(EpochWrap, MessagingAccount.account_id)
        .join(MessagingAccount, MessagingAccount.id == EpochWrap.account_id)
        .join(Thread, Thread.id == EpochWrap.thread_id)
        .where(
            EpochWrap.thread_id.in_(thread_ids),
            acts_with(actor, work.now, MessagingAccount),
            visible_to(actor, work.now),
        )
        .order_by(EpochWrap.thread_id, EpochWrap.epoch, EpochWrap.account_id)
    )
    found: dict[UUID, list[tuple[EpochWrap, bytes]]] = defaultdict(list)
    for wrap, account_id in await work.session.execute(statement):
        found[wrap.thread_id].append((wrap, account_id))
    return found


async def unread(actor: Actor, work: Work, thread_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return how many messages of others each thread has that the viewer has not read."""
    own = aliased(MessagingAccount)
    mine = (
        select(ThreadMember.thread_id, func.max(ThreadMember.read_to).label("read_to"))
        .join(own, own.id == ThreadMember.account_id)
        .where(ThreadMember.thread_id.in_(thread_ids), acts_with(actor, work.now, own))
        .group_by(ThreadMember.thread_id)
        .subquery()
    )
    author = aliased(MessagingAccount)
    statement = (
        select(Message.thread_id, func.count())
        .join(mine, mine.c.thread_id == Message.thread_id)
        .join(author, author.id == Message.account_id)
        .join(Thread, Thread.id == Message.thread_id)
        .where(
            Message.number > mine.c.read_to,
            acts_with(actor, work.now, author).is_not(true()),
            visible_to(actor, work.now),
        )
        .group_by(Message.thread_id)
    )
    return {thread_id: count for thread_id, count in await work.session.execute(statement)}


async def attachments_of(
    actor: Actor, work: Work, message_ids: Collection[UUID]
) -> dict[UUID, list[tuple[MessageAttachment, int]]]:
    """Return the sealed files of messages, each with its size in bytes."""
    statement = (
        select(MessageAttachment, Blob.size_bytes)
        .join(Blob, Blob.id == MessageAttachment.blob_id)
        .join(Message, Message.id == MessageAttachment.message_id)
        .where(MessageAttachment.message_id.in_(message_ids), _is_within(actor, work, Message))
        .order_by(MessageAttachment.message_id, MessageAttachment.position)
    )
    found: dict[UUID, list[tuple[MessageAttachment, int]]] = defaultdict(list)
    for attachment, size in await work.session.execute(statement):
        found[attachment.message_id].append((attachment, size or 0))
    return found


async def attachment(actor: Actor, work: Work, attachment_id: UUID) -> Blob:
    """Return a sealed file's blob.

    Raises:
        NotFound: there is none that the actor sees.
    """
    statement = (
        select(Blob)
        .join(MessageAttachment, MessageAttachment.blob_id == Blob.id)
        .join(Message, Message.id == MessageAttachment.message_id)
        .where(MessageAttachment.id == attachment_id, _is_within(actor, work, Message))
    )
    blob = await work.session.scalar(statement)
    if blob is None:
        raise NotFound()
    return blob


def _within(actor: Actor, work: Work, table: type[Message] | type[ControlEntry]) -> Select:  # type: ignore[type-arg]
    return select(table).where(_is_within(actor, work, table))


def _is_within(
    actor: Actor, work: Work, table: type[Message] | type[ControlEntry]
) -> ColumnElement[bool]:
    thread = aliased(Thread)
    return (
        select(literal(1))
        .select_from(thread)
        .where(thread.id == table.thread_id, visible_to(actor, work.now, thread))
        .correlate_except(thread)
        .exists()
    )
