"""The access journal: who looked and who changed, why they could, and the proof of it."""

from __future__ import annotations

from asyncio import gather
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access import journal_tables
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.rules import Decision
from carnet.access.sealing import LOG, leaf_bytes
from carnet.documents import journal
from carnet.errors import Unauthenticated, ValidationFailed
from carnet.people.actor import Anonymous
from carnet.store import transparency
from carnet_crypto.treehead import TreeHead
from carnet_graphql.access import AccessRule, LazyPatient
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
from carnet_graphql.delegations import patient_of
from carnet_graphql.documents import Document
from carnet_graphql.grants import LazyProfessional, professional_of
from carnet_graphql.node import Node, load_node, register_node

strawberry.enum(JournalAction, name="JournalAction", description="What was done.")
JournalChain = journal_tables.JournalChain
strawberry.enum(
    JournalChain,
    description="Which of the two gapless numberings of a record's entries an entry belongs to.",
)


@strawberry.input(description="Which entries are wanted; all given criteria must hold.")
class JournalFilterInput:
    """See `carnet.documents.journal.JournalFilter`."""

    actions: list[JournalAction] | None = strawberry.field(
        default=None, description="One of these actions."
    )
    since: datetime | None = strawberry.field(default=None, description="From then on.")
    until: datetime | None = strawberry.field(default=None, description="Before then.")
    by_others: bool = strawberry.field(default=False, description="Not by you.")
    emergencies: bool = strawberry.field(
        default=False, description="Only what was done in an emergency."
    )

    def value(self) -> journal.JournalFilter:
        """Return the input as the area's value."""
        return journal.JournalFilter(
            actions=tuple(self.actions or ()),
            since=self.since,
            until=self.until,
            by_others=self.by_others,
            emergencies=self.emergencies,
        )


@strawberry.type(description="One access or change.")
class JournalEntry(Node):
    """See `carnet.access.journal_tables.JournalEntry`."""

    row: strawberry.Private[journal_tables.JournalEntry]

    @classmethod
    def of(cls, row: journal_tables.JournalEntry) -> JournalEntry:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="When.")
    def at(self) -> datetime:
        """Return the moment."""
        return self.row.at

    @strawberry.field(description="What was done.")
    def action(self) -> JournalAction:
        """Return the action."""
        return JournalAction(self.row.action)

    @strawberry.field(
        description="What kind of actor did it: PATIENT, PROFESSIONAL, PUBLISHER, OPERATOR, SYSTEM."
    )
    def actor_kind(self) -> str:
        """Return the kind of actor."""
        return self.row.actor_kind

    @strawberry.field(description="Who did it, by name; null for what happened by itself.")
    async def actor_name(self, info: Info) -> str | None:
        """Return the actor's name."""
        return await info.context.load(journal.actor_names, self.key)

    @strawberry.field(description="The professional who did it, if it was one.")
    async def professional(self, info: Info) -> LazyProfessional | None:
        """Return the professional."""
        if self.row.actor_kind != "PROFESSIONAL":
            return None
        found: LazyProfessional | None = await professional_of(info, self.row.actor_id)
        return found

    @strawberry.field(description="For whom a delegate did it: «X for Y».")
    async def on_behalf_of(self, info: Info) -> LazyPatient | None:
        """Return the holder for whom a delegate acted."""
        id_ = self.row.on_behalf_of
        return await patient_of(info, id_) if id_ else None

    @strawberry.field(description="The rule that allowed it.")
    def rule(self) -> AccessRule:
        """Return the rule."""
        return AccessRule.of(Decision(True, self.row.rule))

    @strawberry.field(description="Whether it was done in an emergency.")
    def is_emergency(self) -> bool:
        """Tell whether it was an emergency."""
        return self.row.is_emergency

    @strawberry.field(description="The documents it concerns, of those that you may see now.")
    async def documents(self, info: Info) -> list[Document]:
        """Return the documents."""
        if self.row.object_kind != ObjectKind.DOCUMENT.value:
            return []
        ids = self.row.object_ids
        found = await gather(*(load_node(info.context, Document, id_) for id_ in ids))
        return [document for document in found if document is not None]

    @strawberry.field(description="How many things of one kind it concerns.")
    def object_count(self) -> int:
        """Return the number of objects."""
        return len(self.row.object_ids)

    @strawberry.field(description="Which numbering it belongs to.")
    def chain(self) -> JournalChain:
        """Return the chain."""
        return self.row.chain

    @strawberry.field(
        description="Its number in this record, from 1, without a gap; null in the chain HELD, and"
        " for who acts for the holder, where a gap would tell of what is hidden from them."
    )
    async def number(self, info: Info) -> str | None:
        """Return the number, as text: it may pass 32 bits."""
        found = await info.context.load(journal.numbers, self.key)
        return None if found is None else str(found)

    @strawberry.field(
        description="The entry as the log has it: hash it to prove its place; null where `number`"
        " is, for it holds that."
    )
    async def leaf(self, info: Info) -> bytes | None:
        """Return the canonical bytes."""
        found = await info.context.load(journal.numbers, self.key)
        return None if found is None else leaf_bytes(self.row)

    @strawberry.field(
        description="Its place in the log; null until it is sealed, within seconds, and where"
        " `leaf` is null."
    )
    async def leaf_index(self, info: Info) -> str | None:
        """Return the place, as text: it may pass 32 bits."""
        found = await info.context.load(journal.leaf_indexes, self.key)
        return None if found is None else str(found)

    @strawberry.field(
        description="The hashes that prove it in the log of this size (RFC 9162); null when it is"
        " not in there."
    )
    async def inclusion_proof(
        self,
        info: Info,
        tree_size: Annotated[
            str, strawberry.argument(description="Size of a head, such as `journalHead`'s.")
        ],
    ) -> list[bytes] | None:
        """Return the proof."""
        size = read_size(tree_size, "treeSize")
        return await info.context.load(journal.inclusion_proofs, self.key, size)


