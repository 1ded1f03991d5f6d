"""What a viewer wants to be told outside the app: over which channels, where, in which language."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from carnet.notifications import preferences, rules
from carnet.notifications.preferences import Preferences
from carnet.notifications.tables import Channel, Destination, DestinationState
from carnet_graphql.codings import Locale
from carnet_graphql.context import Context, Info
from carnet_graphql.node import Node, register_node
from carnet_graphql.notifications import NotificationKind
from carnet_graphql.scalars import URL

NotificationChannel = Channel
strawberry.enum(
    NotificationChannel,
    name="NotificationChannel",
    description="A way to be told outside the app.",
)


@strawberry.type(description="Whether a channel is there, and reaches you.")
class NotificationChannelStatus:
    """One channel, for the viewer."""

    channel: NotificationChannel = strawberry.field(description="Which.")
    is_available: bool = strawberry.field(description="Whether this server sends over it.")
    is_set_up: bool = strawberry.field(
        description="Whether it reaches you: a confirmed address, or a browser that was added."
    )


@strawberry.type(description="The e-mail address that notifications go to.")
class NotificationEmail:
    """See `carnet.notifications.tables.Destination`."""

    row: strawberry.Private[Destination]

    @strawberry.field(description="The address.")
    def address(self) -> str:
        """Return the address."""
        return self.row.address

    @strawberry.field(description="When its code was given.")
    def confirmed_at(self) -> datetime | None:
        """Return when it was confirmed."""
        return self.row.confirmed_at

    @strawberry.field(
        description="Whether its mail server says that there is no such mailbox. Nothing more is"
        " sent to it: ask for a code again, or give another address."
    )
    def is_undeliverable(self) -> bool:
        """Tell whether nothing is sent to it."""
        return self.row.state is DestinationState.UNDELIVERABLE

    @strawberry.field(description="When its server last refused a mail; null once one was taken.")
    def refused_at(self) -> datetime | None:
        """Return when it last refused."""
        return self.row.refused_at


@strawberry.type(description="An e-mail address that waits for its code.")
class PendingNotificationEmail:
    """See `carnet.notifications.tables.Destination`."""

    row: strawberry.Private[Destination]

    @strawberry.field(description="The address that the code was sent to.")
    def address(self) -> str:
        """Return the address."""
        return self.row.address

    @strawberry.field(description="Until when the code is valid.")
    def expires_at(self) -> datetime | None:
        """Return the end of the code."""
        return self.row.expires_at

    @strawberry.field(description="How many more tries there are.")
    def tries_left(self) -> int:
        """Return the tries that are left."""
        return max(rules.CODE_TRIES - self.row.tries, 0)


@strawberry.type(description="A browser that notifications are pushed to.")
class PushDevice(Node):
    """See `carnet.notifications.tables.Destination`. The endpoint is a secret and is not shown."""

    row: strawberry.Private[Destination]

    @classmethod
    def of(cls, row: Destination) -> PushDevice:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The name it gave itself.")
    def name(self) -> str | None:
        """Return the name."""
        return self.row.name

    @strawberry.field(description="When it was first added.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at

    @strawberry.field(description="When its push service last refused; null once it took one.")
    def refused_at(self) -> datetime | None:
        """Return when it last refused."""
        return self.row.refused_at


@strawberry.type(description="Over what one kind of notification goes out.")
class NotificationKindPreference:
    """The choice for one kind."""

    kind: NotificationKind = strawberry.field(description="What is told.")
    is_mandatory: bool = strawberry.field(
        description="Whether it must reach you: the last channel that is set up cannot be left out."
    )
    channels: list[NotificationChannel] = strawberry.field(
        description="The channels chosen, set up or not."
    )
    outgoing_channels: list[NotificationChannel] = strawberry.field(
        description="The channels that it goes out over now."
    )


@strawberry.type(
    description="How you are told things outside the app. The list in the app has everything."
)
class NotificationPreferences:
    """See `carnet.notifications.preferences.Preferences`."""

    found: strawberry.Private[Preferences]

    @strawberry.field(description="The language of what is sent.")
    def locale(self) -> Locale:
        """Return the language."""
        return Locale(self.found.locale.value)

    @strawberry.field(description="Every channel there is.")
    def channels(self, info: Info) -> list[NotificationChannelStatus]:
        """Return the channels."""
        return [
            NotificationChannelStatus(
                channel=channel,
                is_available=info.context.channels.is_on(channel),
                is_set_up=channel in self.found.set_up,
            )
            for channel in Channel
        ]

    @strawberry.field(
        description="The server's public key, as `applicationServerKey` of"
        " `PushManager.subscribe` takes it; null where Web Push is off."
    )
    def web_push_key(self, info: Info) -> str | None:
        """Return the public VAPID key."""
        push = info.context.channels.push
        return push.key.public_key if push else None

    @strawberry.field(description="Where the links in what is sent lead; null where nothing is.")
    def app_url(self, info: Info) -> URL | None:
        """Return the address of the app."""
        senders = info.context.channels
        sender = senders.mail or senders.push
        return URL(sender.link) if sender else None

    @strawberry.field(description="The e-mail address; null where none was confirmed.")
    def email(self) -> NotificationEmail | None:
        """Return the address in use."""
        in_use = (DestinationState.ACTIVE, DestinationState.UNDELIVERABLE)
        row = self._email(*in_use)
        return NotificationEmail(row=row) if row else None

    @strawberry.field(description="An address whose code was not given yet.")
    def pending_email(self) -> PendingNotificationEmail | None:
        """Return the address that waits."""
        row = self._email(DestinationState.PENDING)
        return PendingNotificationEmail(row=row) if row else None

    @strawberry.field(description="Browsers that are pushed to: at most 10.")
    def devices(self) -> list[PushDevice]:
        """Return the browsers, the oldest first."""
        return [
            PushDevice.of(row) for row in self.found.destinations if row.channel is Channel.WEB_PUSH
        ]

    @strawberry.field(description="Every kind that you can be told, and over what it goes out.")
    def kinds(self) -> list[NotificationKindPreference]:
        """Return the choices."""
        return [
            NotificationKindPreference(
                kind=kind,
                is_mandatory=kind in rules.MANDATORY,
                channels=self.found.chosen(kind),
                outgoing_channels=self.found.outgoing(kind),
            )
            for kind in self.found.who.kinds
        ]

    def _email(self, *states: DestinationState) -> Destination | None:
        found = (
            row
            for row in self.found.destinations
            if row.channel is Channel.EMAIL and row.state in states
        )
        return next(found, None)


register_node(PushDevice, preferences.own_devices, PushDevice.of)


@strawberry.type
class ViewerNotificationPreferences:
    """The preferences, on the types of viewers who are told things outside the app."""

    @strawberry.field(description="How you are told things outside the app; null on anybody else.")
    async def notification_preferences(self, info: Info) -> NotificationPreferences | None:
        """Return the viewer's own preferences."""
        return await preferences_of(info.context, self.key) if isinstance(self, Node) else None


async def preferences_of(context: Context, recipient_id: UUID) -> NotificationPreferences | None:
    """Return the preferences of a person or professional who is the viewer."""
    found = await context.load(preferences.preferences, recipient_id)
    return NotificationPreferences(found=found) if found else None
