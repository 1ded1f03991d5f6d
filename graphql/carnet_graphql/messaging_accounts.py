"""Messaging accounts and the key directory: what clients verify before they seal anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.errors import NotFound, Unauthenticated, ValidationFailed
from carnet.messaging import accounts, backups, directory, pairing, tables
from carnet.people.actor import Anonymous
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Context, Info
from carnet_graphql.node import Node, register_node

MessagingAccountKind = tables.MessagingAccountKind
strawberry.enum(MessagingAccountKind, description="Whose a messaging account is.")

MOST_PROOFS = 200  # in one call

AccountIds = Annotated[
    list[bytes], strawberry.argument(description="The protocol's ids of accounts: at most 100.")
]


@strawberry.type(description="An entry of an account's chain, and its place in the log.")
class MessagingAccountEntry(Node):
    """See `carnet.messaging.tables.AccountEntry`; ``key`` is made of its place in the log."""

    row: strawberry.Private[tables.AccountEntry]

    @classmethod
    def of(cls, row: tables.AccountEntry) -> MessagingAccountEntry:
        """Return the row as its GraphQL object."""
        return cls(key=accounts.entry_key(row.leaf_index), row=row)

    @strawberry.field(description="Its place in the chain, from 0.")
    def number(self) -> int:
        """Return the number."""
        return self.row.number

    @strawberry.field(description="The entry's bytes, as they were signed.")
    def entry(self) -> bytes:
        """Return the bytes."""
        return self.row.data

    @strawberry.field(description="What its leaf was made with.")
    def blind(self) -> bytes:
        """Return the bytes."""
        return self.row.blind

    @strawberry.field(description="Its leaf's place in the log.")
    def leaf_index(self) -> int:
        """Return the place."""
        return self.row.leaf_index


@strawberry.type(description="The service's signed word that an account is somebody's.")
class MessagingBinding:
    """See `carnet.messaging.tables.DirectoryBinding`."""

    binding: bytes = strawberry.field(description="The binding's bytes, as they were signed.")
    blind: bytes = strawberry.field(description="What its leaf was made with.")
    leaf_index: int = strawberry.field(description="Its leaf's place in the log.")


@strawberry.type(
    description="An identity of the messaging protocol. What it says of its keys is in its chain;"
    " verify that, and its place in the log, before you seal anything for it."
)
class MessagingAccount(Node):
    """See `carnet.messaging.tables.MessagingAccount`."""

    row: strawberry.Private[tables.MessagingAccount]

    @classmethod
    def of(cls, row: tables.MessagingAccount) -> MessagingAccount:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The protocol's id: the digest of the chain's first entry.")
    def account_id(self) -> bytes:
        """Return the id."""
        return self.row.account_id

    @strawberry.field(description="Whose it is.")
    def kind(self) -> MessagingAccountKind:
        """Return the kind."""
        return self.row.kind

    @strawberry.field(description="Who it is, as the registers have them; null for persons.")
    async def display_name(self, info: Info) -> str | None:
        """Return the name."""
        return await info.context.load(accounts.names, self.key)

    @strawberry.field(description="The number of the chain's newest entry.")
    def number(self) -> int:
        """Return the number."""
        return self.row.number

    @strawberry.field(description="When it began.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at

    @strawberry.field(
        description="When it ended: closed, or another took its place. Null while it is in use."
    )
    def ended_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.ended_at

    @strawberry.field(description="The chain, from its beginning.")
    async def entries(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[MessagingAccountEntry]:
        """Return a page of the chain."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            MessagingAccountEntry.of,
            pages=accounts.entry_pages,
            counts=accounts.entry_counts,
            order=accounts.OLDEST_ENTRY,
        )

    @strawberry.field(description="What the service says of whose it is, the oldest first.")
    async def bindings(self, info: Info) -> list[MessagingBinding]:
        """Return the bindings."""
        rows = await info.context.load(accounts.bindings_of, self.key) or []
        return [
            MessagingBinding(binding=row.data, blind=row.blind, leaf_index=row.leaf_index)
            for row in rows
        ]


register_node(MessagingAccount, accounts.by_ids, MessagingAccount.of)
register_node(MessagingAccountEntry, accounts.entries_by_keys, MessagingAccountEntry.of)


@strawberry.type(description="A leaf's proof.")
class InclusionProof:
    """Hashes for one leaf."""

    leaf_index: int = strawberry.field(description="The leaf.")
    hashes: list[bytes] = strawberry.field(description="As RFC 9162 has them, the nearest first.")


LeafIndexes = Annotated[
    list[int], strawberry.argument(description="Places of leaves: at most 200.")
]
Size = Annotated[int, strawberry.argument(description="Of the log, as a checkpoint has it.")]
OldSize = Annotated[int, strawberry.argument(description="Of the log that you know.")]


