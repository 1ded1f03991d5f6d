"""What one person is told: the subscriptions to the inbox and to notifications."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry

from carnet.access.journal import JournalAction
from carnet.errors import AccessDenied, Unauthenticated
from carnet.notifications import queries
from carnet.notifications.actions import NotificationEventKind
from carnet.people.actor import Anonymous
from carnet.store.events import LoggedEvent
from carnet_graphql.context import Context, Info
from carnet_graphql.notifications import Notification
from carnet_graphql.subscriptions.documents import (
    DocumentChanged,
    DocumentDeposited,
    DocumentRemoved,
    DocumentReplaced,
    documents_told,
    present_documents,
)
from carnet_graphql.subscriptions.threads import (
    MessageErased,
    MessageReceived,
    ThreadLogGrown,
    ThreadRead,
    present_threads,
)
from carnet_graphql.subscriptions.topic import AfterEvent, CaughtUp, Event, Follow, Topic

KINDS = {kind.value: kind for kind in NotificationEventKind}


@strawberry.interface(description="Something about what you are told.")
class InboxEntryEvent(Event):
    """Base of events of notifications."""

    event_id: strawberry.ID = strawberry.field(
        description="The event's own id, the same in every subscription that tells it."
    )
    at: datetime = strawberry.field(description="When it happened.")
    notification: Notification = strawberry.field(description="The notification, as it is now.")


@strawberry.type(description="You are told something.")
class NotificationReceived(InboxEntryEvent):
    """A new notification."""


@strawberry.type(description="A notification was marked as read, perhaps on another device.")
class NotificationRead(InboxEntryEvent):
    """A notification that was read."""


NotificationEvent = Annotated[
    CaughtUp | NotificationReceived | NotificationRead,
    strawberry.union("NotificationEvent", description="What happened to your notifications."),
]
InboxEvent = Annotated[
    CaughtUp
    | DocumentDeposited
    | DocumentReplaced
    | DocumentChanged
    | DocumentRemoved
    | NotificationReceived
    | NotificationRead
    | MessageReceived
    | MessageErased
    | ThreadLogGrown
    | ThreadRead,
    strawberry.union("InboxEvent", description="What happened in all that is yours."),
]


@dataclass(frozen=True, slots=True)
class NotificationTopic(Topic):
    """The notifications of one recipient; the stream is their inbox."""

    kind: ClassVar[str] = "notifications"

    async def standing(self, context: Context) -> datetime | None:
        """Return None: what one is told is one's own for as long as one is signed in."""
        if queries.recipient_of(context.actor) != self.stream_id:
            raise AccessDenied("access.no-role")
        return None

    async def open(self, context: Context) -> None:
        """Read nothing: nobody else's is in it."""

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the events of notifications."""
        return await _present(self, context, rows)


@dataclass(frozen=True, slots=True)
class InboxTopic(NotificationTopic):
    """All that happens to what is the recipient's, in one order."""

    kind: ClassVar[str] = "inboxEvents"

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the events, each of whatever it tells."""
        of_documents = await present_documents(self, context, rows)
        of_notifications = await _present(self, context, rows)
        of_threads = await present_threads(self, context, rows)
        told = zip(of_documents, of_notifications, of_threads, strict=True)
        return [a or b or c for a, b, c in told]

    def told(self, rows: Sequence[Any]) -> set[tuple[UUID, JournalAction]]:
        """Return the reads of documents."""
        return documents_told(rows)


async def _present(
    topic: Topic, context: Context, rows: Sequence[LoggedEvent]
) -> list[Event | None]:
    ids = list(dict.fromkeys(row.subject_id for row in rows if row.kind in KINDS))
    loaded = await context.load_many(queries.by_ids, ids) if ids else []
    seen = {row.id: row for row in loaded if row is not None}
    events: list[Event | None] = []
    for row in rows:
        found = seen.get(row.subject_id) if row.kind in KINDS else None
        if found is None:
            events.append(None)
            continue
        is_read = KINDS[row.kind] is NotificationEventKind.READ
        made = NotificationRead if is_read else NotificationReceived
        events.append(
            made(
                cursor=topic.cursor(context, row.number, row.id),
                event_id=strawberry.ID(str(row.id)),
                at=row.at,
                notification=Notification.of(found),
            )
        )
    return events


def _topic(info: Info, kind: type[NotificationTopic]) -> NotificationTopic:
    actor = info.context.actor
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    recipient = queries.recipient_of(actor)
    if recipient is None:
        raise AccessDenied("access.no-role")
    return kind(recipient)


@strawberry.type
class InboxSubscription:
    """Subscriptions to what the viewer is told."""

    @strawberry.subscription(
        description="All that happens to what is yours, in one order: documents of your record, of"
        " those you act for and, as a professional, of those whose care team you are in, by name"
        " or by an organization of at most 50 professionals; messages of your threads; and what"
        " you are told. An event of what you no longer see is left out."
    )
    async def inbox_events(
        self, info: Info, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[InboxEvent, None]:
        """Return what to follow."""
        return Follow.of(_topic(info, InboxTopic), after)  # type: ignore[return-value]

    @strawberry.subscription(description="What you are told, and what of it was read.")
    async def notifications(
        self, info: Info, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[NotificationEvent, None]:
        """Return what to follow."""
        return Follow.of(_topic(info, NotificationTopic), after)  # type: ignore[return-value]
