"""Choosing how one is told things outside the app: kinds, language, address and browsers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.errors import NotFound as NotFoundRefusal
from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.notifications import addresses, devices, preferences, tables
from carnet.notifications.codes import Codes
from carnet.notifications.tables import Channel
from carnet.people.actor import Patient, Professional
from carnet.store.database import Work
from carnet_graphql.codings import Locale
from carnet_graphql.context import Context, Info
from carnet_graphql.errors import (
    Conflict,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import read_id
from carnet_graphql.notification_preferences import (
    NotificationChannel,
    NotificationPreferences,
    PushDevice,
    preferences_of,
)
from carnet_graphql.notifications import NotificationKind


@strawberry.input(description="Over what one kind of notification goes out.")
class NotificationKindPreferenceInput:
    """Part of `SetNotificationPreferencesInput`."""

    kind: NotificationKind = strawberry.field(description="What is told; each kind once.")
    channels: list[NotificationChannel] = strawberry.field(
        description="The channels it goes out over; empty for the list in the app only."
    )


@strawberry.input(description="What to change; what is left out stays.")
class SetNotificationPreferencesInput:
    """Input of `setNotificationPreferences`."""

    locale: Locale | None = strawberry.field(
        default=None, description="The language of what is sent."
    )
    kinds: list[NotificationKindPreferenceInput] = strawberry.field(
        default_factory=list, description="Kinds to choose anew."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Where e-mails shall go.")
class RequestNotificationEmailInput:
    """Input of `requestNotificationEmail`."""

    address: str = strawberry.field(description="An address in ASCII, such as name@example.org.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="The code that was sent to the address.")
class ConfirmNotificationEmailInput:
    """Input of `confirmNotificationEmail`."""

    code: str = strawberry.field(description="Six digits.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Send no more e-mails.")
class RemoveNotificationEmailInput:
    """Input of `removeNotificationEmail`."""

    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A browser's subscription, as `PushSubscription.toJSON()` has it.")
class AddPushDeviceInput:
    """Input of `addPushDevice`."""

    endpoint: str = strawberry.field(description="`endpoint`: an https URL of its push service.")
    p256dh: bytes = strawberry.field(description="`keys.p256dh`: the browser's public key.")
    auth: bytes = strawberry.field(description="`keys.auth`: the secret for this subscription.")
    name: str | None = strawberry.field(
        default=None, description="How it is shown in the list of browsers: at most 100 characters."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which browser to push to no more.")
class RemovePushDeviceInput:
    """Input of `removePushDevice`."""

    device_id: strawberry.ID = strawberry.field(description="A browser of yours.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="It is chosen.")
class SetNotificationPreferencesSuccess:
    """Success of `setNotificationPreferences`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


@strawberry.type(
    description="A code is on its way to the address; until it is given, nothing changes. For the"
    " address in use none is sent."
)
class RequestNotificationEmailSuccess:
    """Success of `requestNotificationEmail`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


@strawberry.type(
    description="Notifications go to the address; the former one is told that it is used no more."
)
class ConfirmNotificationEmailSuccess:
    """Success of `confirmNotificationEmail`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


@strawberry.type(description="No more e-mails are sent; the address is told so.")
class RemoveNotificationEmailSuccess:
    """Success of `removeNotificationEmail`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


@strawberry.type(description="The browser is pushed to.")
class AddPushDeviceSuccess:
    """Success of `addPushDevice`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


@strawberry.type(description="The browser is pushed to no more.")
class RemovePushDeviceSuccess:
    """Success of `removePushDevice`."""

    preferences: NotificationPreferences = strawberry.field(description="As they are now.")


SetNotificationPreferencesPayload = Annotated[
    SetNotificationPreferencesSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("SetNotificationPreferencesPayload", description="What came of choosing."),
]
RequestNotificationEmailPayload = Annotated[
    RequestNotificationEmailSuccess
    | Conflict
    | NotFound
    | RateLimited
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("RequestNotificationEmailPayload", description="What came of asking."),
]
ConfirmNotificationEmailPayload = Annotated[
    ConfirmNotificationEmailSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("ConfirmNotificationEmailPayload", description="What came of the code."),
]
RemoveNotificationEmailPayload = Annotated[
    RemoveNotificationEmailSuccess | Conflict | NotFound | Unauthenticated,
    strawberry.union("RemoveNotificationEmailPayload", description="What came of removing it."),
]
AddPushDevicePayload = Annotated[
    AddPushDeviceSuccess | Conflict | NotFound | QuotaExceeded | Unauthenticated | ValidationFailed,
    strawberry.union("AddPushDevicePayload", description="What came of adding it."),
]
RemovePushDevicePayload = Annotated[
    RemovePushDeviceSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("RemovePushDevicePayload", description="What came of removing it."),
]