@strawberry.type(
    description="The log of all keys (RFC 9162). Keep the newest checkpoint, and take no other that"
    " is not shown to hold all of it."
)
class KeyDirectory:
    """See `carnet.messaging.directory`."""

    checkpoint: str = strawberry.field(
        description="The log as it is now: a signed note (C2SP tlog-checkpoint)."
    )
    log_key: str = strawberry.field(
        description="The key that signs checkpoints and bindings, as `name+id+key`. Pin it: what"
        " comes with the answer proves nothing."
    )

    @strawberry.field(description="Proofs that leaves are in the log of a size.")
    async def inclusion_proofs(
        self, info: Info, leaf_indexes: LeafIndexes, size: Size
    ) -> list[InclusionProof]:
        """Return the proofs."""
        if not 1 <= len(leaf_indexes) <= MOST_PROOFS:
            raise ValidationFailed(f"1 to {MOST_PROOFS} leaves.", path=("leaf_indexes",))
        async with info.context.database.read() as work:
            proofs = await directory.inclusion_proofs(work, leaf_indexes, size)
        return [InclusionProof(leaf_index=i, hashes=proofs[i]) for i in leaf_indexes]

    @strawberry.field(description="The proof that the log of a size holds all of a smaller one.")
    async def consistency_proof(self, info: Info, since: OldSize, size: Size) -> list[bytes]:
        """Return the proof."""
        async with info.context.database.read() as work:
            return await directory.consistency_proof(work, since, size)


@strawberry.type(description="What one device has left for another.")
class PairingMessage:
    """See `carnet.messaging.tables.PairingMessage`."""

    number: int = strawberry.field(description="Its number; ask for what follows it next.")
    message: bytes = strawberry.field(description="Its bytes.")


def origin_of(context: Context) -> str:
    """Return the name of this server's log."""
    return context.settings.directory_origin


AfterNumber = Annotated[int, strawberry.argument(description="The last number that you have.")]
OneAccountId = Annotated[bytes, strawberry.argument(description="The protocol's id.")]


@strawberry.type
class MessagingQuery:
    """Root fields of accounts and the directory."""

    @strawberry.field(
        description="The messaging accounts with these ids, in their order; null where you may see"
        " none."
    )
    async def messaging_accounts(
        self, info: Info, account_ids: AccountIds
    ) -> list[MessagingAccount | None]:
        """Return accounts."""
        if len(account_ids) > 100:
            raise ValidationFailed("At most 100 ids.", path=("account_ids",))
        rows = await info.context.load_many(accounts.by_account_ids, account_ids)
        return [None if row is None else MessagingAccount.of(row) for row in rows]

    @strawberry.field(description="The log of all keys.")
    async def key_directory(self, info: Info) -> KeyDirectory:
        """Return the directory as it is now."""
        context = info.context
        if isinstance(context.actor, Anonymous):
            raise Unauthenticated()
        origin = origin_of(context)
        async with context.database.read() as work:
            checkpoint = await directory.checkpoint(work, context.signer, origin)
        key = directory.log_key(context.signer, origin)
        return KeyDirectory(checkpoint=checkpoint, log_key=key.text)

    @strawberry.field(
        description="The backup that an account's recovery code opens; null where there is none, or"
        " the account is not yours to act with. Whose it is is told, and it is in the journal;"
        " five times a day."
    )
    async def recovery_backup(self, info: Info, account_id: OneAccountId) -> bytes | None:
        """Return the backup."""
        try:
            async with info.context.database.write() as work:  # its owner is told
                return await backups.fetch(info.context.actor, work, account_id)
        except NotFound:
            return None

    @strawberry.field(
        description="What your devices have left for each other in the last ten minutes."
    )
    async def pairing_messages(self, info: Info, after: AfterNumber = 0) -> list[PairingMessage]:
        """Return the messages."""
        async with info.context.database.read() as work:
            rows = await pairing.left(info.context.actor, work, after)
        return [PairingMessage(number=row.number, message=row.data) for row in rows]


@strawberry.type
class ViewerMessagingAccounts:
    """The accounts that a viewer acts with, on the types that a viewer may be."""

    @strawberry.field(
        description="The messaging accounts that you act with: your own first, then those of whom"
        " you act for, and as a professional those of your organization."
    )
    async def messaging_accounts(self, info: Info) -> list[MessagingAccount]:
        """Return them."""
        key: UUID = self.key  # type: ignore[attr-defined]
        rows = await info.context.load(accounts.own, key) or []
        return [MessagingAccount.of(row) for row in rows]


@strawberry.type
class MessagingPartner:
    """The account of somebody to write to, on the types that own one."""

    key: strawberry.Private[UUID]

    @strawberry.field(description="The account to write to them with; null where you see none.")
    async def messaging_account(self, info: Info) -> MessagingAccount | None:
        """Return the account."""
        row = await info.context.load(accounts.of_owners, self.key)
        return None if row is None else MessagingAccount.of(row)
