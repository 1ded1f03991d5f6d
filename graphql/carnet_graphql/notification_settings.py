"""Where a viewer is told outside the app, and of what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.notifications import destinations, rules, tables
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import Node, load_node, read_id, register_node
from carnet_graphql.notifications import NotificationKind

NotificationChannel = tables.Channel
strawberry.enum(
    NotificationChannel,
    name="NotificationChannel",
    description="How somebody is told outside the app.",
)
NotificationLanguage = tables.Language
strawberry.enum(
    NotificationLanguage, name="NotificationLanguage", description="Language of what is sent."
)


@strawberry.type(description="An e-mail address or a browser that is told.")
class NotificationDestination(Node):
    """See `carnet.notifications.tables.Destination`."""

    row: strawberry.Private[tables.Destination]

    @classmethod
    def of(cls, row: tables.Destination) -> NotificationDestination:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="How it is told.")
    def channel(self) -> NotificationChannel:
        """Return the channel."""
        return self.row.channel

    @strawberry.field(description="The e-mail address; null for a browser.")
    def email_address(self) -> str | None:
        """Return the address."""
        return self.row.address if self.row.channel is NotificationChannel.EMAIL else None

    @strawberry.field(description="Language of what is sent.")
    def language(self) -> NotificationLanguage:
        """Return the language."""
        return self.row.language

    @strawberry.field(description="When it was confirmed; before that, nothing is sent to it.")
    def confirmed_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.confirmed_at

    @strawberry.field(description="When it was added.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at


register_node(NotificationDestination, destinations.by_ids, NotificationDestination.of)


@strawberry.type(description="Whether you are told of one kind over one channel.")
class NotificationPreference:
    """One cell of the table of kinds and channels."""

    kind: NotificationKind = strawberry.field(description="What you are told.")
    channel: NotificationChannel = strawberry.field(description="How.")
    is_on: bool = strawberry.field(description="Whether it is sent there.")
    is_mandatory: bool = strawberry.field(description="Whether everybody is told.")


@strawberry.type(description="How you are told outside the app. The list in the app has it all.")
class NotificationSettings:
    """Of one account."""

    account_id: strawberry.Private[UUID]

    @strawberry.field(description="Channels that this server offers.")
    def channels(self, info: Info) -> list[NotificationChannel]:
        """Return the channels."""
        return sorted(info.context.channels.open)

    @strawberry.field(
        description="The `applicationServerKey` for a browser's push subscription; null where the"
        " server sends none."
    )
    def push_public_key(self, info: Info) -> str | None:
        """Return the key."""
        push = info.context.channels.push
        return push.public_key if push else None

    @strawberry.field(description="Addresses and browsers, the oldest first.")
    async def destinations(self, info: Info) -> list[NotificationDestination]:
        """Return the destinations."""
        rows = await info.context.load(destinations.of_accounts, self.account_id)
        return [NotificationDestination.of(row) for row in rows or []]

    @strawberry.field(description="What is sent where: every kind over every channel.")
    async def preferences(self, info: Info) -> list[NotificationPreference]:
        """Return the table."""
        silenced = await info.context.load(destinations.silences_of, self.account_id)
        return [
            NotificationPreference(
                kind=kind,
                channel=channel,
                is_on=kind in rules.MANDATORY or (kind, channel) not in (silenced or ()),
                is_mandatory=kind in rules.MANDATORY,
            )
            for kind in NotificationKind
            for channel in NotificationChannel
        ]


@strawberry.type
class ViewerNotificationSettings:
    """How the viewer is told, on the types that a viewer may be."""

    @strawberry.field(description="How you are told outside the app; null on anybody else.")
    def notification_settings(self, info: Info) -> NotificationSettings | None:
        """Return the settings."""
        actor: Any = info.context.actor
        own = getattr(actor, "person_id", None) or getattr(actor, "professional_id", None)
        if not isinstance(self, Node) or own != self.key:
            return None
        return NotificationSettings(account_id=actor.account_id)


@strawberry.input(description="An e-mail address to be told at.")
class SetNotificationEmailInput:
    """Input of `setNotificationEmail`."""

    address: str = strawberry.field(description="The address. A code is sent to it.")
    language: NotificationLanguage = strawberry.field(
        default=NotificationLanguage.FR, description="Language of what is sent."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The address is known; a code is on its way unless it was confirmed.")
class SetNotificationEmailSuccess:
    """Success of `setNotificationEmail`."""

    destination: NotificationDestination = strawberry.field(description="The address.")


@strawberry.input(description="The code that came by e-mail.")
class ConfirmNotificationEmailInput:
    """Input of `confirmNotificationEmail`."""

    code: str = strawberry.field(description="Eight digits.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The address is confirmed. The one before is told, and used no more.")
class ConfirmNotificationEmailSuccess:
    """Success of `confirmNotificationEmail`."""

    destination: NotificationDestination = strawberry.field(description="The address.")


@strawberry.input(description="What a browser's `PushSubscription.toJSON()` says.")
class AddPushSubscriptionInput:
    """Input of `addPushSubscription`."""

    endpoint: str = strawberry.field(description="Where the push service takes messages.")
    p256dh: str = strawberry.field(description="The browser's public key.")
    auth: str = strawberry.field(description="The browser's secret.")
    language: NotificationLanguage = strawberry.field(
        default=NotificationLanguage.FR, description="Language of what is sent."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The browser is told from now on.")
class AddPushSubscriptionSuccess:
    """Success of `addPushSubscription`."""

    destination: NotificationDestination = strawberry.field(description="The browser.")


@strawberry.input(description="An address or browser to tell no more.")
class RemoveNotificationDestinationInput:
    """Input of `removeNotificationDestination`."""

    destination_id: strawberry.ID = strawberry.field(description="Which.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="It is told no more.")
class RemoveNotificationDestinationSuccess:
    """Success of `removeNotificationDestination`."""

    removed_destination_id: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.input(description="Whether a kind of notification is sent over a channel.")
class SetNotificationPreferenceInput:
    """Input of `setNotificationPreference`."""

    kind: NotificationKind = strawberry.field(description="What you are told.")
    channel: NotificationChannel = strawberry.field(description="How.")
    is_on: bool = strawberry.field(description="Whether it is sent there.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="It is as you want it.")
class SetNotificationPreferenceSuccess:
    """Success of `setNotificationPreference`."""

    settings: NotificationSettings = strawberry.field(description="All of it.")


SetNotificationEmailPayload = Annotated[
    SetNotificationEmailSuccess
    | AccessDenied
    | Conflict
    | RateLimited
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("SetNotificationEmailPayload", description="What came of it."),
]
ConfirmNotificationEmailPayload = Annotated[
    ConfirmNotificationEmailSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ConfirmNotificationEmailPayload", description="What came of it."),
]
AddPushSubscriptionPayload = Annotated[
    AddPushSubscriptionSuccess
    | AccessDenied
    | Conflict
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddPushSubscriptionPayload", description="What came of it."),
]
RemoveNotificationDestinationPayload = Annotated[
    RemoveNotificationDestinationSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("RemoveNotificationDestinationPayload", description="What came of it."),
]
SetNotificationPreferencePayload = Annotated[
    SetNotificationPreferenceSuccess | AccessDenied | Conflict | Unauthenticated | ValidationFailed,
    strawberry.union("SetNotificationPreferencePayload", description="What came of it."),
]


@strawberry.type
class NotificationSettingsMutation:
    """Mutations of how the viewer is told."""

    @strawberry.mutation(description="Be told at an e-mail address, once it is confirmed.")
    async def set_notification_email(
        self, info: Info, input: SetNotificationEmailInput
    ) -> SetNotificationEmailPayload:
        """Set the address."""
        context = info.context
        if NotificationChannel.EMAIL not in context.channels.open:
            raise ValidationRefusal("This server sends no e-mail.", path=("address",))

        async def act(work: Work) -> UUID:
            return await destinations.set_email(context.actor, work, input.address, input.language)

        key = await perform(info, input, act)
        return SetNotificationEmailSuccess(destination=await _destination(info, key))

    @strawberry.mutation(description="Confirm the address with the code that came to it.")
    async def confirm_notification_email(
        self, info: Info, input: ConfirmNotificationEmailInput
    ) -> ConfirmNotificationEmailPayload:
        """Confirm the address."""
        context = info.context

        async def act(work: Work) -> UUID:
            key = context.gate.server_key
            return await destinations.confirm_email(context.actor, work, key, input.code)

        key = await perform(info, input, act)
        destination = await _destination(info, key)
        if destination.row.confirmed_at is None:  # the try is counted, so it was committed
            raise ValidationRefusal("The code is wrong.", path=("code",))
        return ConfirmNotificationEmailSuccess(destination=destination)

    @strawberry.mutation(description="Be told in a browser; the same again changes its keys.")
    async def add_push_subscription(
        self, info: Info, input: AddPushSubscriptionInput
    ) -> AddPushSubscriptionPayload:
        """Add the browser."""
        context = info.context
        push = context.channels.push
        if push is None:
            raise ValidationRefusal("This server pushes nothing.", path=("endpoint",))
        subscription = destinations.PushSubscription.of(
            input.endpoint, input.p256dh, input.auth, private=push.allows_private
        )

        async def act(work: Work) -> UUID:
            return await destinations.add_push(context.actor, work, subscription, input.language)

        key = await perform(info, input, act)
        return AddPushSubscriptionSuccess(destination=await _destination(info, key))

    @strawberry.mutation(description="Be told no more at an address or in a browser.")
    async def remove_notification_destination(
        self, info: Info, input: RemoveNotificationDestinationInput
    ) -> RemoveNotificationDestinationPayload:
        """Remove the destination."""
        context = info.context
        id_ = read_id(input.destination_id, NotificationDestination, "destination_id")

        async def act(work: Work) -> UUID:
            return await destinations.remove(context.actor, work, id_)

        await perform(info, input, act)
        return RemoveNotificationDestinationSuccess(removed_destination_id=input.destination_id)

    @strawberry.mutation(
        description="Have a kind of notification sent over a channel, or not. What everybody is"
        " told cannot be turned off."
    )
    async def set_notification_preference(
        self, info: Info, input: SetNotificationPreferenceInput
    ) -> SetNotificationPreferencePayload:
        """Set the preference."""
        context = info.context

        async def act(work: Work) -> UUID:
            return await destinations.set_preference(
                context.actor, work, input.kind, input.channel, input.is_on
            )

        key = await perform(info, input, act)
        return SetNotificationPreferenceSuccess(settings=NotificationSettings(account_id=key))


async def _destination(info: Info, key: UUID) -> NotificationDestination:
    found = await load_node(info.context, NotificationDestination, key)
    if found is None:  # removed by another device since
        raise ValidationRefusal("It was removed meanwhile.")
    return found
