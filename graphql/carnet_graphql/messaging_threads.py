"""Threads: who is in them, their control logs and their envelopes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.errors import ValidationFailed
from carnet.messaging import control_log, messages, tables, threads
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
from carnet_graphql.messaging_accounts import MessagingAccount
from carnet_graphql.node import Node, load_node, register_node
from carnet_graphql.scalars import URL

ThreadState = tables.ThreadState
strawberry.enum(ThreadState, description="Whether something can be written.")
MOST_EPOCHS = 1000  # whose wraps are given at once: 166 bytes for each account

AfterNumber = Annotated[
    int | None,
    strawberry.argument(description="Only what has a higher number: what you know already."),
]
AfterEpoch = Annotated[int, strawberry.argument(description="Only of later epochs.")]
Epochs = Annotated[int, strawberry.argument(description="Of how many epochs: 1 to 1000.")]
ThreadRole = tables.ThreadRole
strawberry.enum(ThreadRole, description="What a member is in a thread, as its control log says.")


@strawberry.type(description="Somebody in a thread, as its control log says.")
class ThreadMember:
    """See `carnet.messaging.tables.ThreadMember`."""

    account: MessagingAccount = strawberry.field(description="Who.")
    role: ThreadRole = strawberry.field(description="What they are.")
    joined_at: datetime = strawberry.field(description="Since when.")


@strawberry.type(description="An epoch's secret, sealed for an account of yours.")
class EpochWrap:
    """See `carnet.messaging.tables.EpochWrap`."""

    account_id: bytes = strawberry.field(description="The protocol's id of the account.")
    epoch: int = strawberry.field(description="The epoch.")
    wrap: bytes = strawberry.field(description="The sealed box.")


@strawberry.type(description="An entry of a thread's control log.")
class ControlEntry(Node):
    """See `carnet.messaging.tables.ControlEntry`."""

    row: strawberry.Private[tables.ControlEntry]

    @classmethod
    def of(cls, row: tables.ControlEntry) -> ControlEntry:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Its place in the log, from 0.")
    def number(self) -> int:
        """Return the number."""
        return self.row.number

    @strawberry.field(description="The entry's bytes, as they were signed.")
    def entry(self) -> bytes:
        """Return the bytes."""
        return self.row.data

    @strawberry.field(description="When the server took it.")
    def received_at(self) -> datetime:
        """Return the moment."""
        return self.row.at


@strawberry.type(description="A sealed file that a message refers to.")
class MessageAttachment:
    """See `carnet.messaging.tables.MessageAttachment`."""

    url: URL = strawberry.field(description="Where its sealed bytes are; ranges work.")
    size: int = strawberry.field(description="Of the sealed bytes.")


@strawberry.type(description="A sealed message. Only members can open it; the server cannot.")
class Message(Node):
    """See `carnet.messaging.tables.Message`."""

    row: strawberry.Private[tables.Message]

    @classmethod
    def of(cls, row: tables.Message) -> Message:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Its place in the thread, from 1: the order of arrival.")
    def number(self) -> int:
        """Return the number."""
        return self.row.number

    @strawberry.field(description="The envelope; without its body once that is erased.")
    def envelope(self) -> bytes:
        """Return the envelope."""
        return self.row.head + (self.row.body or bytes(4))

    @strawberry.field(description="The protocol's id of the device that sent it.")
    def device_id(self) -> bytes:
        """Return the device."""
        return self.row.device_id

    @strawberry.field(description="The device's number of it in the thread, as the sender said.")
    def sequence(self) -> int:
        """Return the sequence."""
        return self.row.sequence

    @strawberry.field(
        description="Whether its sender said that nobody need be told of it, as of a receipt."
    )
    def is_quiet(self) -> bool:
        """Tell whether it is quiet."""
        return self.row.is_quiet

    @strawberry.field(
        description="The account whose device sent it; for a member whose delegate or team it"
        " belongs to, where it is none itself."
    )
    async def sender(self, info: Info) -> MessagingAccount | None:
        """Return the account."""
        return await load_node(info.context, MessagingAccount, self.row.account_id)

    @strawberry.field(description="When the server took it.")
    def received_at(self) -> datetime:
        """Return the moment."""
        return self.row.received_at

    @strawberry.field(description="When its body is erased by itself; null for never.")
    def expires_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.expires_at

    @strawberry.field(description="When its body was erased; null while it is there.")
    def erased_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.erased_at

    @strawberry.field(description="Its sealed files.")
    async def attachments(self, info: Info) -> list[MessageAttachment]:
        """Return the files."""
        rows = await info.context.load(messages.attachments_of, self.key) or []
        return [
            MessageAttachment(url=URL(f"/attachments/{row.id}"), size=size) for row, size in rows
        ]


register_node(Message, messages.by_ids, Message.of)
register_node(ControlEntry, control_log.by_ids, ControlEntry.of)


@strawberry.type(
    description="A conversation. What the server says of it is for showing; what holds is in its"
    " control log, which clients verify."
)
class Thread(Node):
    """See `carnet.messaging.tables.Thread`."""

    row: strawberry.Private[tables.Thread]

    @classmethod
    def of(cls, row: tables.Thread) -> Thread:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The protocol's id: the digest of the log's first entry.")
    def protocol_id(self) -> bytes:
        """Return the id."""
        return self.row.thread_id

    @strawberry.field(description="Whether something can be written.")
    def state(self) -> ThreadState:
        """Return the state."""
        return self.row.state

    @strawberry.field(description="The number of the control log's newest entry.")
    def control_number(self) -> int:
        """Return the number."""
        return self.row.control_number

    @strawberry.field(description="The number of the newest message; 0 while there is none.")
    def last_number(self) -> int:
        """Return the number."""
        return self.row.last_number

    @strawberry.field(description="When it was opened.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at

    @strawberry.field(description="When something last happened in it.")
    def last_activity_at(self) -> datetime:
        """Return the moment."""
        return self.row.last_activity_at

    @strawberry.field(description="How many messages of others you have not read.")
    async def unread_count(self, info: Info) -> int:
        """Return how many."""
        return await info.context.load(threads.unread, self.key) or 0

    @strawberry.field(description="Who is in it.")
    async def members(self, info: Info) -> list[ThreadMember]:
        """Return the members."""
        rows = await info.context.load(threads.members_of, self.key) or []
        return [
            ThreadMember(
                account=MessagingAccount.of(account), role=member.role, joined_at=member.joined_at
            )
            for member, account in rows
        ]

    @strawberry.field(description="Up to which message you have read it; 0 for none.")
    async def read_to(self, info: Info) -> int:
        """Return the number."""
        return await info.context.load(threads.read_to, self.key) or 0

    @strawberry.field(
        description="The secrets of its epochs, sealed for the accounts through which you take"
        " part."
    )
    async def wraps(
        self, info: Info, after_epoch: AfterEpoch = 0, first: Epochs = 200
    ) -> list[EpochWrap]:
        """Return the wraps."""
        if not 1 <= first <= MOST_EPOCHS or after_epoch < 0:
            raise ValidationFailed(f"first is from 1 to {MOST_EPOCHS}.", path=("first",))
        rows = await info.context.load(threads.wraps_of, self.key, after_epoch, first) or []
        return [
            EpochWrap(account_id=account_id, epoch=row.epoch, wrap=row.data)
            for row, account_id in rows
        ]

    @strawberry.field(description="Its control log, from the beginning.")
    async def control_entries(
        self,
        info: Info,
        after_number: AfterNumber = None,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[ControlEntry]:
        """Return a page of the log."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            ControlEntry.of,
            pages=control_log.pages,
            counts=control_log.counts,
            order=control_log.OLDEST,
            arguments=(after_number,),
        )

    @strawberry.field(
        description="Its messages, in the order of their arrival: those of the epochs that you may"
        " read."
    )
    async def messages(
        self,
        info: Info,
        after_number: AfterNumber = None,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Message]:
        """Return a page of messages."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Message.of,
            pages=messages.pages,
            counts=messages.counts,
            order=messages.OLDEST,
            arguments=(after_number,),
        )


register_node(Thread, threads.by_ids, Thread.of)

InState = Annotated[
    ThreadState | None, strawberry.argument(description="Only those in this state.")
]


@strawberry.type
class ViewerThreads:
    """The threads of a viewer, on the types that a viewer may be."""

    @strawberry.field(
        description="The conversations of the accounts that you act with, the latest first."
    )
    async def threads(
        self,
        info: Info,
        state: InState = None,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Thread]:
        """Return a page of threads."""
        key: UUID = self.key  # type: ignore[attr-defined]
        return await connection(
            info.context,
            key,
            page_request(first, after, last, before),
            Thread.of,
            pages=threads.pages,
            counts=threads.counts,
            order=threads.NEWEST,
            arguments=(state,),
        )
