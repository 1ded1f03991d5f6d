"""What clients do with messaging accounts: begin them, add to their chains, pair devices."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.messaging import account_actions, backups, owners, pairing
from carnet.messaging.owners import Owner
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    StaleChain,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.messaging_accounts import MessagingAccount, origin_of
from carnet_graphql.node import load_node, read_id
from carnet_graphql.people import Organization
from carnet_graphql.records import Record


@strawberry.input(description="The beginning of an account's chain. Without an owner, your own.")
class CreateMessagingAccountInput:
    """Input of `createMessagingAccount`."""

    entries: list[bytes] = strawberry.field(
        description="GENESIS and what follows it, 1 to 20 entries, signed within five minutes."
    )
    record_id: strawberry.ID | None = strawberry.field(
        default=None, description="The record of somebody you act for: the account is theirs."
    )
    organization_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where you work: the account is the organization's."
    )
    team: str | None = strawberry.field(
        default=None, description="A team of where you work: the account is the team's."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="What follows in an account's chain: all of it, or none.")
class AppendMessagingAccountEntriesInput:
    """Input of `appendMessagingAccountEntries`."""

    account_id: bytes = strawberry.field(description="The protocol's id of an account of yours.")
    entries: list[bytes] = strawberry.field(
        description="1 to 20 entries, signed within five minutes."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="What the recovery code opens; the chain has its digest.")
class PutRecoveryBackupInput:
    """Input of `putRecoveryBackup`."""

    account_id: bytes = strawberry.field(description="The protocol's id of an account of yours.")
    backup: bytes = strawberry.field(description="At most 8192 bytes.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="What one of your devices says to another while they are paired.")
class PostPairingMessageInput:
    """Input of `postPairingMessage`."""

    message: bytes = strawberry.field(description="At most 4096 bytes; kept for ten minutes.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The account has begun, and is in the directory.")
class CreateMessagingAccountSuccess:
    """Success of `createMessagingAccount`."""

    account: MessagingAccount = strawberry.field(description="The account.")


@strawberry.type(description="The chain has grown, and the directory with it.")
class AppendMessagingAccountEntriesSuccess:
    """Success of `appendMessagingAccountEntries`."""

    account: MessagingAccount = strawberry.field(description="The account.")


@strawberry.type(description="It is kept.")
class PutRecoveryBackupSuccess:
    """Success of `putRecoveryBackup`."""

    account: MessagingAccount = strawberry.field(description="The account.")


@strawberry.type(description="It is left for the other device.")
class PostPairingMessageSuccess:
    """Success of `postPairingMessage`."""

    number: int = strawberry.field(description="Its number.")


CreateMessagingAccountPayload = Annotated[
    CreateMessagingAccountSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("CreateMessagingAccountPayload", description="What came of beginning it."),
]
AppendMessagingAccountEntriesPayload = Annotated[
    AppendMessagingAccountEntriesSuccess
    | Conflict
    | NotFound
    | QuotaExceeded
    | StaleChain
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AppendMessagingAccountEntriesPayload", description="What came of it."),
]
PutRecoveryBackupPayload = Annotated[
    PutRecoveryBackupSuccess | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("PutRecoveryBackupPayload", description="What came of keeping it."),
]
PostPairingMessagePayload = Annotated[
    PostPairingMessageSuccess
    | AccessDenied
    | Conflict
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("PostPairingMessagePayload", description="What came of leaving it."),
]


async def _account(info: Info, key: UUID) -> MessagingAccount:
    found = await load_node(info.context, MessagingAccount, key)
    if found is None:
        raise LookupError("an account that was just changed is not visible")
    return found


@strawberry.type
class MessagingAccountMutation:
    """Mutations of accounts."""

    @strawberry.mutation(
        description="Begin a messaging account. One that the owner had ends: their contacts see"
        " another safety number."
    )
    async def create_messaging_account(
        self, info: Info, input: CreateMessagingAccountInput
    ) -> CreateMessagingAccountPayload:
        """Begin it."""
        context = info.context
        record_id = (
            read_id(input.record_id, Record, "record_id") if input.record_id is not None else None
        )
        organization_id = (
            read_id(input.organization_id, Organization, "organization_id")
            if input.organization_id is not None
            else None
        )

        async def act(work: Work) -> UUID:
            person_id = None
            if record_id is not None:
                person_id = await owners.person_of(context.actor, work, record_id)
            owner = Owner(person_id, organization_id, input.team)
            return await account_actions.create(
                context.actor, work, context.signer, origin_of(context), owner, input.entries
            )

        key = await perform(info, input, act)
        return CreateMessagingAccountSuccess(account=await _account(info, key))

    @strawberry.mutation(description="Add entries to the chain of an account of yours.")
    async def append_messaging_account_entries(
        self, info: Info, input: AppendMessagingAccountEntriesInput
    ) -> AppendMessagingAccountEntriesPayload:
        """Add them."""
        context = info.context

        async def act(work: Work) -> UUID:
            return await account_actions.append(
                context.actor, work, context.signer, input.account_id, input.entries
            )

        key = await perform(info, input, act)
        return AppendMessagingAccountEntriesSuccess(account=await _account(info, key))

    @strawberry.mutation(description="Keep what the recovery code of an account of yours opens.")
    async def put_recovery_backup(
        self, info: Info, input: PutRecoveryBackupInput
    ) -> PutRecoveryBackupPayload:
        """Keep it."""
        context = info.context

        async def act(work: Work) -> UUID:
            return await backups.put(context.actor, work, input.account_id, input.backup)

        key = await perform(info, input, act)
        return PutRecoveryBackupSuccess(account=await _account(info, key))

    @strawberry.mutation(description="Leave a message for another of your own devices.")
    async def post_pairing_message(
        self, info: Info, input: PostPairingMessageInput
    ) -> PostPairingMessagePayload:
        """Leave it."""
        context = info.context

        async def act(work: Work) -> UUID:
            return UUID(int=await pairing.post(context.actor, work, input.message))

        key = await perform(info, input, act)
        return PostPairingMessageSuccess(number=key.int)
