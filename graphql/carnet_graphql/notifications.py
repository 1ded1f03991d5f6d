"""What somebody is told: that something awaits them, never what it says."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.notifications import actions, queries, tables
from carnet.store.database import Work
from carnet.store.keyset import LARGEST_PAGE
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.errors import Conflict, NotFound, Unauthenticated, ValidationFailed
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import Node, load_node, read_id, register_node
from carnet_graphql.records import Record

NotificationKind = tables.NotificationKind
strawberry.enum(NotificationKind, description="What somebody is told.")

UnreadOnly = Annotated[bool, strawberry.argument(description="Only what was not marked as read.")]


@strawberry.type(description="One thing that you are told. It says nothing of health.")
class Notification(Node):
    """See `carnet.notifications.tables.Notification`."""

    row: strawberry.Private[tables.Notification]

    @classmethod
    def of(cls, row: tables.Notification) -> Notification:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="What it is about.")
    def kind(self) -> NotificationKind:
        """Return the kind."""
        return self.row.kind

    @strawberry.field(description="When it happened.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at

    @strawberry.field(description="When it was marked as read; null when it was not.")
    def read_at(self) -> datetime | None:
        """Return when it was read."""
        return self.row.read_at

    @strawberry.field(description="The record it is about; null where you may see none.")
    async def record(self, info: Info) -> Record | None:
        """Return the record, with the rights of now."""
        id_ = self.row.record_id
        return await load_node(info.context, Record, id_) if id_ else None


register_node(Notification, queries.by_ids, Notification.of)


@strawberry.type
class ViewerNotifications:
    """What the viewer is told, on the types that a viewer may be."""

    @strawberry.field(
        description="What you are told, the newest first; nothing on anybody else."
        " Operators are told together."
    )
    async def notifications(
        self,
        info: Info,
        unread_only: UnreadOnly = False,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Notification]:
        """Return a page of notifications."""
        return await connection(
            info.context,
            self.recipient(),
            page_request(first, after, last, before),
            Notification.of,
            pages=queries.pages,
            counts=queries.counts,
            order=queries.NEWEST,
            arguments=(unread_only,),
        )

    def recipient(self) -> UUID:
        """Return whom the notifications are for: themself."""
        own: UUID = self.key  # type: ignore[attr-defined]
        return own


@strawberry.input(description="Which notifications you have read.")
class MarkNotificationsReadInput:
    """Input of `markNotificationsRead`."""

    notification_ids: list[strawberry.ID] = strawberry.field(
        description="Notifications of yours: 1 to 100."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They are marked as read.")
class MarkNotificationsReadSuccess:
    """Success of `markNotificationsRead`."""

    notifications: list[Notification] = strawberry.field(
        description="They, in the order of the input."
    )


MarkNotificationsReadPayload = Annotated[
    MarkNotificationsReadSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("MarkNotificationsReadPayload", description="What came of marking them."),
]


@strawberry.type
class NotificationMutation:
    """Mutations of notifications."""

    @strawberry.mutation(
        description="Mark notifications as read: all of them, or none when one is not yours."
    )
    async def mark_notifications_read(
        self, info: Info, input: MarkNotificationsReadInput
    ) -> MarkNotificationsReadPayload:
        """Mark them."""
        context = info.context
        given = list(dict.fromkeys(input.notification_ids))
        if not 1 <= len(given) <= LARGEST_PAGE:
            raise ValidationRefusal(f"1 to {LARGEST_PAGE} ids.", path=("notification_ids",))
        ids = [read_id(text, Notification, "notification_ids") for text in given]

        async def act(work: Work) -> UUID:
            await actions.mark_read(context.actor, work, ids)
            return ids[0]

        await perform(info, input, act)
        rows = await context.load_many(queries.by_ids, ids)
        return MarkNotificationsReadSuccess(
            notifications=[Notification.of(row) for row in rows if row is not None]
        )
