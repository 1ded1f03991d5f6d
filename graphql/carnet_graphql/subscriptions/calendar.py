"""The subscription to a record's prevention calendar."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry

from carnet.access.deciding import standing
from carnet.access.journal import JournalAction
from carnet.access.rules import Action
from carnet.errors import NotFound
from carnet.prevention import queries
from carnet.records.looks import CALENDAR_CHANGED
from carnet_graphql.context import Context, Info
from carnet_graphql.node import GlobalId, read_id, write_id
from carnet_graphql.prevention import Prevention
from carnet_graphql.records import Record
from carnet_graphql.subscriptions.documents import RecordEvent
from carnet_graphql.subscriptions.topic import AfterEvent, CaughtUp, Event, Follow, Topic


@strawberry.type(
    description="Something was stated, decided or set, by somebody or on another device."
)
class CalendarChanged(RecordEvent):
    """A changed calendar."""

    prevention: Prevention = strawberry.field(description="All of it, as it is now.")


CalendarEvent = Annotated[
    CaughtUp | CalendarChanged,
    strawberry.union("CalendarEvent", description="What happened to a calendar."),
]


@dataclass(frozen=True, slots=True)
class CalendarTopic(Topic):
    """The calendar of one record; the stream is the record's."""

    kind: ClassVar[str] = "calendarEvents"

    async def standing(self, context: Context) -> datetime | None:
        """Return until when the actor may see the profile, which the calendar follows from."""
        async with context.database.read() as work:
            return await standing(context.actor, work, self.stream_id, Action.READ_PROFILE)

    async def open(self, context: Context) -> None:
        """Read the calendar."""
        if await context.load(queries.calendars, self.stream_id, None) is None:
            raise NotFound()

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the changes of the calendar, with what it is now."""
        if not any(row.kind == CALENDAR_CHANGED for row in rows):
            return [None] * len(rows)
        found = await context.load(queries.calendars, self.stream_id, None)
        return [
            None
            if found is None or row.kind != CALENDAR_CHANGED
            else CalendarChanged(
                cursor=self.cursor(context, row.number, row.id),
                event_id=strawberry.ID(str(row.id)),
                at=row.at,
                record_id=write_id(Record, self.stream_id),
                prevention=Prevention(key=self.stream_id, calendar=found),
            )
            for row in rows
        ]

    def told(self, rows: Sequence[Any]) -> set[tuple[UUID, JournalAction]]:
        """Return the reads of the calendar, and of the doses and entries that it follows from."""
        read = JournalAction.READ_CALENDAR, JournalAction.READ_PROFILE
        return {(self.stream_id, action) for action in read}


@strawberry.type
class CalendarSubscription:
    """Subscription to a calendar."""

    @strawberry.subscription(
        description="What is stated, decided and set in a record's calendar. What a document adds"
        " to it is told by `documentEvents`. It ends with ACCESS_ENDED when you see the profile"
        " no more."
    )
    async def calendar_events(
        self, info: Info, record: GlobalId, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[CalendarEvent, None]:
        """Return what to follow."""
        topic = CalendarTopic(read_id(record, Record, "record"))
        return Follow.of(topic, after)  # type: ignore[return-value]
