"""Reads of threads. Every one passes `visible_to`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, func, literal, select
from sqlalchemy.orm import aliased

from carnet.access.tables import Delegation, DelegationScope
from carnet.errors import NotFound
from carnet.messaging.tables import (
    ControlEntry,
    EpochWrap,
    Message,
    MessageAttachment,
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
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate, paginate_many
from carnet.store.tables import Blob

NEWEST = Order("threads.newest", Thread.last_activity_at.desc(), Thread.id.desc())
OLDEST_CONTROL = Order("control.oldest", ControlEntry.number.asc())
OLDEST_MESSAGE = Order("messages.oldest", Message.number.asc())
MOST_CAUGHT_UP = 50  # entries in one refusal; the rest is read page by page
MOST_UNREAD = 1000  # messages of a thread that are counted


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
        _within(actor, work, ControlEntry).where(_past(ControlEntry, after)),
        order,
        request,
        parent=ControlEntry.thread_id,
        parents=thread_ids,
    )


async def control_counts(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], after: int | None
) -> dict[UUID, int]:
    """Return how long each thread's control log is, after an entry's number."""
    statement = _within(actor, work, ControlEntry).where(_past(ControlEntry, after))
    return await count_many(work, statement, parent=ControlEntry.thread_id, parents=thread_ids)


async def message_pages(
    actor: Actor,
    work: Work,
    thread_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    after: int | None,
) -> dict[UUID, Page[Message]]:
    """Return a page of each thread's messages, of what follows a message's number."""
    return await paginate_many(
        work,
        _within(actor, work, Message).where(_past(Message, after)),
        order,
        request,
        parent=Message.thread_id,
        parents=thread_ids,
    )


async def message_counts(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], after: int | None
) -> dict[UUID, int]:
    """Return how many messages each thread has, after a message's number."""
    statement = _within(actor, work, Message).where(_past(Message, after))
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
    ending = (
        select(func.min(Delegation.expires_at))
        .where(
            Delegation.holder_person_id == Thread.person_id,
            Delegation.delegate_person_id == recipient_of(actor),  # of nobody but a person
            Delegation.revoked_at.is_(None),
            Delegation.expires_at > work.now,
            literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        )
        .correlate(Thread)
        .scalar_subquery()
    )
    mandate = aliased(MessagingMandate)
    over = (
        select(func.min(mandate.not_after))
        .join(ThreadMember, ThreadMember.account_id == mandate.account_id)
        .where(ThreadMember.thread_id == Thread.id, mandate.not_after > work.now)
        .correlate(Thread)
        .scalar_subquery()
    )
    statement = select(ending, over).where(Thread.id == thread_id, visible_to(actor, work.now))
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    return min((at for at in found if at is not None), default=None)


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


async def log_after(work: Work, thread_id: UUID, number: int) -> list[ControlEntry]:
    """Return what follows in a control log, at most `MOST_CAUGHT_UP` entries: for members."""
    statement = (
        select(ControlEntry)
        .where(ControlEntry.thread_id == thread_id, ControlEntry.number > number)
        .order_by(ControlEntry.number)
        .limit(MOST_CAUGHT_UP)
    )
    return list(await work.session.scalars(statement))


async def log_after_epoch(work: Work, thread_id: UUID, epoch: int) -> list[ControlEntry]:
    """Return what follows the end of an epoch in a control log, as `log_after`."""
    statement = (
        select(ControlEntry)
        .where(ControlEntry.thread_id == thread_id, ControlEntry.epoch > epoch)
        .order_by(ControlEntry.number)
        .limit(MOST_CAUGHT_UP)
    )
    return list(await work.session.scalars(statement))


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


def _past(table: type[Message] | type[ControlEntry], after: int | None) -> ColumnElement[bool]:
    return table.number > after if after is not None else literal(True)


def _within(actor: Actor, work: Work, table: type[Message] | type[ControlEntry]) -> Select:  # type: ignore[type-arg]
    return select(table).where(_is_within(actor, work, table))


def _is_within(
    actor: Actor, work: Work, table: type[Message] | type[ControlEntry]
) -> ColumnElement[bool]:
    thread = aliased(Thread)
    seen = visible_to(actor, work.now, thread)
    if table is Message:
        seen = readable_by(actor, work.now, thread, cast(ColumnElement[int], Message.epoch))
    within = select(literal(1)).select_from(thread).where(thread.id == table.thread_id, seen)
    return within.correlate_except(thread).exists()
