"""The subscription to one thread, and what of threads an inbox is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry

from carnet.messaging import control_log, messages, threads
from carnet.messaging.telling import ThreadEventKind
from carnet.notifications.queries import recipient_of
from carnet.store.events import LoggedEvent
from carnet_graphql.context import Context, Info
from carnet_graphql.messaging_threads import ControlEntry, Message, Thread
from carnet_graphql.node import GlobalId, read_id
from carnet_graphql.subscriptions.topic import AfterEvent, CaughtUp, Event, Follow, Topic

NOBODY = UUID(int=0)  # the id of no thread
MESSAGES = (ThreadEventKind.MESSAGE.value, ThreadEventKind.ERASED.value)


@strawberry.interface(description="Something that happened in a thread.")
class ThreadChange(Event):
    """Base of events of threads."""

    event_id: strawberry.ID = strawberry.field(
        description="The event's own id, the same in every subscription that tells it."
    )
    at: datetime = strawberry.field(description="When it happened.")
    thread: Thread = strawberry.field(description="The thread, as it is now.")


@strawberry.type(description="A message was sent.")
class MessageReceived(ThreadChange):
    """A new envelope."""

    message: Message = strawberry.field(description="The message.")


@strawberry.type(description="The body of a message was erased.")
class MessageErased(ThreadChange):
    """An envelope without its body."""

    message: Message = strawberry.field(description="The message, as it is now.")


@strawberry.type(description="The thread's control log has grown.")
class ThreadLogGrown(ThreadChange):
    """A new control entry."""

    entry: ControlEntry = strawberry.field(description="The entry.")


@strawberry.type(description="You have read on, perhaps on another device. Told to nobody else.")
class ThreadRead(ThreadChange):
    """What was unread."""


ThreadEvent = Annotated[
    CaughtUp | MessageReceived | MessageErased | ThreadLogGrown | ThreadRead,
    strawberry.union("ThreadEvent", description="What happened in a thread."),
]


@dataclass(frozen=True, slots=True)
class ThreadTopic(Topic):
    """The events of one thread."""

    kind: ClassVar[str] = "threadEvents"

    async def standing(self, context: Context) -> datetime | None:
        """Return until when the actor may take part; who is a member is so until somebody says
        otherwise, who acts for one perhaps only for a time."""
        async with context.database.glance() as work:
            return await threads.ends_at(context.actor, work, self.stream_id)

    async def open(self, context: Context) -> None:
        """Read nothing: what is told is ciphertext of members."""

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the events of the thread."""
        return await present_threads(self, context, rows)


async def present_threads(
    topic: Topic, context: Context, rows: Sequence[LoggedEvent]
) -> list[Event | None]:
    """Return the events that are of threads, with the rights of now; None for the others."""
    message_ids = list(dict.fromkeys(row.subject_id for row in rows if row.kind in MESSAGES))
    entry_ids = [row.subject_id for row in rows if row.kind == ThreadEventKind.CONTROL]
    loaded = await context.load_many(messages.by_ids, message_ids) if message_ids else []
    sent = {row.id: row for row in loaded if row is not None}
    read = await context.load_many(control_log.by_ids, entry_ids) if entry_ids else []
    entries = {row.id: row for row in read if row is not None}
    ids = {row.thread_id for row in sent.values()}
    ids |= {row.thread_id for row in entries.values()}
    ids |= {id_ for row in rows if (id_ := _read_by_viewer(topic, context, row)) is not None}
    found = await context.load_many(threads.by_ids, sorted(ids)) if ids else []
    of = {row.id: Thread.of(row) for row in found if row is not None}
    events: list[Event | None] = []
    for row in rows:
        told: dict[str, Any] = {
            "cursor": topic.cursor(context, row.number, row.id),
            "event_id": strawberry.ID(str(row.id)),
            "at": row.at,
        }
        message, entry = sent.get(row.subject_id), entries.get(row.subject_id)
        if message is not None and message.thread_id in of:
            made = MessageErased if row.kind == ThreadEventKind.ERASED else MessageReceived
            told |= {"thread": of[message.thread_id], "message": Message.of(message)}
            events.append(made(**told))
        elif entry is not None and entry.thread_id in of:
            told |= {"thread": of[entry.thread_id], "entry": ControlEntry.of(entry)}
            events.append(ThreadLogGrown(**told))
        elif (of_read := of.get(_read_by_viewer(topic, context, row) or NOBODY)) is not None:
            events.append(ThreadRead(**told, thread=of_read))
        else:
            events.append(None)
    return events


def _read_by_viewer(topic: Topic, context: Context, row: LoggedEvent) -> UUID | None:
    """Return the thread that the viewer has read on, where that is what happened.

    A thread's stream says who has read it, an inbox which thread was: it is its owner's.
    """
    if row.kind != ThreadEventKind.READ:
        return None
    if not isinstance(topic, ThreadTopic):
        return row.subject_id
    return topic.stream_id if row.subject_id == recipient_of(context.actor) else None


@strawberry.type
class ThreadSubscription:
    """Subscription to a thread."""

    @strawberry.subscription(
        description="What happens in a conversation. Events are hints: read on by number, and"
        " verify, before you believe any."
    )
    async def thread_events(
        self, info: Info, thread: GlobalId, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[ThreadEvent, None]:
        """Return what to follow."""
        topic = ThreadTopic(read_id(thread, Thread, "thread"))
        return Follow.of(topic, after)  # type: ignore[return-value]
