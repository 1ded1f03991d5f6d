"""What clients do in threads: open them, add to their logs, send, erase, mark as read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from carnet.errors import RightsChanged
from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.messaging import message_actions, thread_actions
from carnet.messaging.message_actions import Sending
from carnet.messaging.wraps import GivenWrap
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotAllowedToOpen,
    NotFound,
    QuotaExceeded,
    RotationDue,
    StaleControlHead,
    StaleSequence,
    ThreadClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.messaging_threads import Message, Thread
from carnet_graphql.node import load_node, read_id

MOST_WRAPS = 3000


@strawberry.input(description="An epoch's secret, sealed for a member.")
class EpochWrapInput:
    """Part of inputs with a control entry."""

    account_id: bytes = strawberry.field(description="The protocol's id of the member's account.")
    wrap: bytes = strawberry.field(description="The sealed box: 166 bytes.")
    epoch: int | None = strawberry.field(
        default=None,
        description="An older epoch, for a member who joins with history; left out for the epoch"
        " that the entry begins.",
    )


@strawberry.input(description="A new conversation.")
class OpenThreadInput:
    """Input of `openThread`."""

    entry: bytes = strawberry.field(description="The CREATE entry, signed within five minutes.")
    wraps: list[EpochWrapInput] = strawberry.field(description="One for each member.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="What follows in a thread's control log.")
class AppendControlEntryInput:
    """Input of `appendControlEntry`."""

    thread_id: bytes = strawberry.field(description="The protocol's id of the thread.")
    entry: bytes = strawberry.field(description="The entry, signed within five minutes.")
    wraps: list[EpochWrapInput] = strawberry.field(
        default_factory=list, description="Where it begins an epoch: one for each member."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A sealed message, and what its sender says of it in the clear.")
class SendMessageInput:
    """Input of `sendMessage`."""

    envelope: bytes = strawberry.field(description="The envelope.")
    account_id: bytes = strawberry.field(
        description="The protocol's id of the account whose device sends: a member's, or that of"
        " somebody who writes for one as its delegate or team."
    )
    device_id: bytes = strawberry.field(description="The protocol's id of the sender's device.")
    sequence: int = strawberry.field(
        description="The device's number of it in the thread: one more than its last."
    )
    blob_ids: list[UUID] = strawberry.field(
        default_factory=list, description="Sealed files that were uploaded: at most 16."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When to erase its body; left out for never."
    )
    is_quiet: bool = strawberry.field(
        default=False,
        description="Nobody need be told, as of a receipt: it is never unread, and no notification"
        " goes out. The server learns that much of what it is.",
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which message's body to erase.")
class EraseMessageInput:
    """Input of `eraseMessage`."""

    message_id: strawberry.ID = strawberry.field(description="A message of a thread of yours.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Up to where you have read.")
class MarkThreadReadInput:
    """Input of `markThreadRead`."""

    thread_id: bytes = strawberry.field(description="The protocol's id of the thread.")
    number: int = strawberry.field(description="The number of the last message that you read.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="It is open.")
class OpenThreadSuccess:
    """Success of `openThread`."""

    thread: Thread = strawberry.field(description="The thread.")


@strawberry.type(description="The log has grown.")
class AppendControlEntrySuccess:
    """Success of `appendControlEntry`."""

    thread: Thread | None = strawberry.field(description="The thread; null once you have left it.")


@strawberry.type(description="The message is kept, and whoever follows the thread is told.")
class SendMessageSuccess:
    """Success of `sendMessage`."""

    sent: Message = strawberry.field(description="The message, with its number.")


@strawberry.type(description="The body is gone; what orders it stays.")
class EraseMessageSuccess:
    """Success of `eraseMessage`."""

    erased: Message = strawberry.field(description="The message.")


@strawberry.type(description="It is marked.")
class MarkThreadReadSuccess:
    """Success of `markThreadRead`."""

    thread: Thread = strawberry.field(description="The thread, with what is unread.")


OpenThreadPayload = Annotated[
    OpenThreadSuccess
    | Conflict
    | NotAllowedToOpen
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("OpenThreadPayload", description="What came of opening it."),
]
AppendControlEntryPayload = Annotated[
    AppendControlEntrySuccess
    | Conflict
    | NotAllowedToOpen
    | NotFound
    | StaleControlHead
    | ThreadClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AppendControlEntryPayload", description="What came of it."),
]
SendMessagePayload = Annotated[
    SendMessageSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RotationDue
    | StaleControlHead
    | StaleSequence
    | ThreadClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("SendMessagePayload", description="What came of sending."),
]
EraseMessagePayload = Annotated[
    EraseMessageSuccess | AccessDenied | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("EraseMessagePayload", description="What came of erasing."),
]
MarkThreadReadPayload = Annotated[
    MarkThreadReadSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("MarkThreadReadPayload", description="What came of marking."),
]


def _wraps(given: list[EpochWrapInput]) -> list[GivenWrap]:
    if len(given) > MOST_WRAPS:
        raise ValidationRefusal(f"At most {MOST_WRAPS} wraps.", path=("wraps",))
    if any(each.epoch is not None and each.epoch < 1 for each in given):
        raise ValidationRefusal("Epochs begin at 1.", path=("wraps",))
    return [GivenWrap(each.account_id, each.wrap, each.epoch) for each in given]


async def _thread(info: Info, key: UUID) -> Thread:
    found = await load_node(info.context, Thread, key)
    if found is None:
        raise RightsChanged()
    return found


async def _message(info: Info, key: UUID) -> Message:
    found = await load_node(info.context, Message, key)
    if found is None:
        raise RightsChanged()
    return found


@strawberry.type
class MessagingThreadMutation:
    """Mutations of threads."""

    @strawberry.mutation(
        description="Open a conversation. A professional opens one with a patient whose record"
        " they may see, or with colleagues; a patient with a professional who wrote to them before"
        " and has not ended the exchanges."
    )
    async def open_thread(self, info: Info, input: OpenThreadInput) -> OpenThreadPayload:
        """Open it."""
        actor, wraps = info.context.actor, _wraps(input.wraps)

        async def act(work: Work) -> UUID:
            return await thread_actions.open_thread(actor, work, input.entry, wraps)

        return OpenThreadSuccess(thread=await _thread(info, await perform(info, input, act)))

    @strawberry.mutation(
        description="Add to a thread's control log: members, a new epoch, the policy, its end."
    )
    async def append_control_entry(
        self, info: Info, input: AppendControlEntryInput
    ) -> AppendControlEntryPayload:
        """Add it."""
        actor, wraps = info.context.actor, _wraps(input.wraps)

        async def act(work: Work) -> UUID:
            return await thread_actions.append_control(
                actor, work, input.thread_id, input.entry, wraps
            )

        key = await perform(info, input, act)
        return AppendControlEntrySuccess(thread=await load_node(info.context, Thread, key))

    @strawberry.mutation(
        description="Send a sealed message. The same envelope again is the same message."
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> SendMessagePayload:
        """Send it."""
        context = info.context
        sending = Sending(
            input.envelope,
            input.account_id,
            input.device_id,
            input.sequence,
            tuple(input.blob_ids),
            input.expires_at,
            input.is_quiet,
        )

        async def act(work: Work) -> UUID:
            return await message_actions.send(context.actor, work, context.blobs, sending)

        return SendMessageSuccess(sent=await _message(info, await perform(info, input, act)))

    @strawberry.mutation(
        description="Erase the body and the files of a message: one of yours, or of a thread that"
        " you manage. Its header stays, so that its place stays provable."
    )
    async def erase_message(self, info: Info, input: EraseMessageInput) -> EraseMessagePayload:
        """Erase it."""
        context = info.context
        message_id = read_id(input.message_id, Message, "message_id")

        async def act(work: Work) -> UUID:
            return await message_actions.erase(context.actor, work, message_id)

        return EraseMessageSuccess(erased=await _message(info, await perform(info, input, act)))

    @strawberry.mutation(description="Note up to where you have read a thread; never back.")
    async def mark_thread_read(
        self, info: Info, input: MarkThreadReadInput
    ) -> MarkThreadReadPayload:
        """Mark it."""
        actor = info.context.actor

        async def act(work: Work) -> UUID:
            return await message_actions.mark_read(actor, work, input.thread_id, input.number)

        return MarkThreadReadSuccess(thread=await _thread(info, await perform(info, input, act)))