register_node(JournalEntry, journal.by_ids, JournalEntry.of)


@strawberry.type
class RecordJournal:
    """The journal of a record."""

    key: strawberry.Private[UUID]

    @strawberry.field(
        description="Every access and change, the latest first; for the holder, and delegates whose"
        " delegation covers it. Reading it is an access too."
    )
    async def journal(
        self,
        info: Info,
        filter: Annotated[
            JournalFilterInput | None,
            strawberry.argument(description="Which entries; without it, all."),
        ] = None,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[JournalEntry]:
        """Return a page of the journal."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            JournalEntry.of,
            pages=journal.pages,
            counts=journal.counts,
            order=journal.NEWEST,
            arguments=((filter or JournalFilterInput()).value(),),
        )


@strawberry.type(description="The log at a moment, signed with Ed25519 (RFC 9162).")
class JournalHead:
    """See `carnet_crypto.treehead.TreeHead`."""

    log: str = strawberry.field(description="Name of the log.")
    size: str = strawberry.field(description="How many leaves it has.")
    root: bytes = strawberry.field(description="Root of the tree.")
    signed_at: datetime = strawberry.field(description="When it was signed.")
    key_id: str = strawberry.field(description="Which key signed it.")
    signature: bytes = strawberry.field(description="The signature.")
    public_key: bytes = strawberry.field(description="The key that this server signs with now.")

    @classmethod
    def of(cls, head: TreeHead, public_key: bytes) -> JournalHead:
        """Return a head as its GraphQL object."""
        return cls(
            log=head.log,
            size=str(head.size),
            root=head.root,
            signed_at=head.signed_at,
            key_id=head.key_id,
            signature=head.signature,
            public_key=public_key,
        )


@strawberry.type
class JournalQuery:
    """Root fields of the log."""

    @strawberry.field(
        description="The newest signed head; keep it, and the log can never forget what it had."
    )
    async def journal_head(self, info: Info) -> JournalHead | None:
        """Return the head."""
        context = info.context
        if isinstance(context.actor, Anonymous):
            raise Unauthenticated()
        async with context.database.read() as work:
            head = await transparency.latest_head(work, LOG)
        return JournalHead.of(head, context.signer.public_key) if head else None

    @strawberry.field(
        description="The hashes that prove that the log of one size extends that of another."
    )
    async def journal_consistency(
        self,
        info: Info,
        from_size: Annotated[str, strawberry.argument(description="The smaller size.")],
        to_size: Annotated[str, strawberry.argument(description="The larger size.")],
    ) -> list[bytes]:
        """Return the proof."""
        old, new = read_size(from_size, "fromSize"), read_size(to_size, "toSize")
        if isinstance(info.context.actor, Anonymous):
            raise Unauthenticated()
        async with info.context.database.read() as work:
            if not 0 <= old <= new <= await transparency.size(work, LOG):
                raise ValidationFailed("The log never had these sizes.", path=("toSize",))
            return await transparency.consistency_proof(work, LOG, old, new)


def read_size(text: str, name: str) -> int:
    """Return a tree's size.

    Raises:
        ValidationFailed: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValidationFailed("A size is a number.", path=(name,))
    return int(text)
