"""The subscription to a record's access journal.

Following the journal is written down once, when it begins, and so is each document that its events
show, when the first of them does. If every event that it tells were, each would tell of the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

import strawberry

from carnet.access.deciding import require, standing
from carnet.access.journal import JournalAction
from carnet.access.journal_log import JOURNAL_LOG
from carnet.access.journal_tables import JournalEntry as JournalRow
from carnet.access.rules import Action
from carnet.documents import journal
from carnet.store.tails import Source
from carnet_graphql.context import Context, Info
from carnet_graphql.journal import JournalEntry
from carnet_graphql.node import GlobalId, read_id
from carnet_graphql.reads import KINDS, Noted
from carnet_graphql.records import Record
from carnet_graphql.subscriptions.topic import AfterEvent, CaughtUp, Event, Follow, Topic


@strawberry.type(description="Somebody looked, or changed something.")
class JournalEntryAdded(Event):
    """A new entry."""

    entry: JournalEntry = strawberry.field(description="The entry.")
    released: list[JournalEntry] = strawberry.field(
        description="With the release of documents that were hidden from the holder: the entries"
        " about them that were held back until now, at most 100; all are in `journal`."
    )


JournalEvent = Annotated[
    CaughtUp | JournalEntryAdded,
    strawberry.union("JournalEvent", description="What was added to a record's journal."),
]


@dataclass(frozen=True, slots=True)
class JournalTopic(Topic):
    """The main chain of one record's journal."""

    kind: ClassVar[str] = "journalEvents"
    source: ClassVar[Source] = JOURNAL_LOG

    async def standing(self, context: Context) -> datetime | None:
        """Return until when the actor may read the journal."""
        async with context.database.read() as work:
            return await standing(context.actor, work, self.stream_id, Action.READ_JOURNAL)

    async def open(self, context: Context) -> None:
        """Write down that the journal is being followed."""
        async with context.database.write() as work:
            granted = await require(context.actor, work, self.stream_id, Action.READ_JOURNAL)
            await granted.journal(JournalAction.READ_JOURNAL)

    def written(self) -> set[Noted]:
        """Return that the journal is being read."""
        return {(self.stream_id, KINDS[JournalRow], self.stream_id)}

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the entries that the actor sees."""
        ids = [row.id for row in rows]
        entries = await context.load_many(journal.by_ids, ids)
        released = await context.load_many(journal.released_with, ids)
        return [
            None
            if entry is None
            else JournalEntryAdded(
                cursor=self.cursor(context, row.number, row.id),
                entry=JournalEntry.of(entry),
                released=[JournalEntry.of(each) for each in held or []],
            )
            for row, entry, held in zip(rows, entries, released, strict=True)
        ]


@strawberry.type
class JournalSubscription:
    """Subscription to a journal."""

    @strawberry.subscription(
        description="Who looks at a record and who changes it, for those who may read its journal."
        " That you follow it is itself written down, once."
    )
    async def journal_events(
        self, info: Info, record: GlobalId, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[JournalEvent, None]:
        """Return what to follow."""
        topic = JournalTopic(read_id(record, Record, "record"))
        return Follow.of(topic, after)  # type: ignore[return-value]
