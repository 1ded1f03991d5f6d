"""Reads of messages and their sealed files. Every one passes the filter on who may read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cache
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, literal, select
from sqlalchemy.orm import aliased

from carnet.errors import NotFound
from carnet.messaging.prepared import IDS, NOW, anybody, seen
from carnet.messaging.tables import Message, MessageAttachment, Thread
from carnet.messaging.taking_part import Moment, readable_by
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet.store.tables import Blob

OLDEST = Order("messages.oldest", Message.number.asc())


async def pages(
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
        _after(actor, work, after),
        order,
        request,
        parent=Message.thread_id,
        parents=thread_ids,
    )


async def counts(
    actor: Actor, work: Work, thread_ids: Sequence[UUID], after: int | None
) -> dict[UUID, int]:
    """Return how many messages each thread has, after a message's number."""
    statement = _after(actor, work, after)
    return await count_many(work, statement, parent=Message.thread_id, parents=thread_ids)


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Message]:
    """Return those of the messages that the actor sees."""
    return await seen(actor, work, _by_ids(actor.kind), ids)


async def attachments_of(
    actor: Actor, work: Work, message_ids: Collection[UUID]
) -> dict[UUID, list[tuple[MessageAttachment, int]]]:
    """Return the sealed files of messages, each with its size in bytes."""
    statement = (
        select(MessageAttachment, Blob.size_bytes)
        .join(Blob, Blob.id == MessageAttachment.blob_id)
        .join(Message, Message.id == MessageAttachment.message_id)
        .where(MessageAttachment.message_id.in_(message_ids), _is_seen(actor, work.now))
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
        .where(MessageAttachment.id == attachment_id, _is_seen(actor, work.now))
    )
    blob = await work.session.scalar(statement)
    if blob is None:
        raise NotFound()
    return blob


@cache
def _by_ids(kind: str) -> Select[Message] | None:
    actor = anybody(kind)
    if actor is None:
        return None
    return select(Message).where(Message.id == any_(IDS), _is_seen(actor, NOW))


def _after(actor: Actor, work: Work, number: int | None) -> Select[Message]:
    statement = select(Message).where(_is_seen(actor, work.now))
    return statement if number is None else statement.where(Message.number > number)


def _is_seen(actor: Actor, now: Moment) -> ColumnElement[bool]:
    thread = aliased(Thread)
    readable = readable_by(actor, now, thread, cast(ColumnElement[int], Message.epoch))
    within = select(literal(1)).select_from(thread).where(thread.id == Message.thread_id, readable)
    return within.correlate_except(thread).exists()