@strawberry.type
class NotificationPreferenceMutation:
    """Mutations of how one is told things outside the app."""

    @strawberry.mutation(
        description="Choose over which channels kinds of notifications go out, and the language."
        " What a rule wants told keeps at least one channel that is set up."
    )
    async def set_notification_preferences(
        self, info: Info, input: SetNotificationPreferencesInput
    ) -> SetNotificationPreferencesPayload:
        """Set them."""
        chosen = {each.kind: each.channels for each in input.kinds}
        if len(chosen) != len(input.kinds):
            raise ValidationRefusal("Each kind once.", path=("kinds",))
        locale = tables.Locale(input.locale.value) if input.locale else None

        async def act(work: Work) -> UUID:
            return await preferences.set_preferences(info.context.actor, work, chosen, locale)

        await perform(info, input, act)
        return SetNotificationPreferencesSuccess(preferences=await _preferences(info.context))

    @strawberry.mutation(
        description="Ask for a code at an e-mail address that notifications shall go to."
    )
    async def request_notification_email(
        self, info: Info, input: RequestNotificationEmailInput
    ) -> RequestNotificationEmailPayload:
        """Send a code."""
        context = info.context

        async def act(work: Work) -> UUID:
            if context.channels.mail is None:
                raise _off(Channel.EMAIL, "address")
            return await addresses.request_code(context.actor, work, _codes(context), input.address)

        await perform(info, input, act)
        return RequestNotificationEmailSuccess(preferences=await _preferences(context))

    @strawberry.mutation(
        description="Confirm an e-mail address with the code that was sent to it: five tries."
    )
    async def confirm_notification_email(
        self, info: Info, input: ConfirmNotificationEmailInput
    ) -> ConfirmNotificationEmailPayload:
        """Confirm it; the try is counted whatever becomes of the rest."""
        context = info.context
        counted = await addresses.count_try(context.actor, context.database)

        async def act(work: Work) -> UUID:
            return await addresses.confirm(
                context.actor, work, _codes(context), counted, input.code
            )

        await perform(info, input, act)
        return ConfirmNotificationEmailSuccess(preferences=await _preferences(context))

    @strawberry.mutation(
        description="Send no more e-mails, and forget an address that waits for its code."
    )
    async def remove_notification_email(
        self, info: Info, input: RemoveNotificationEmailInput
    ) -> RemoveNotificationEmailPayload:
        """Remove it."""

        async def act(work: Work) -> UUID:
            return await addresses.remove_address(info.context.actor, work)

        await perform(info, input, act)
        return RemoveNotificationEmailSuccess(preferences=await _preferences(info.context))

    @strawberry.mutation(
        description="Push notifications to a browser. The same endpoint again has the new keys."
    )
    async def add_push_device(self, info: Info, input: AddPushDeviceInput) -> AddPushDevicePayload:
        """Add it."""
        context = info.context

        async def act(work: Work) -> UUID:
            push = context.channels.push
            if push is None:
                raise _off(Channel.WEB_PUSH, "endpoint")
            return await devices.add_device(
                context.actor,
                work,
                push.rules,
                endpoint=input.endpoint,
                p256dh=input.p256dh,
                auth=input.auth,
                name=input.name,
            )

        await perform(info, input, act)
        return AddPushDeviceSuccess(preferences=await _preferences(context))

    @strawberry.mutation(description="Push to a browser no more.")
    async def remove_push_device(
        self, info: Info, input: RemovePushDeviceInput
    ) -> RemovePushDevicePayload:
        """Remove it."""
        device_id = read_id(input.device_id, PushDevice, "device_id")

        async def act(work: Work) -> UUID:
            return await devices.remove_device(info.context.actor, work, device_id)

        await perform(info, input, act)
        return RemovePushDeviceSuccess(preferences=await _preferences(info.context))


def _codes(context: Context) -> Codes:
    return Codes(context.gate.server_key)


def _off(channel: Channel, field: str) -> ValidationRefusal:
    return ValidationRefusal(f"This server sends nothing over {channel.value}.", path=(field,))


async def _preferences(context: Context) -> NotificationPreferences:
    match context.actor:
        case Patient(person_id=id_) | Professional(professional_id=id_):
            found = await preferences_of(context, id_)
            if found is not None:
                return found
    raise NotFoundRefusal()
