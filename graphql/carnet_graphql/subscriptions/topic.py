"""What one subscription follows: a stream, who may follow it, and what its rows are to a viewer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access.journal import JournalAction
from carnet.people.queries import account_id_of
from carnet.store.tails import EVENT_LOG, Source
from carnet_graphql.context import Context
from carnet_graphql.reads import Noted
from carnet_graphql.scalars import Cursor

AfterEvent: TypeAlias = Annotated[
    Cursor | None,
    strawberry.argument(
        description="The cursor of the last event you have seen: what followed comes first, then"
        " what happens. Without it you follow from now on."
    ),
]


@strawberry.interface(description="Something that a subscription tells.")
class Event:
    """Base of all events."""

    cursor: Cursor = strawberry.field(
        description="Its place in what you follow. Keep it, and subscribe with `after` to go on."
    )


@strawberry.type(
    description="All that happened up to here has been told; from now on you are told as it"
    " happens. The first thing that a new subscription tells: what you read after it is at least"
    " as new as the cursor."
)
class CaughtUp(Event):
    """The end of the replay."""


@dataclass(frozen=True, slots=True)
class Topic(ABC):
    """A stream with who may follow it and what they are told."""

    kind: ClassVar[str]  # the field's name; its cursors fit no other
    source: ClassVar[Source] = EVENT_LOG

    stream_id: UUID

    @abstractmethod
    async def standing(self, context: Context) -> datetime | None:
        """Return when the right to follow may end by itself; None is never.

        Raises:
            Refusal: the actor may not follow it.
        """

    @abstractmethod
    async def open(self, context: Context) -> None:
        """Read what somebody is shown by being let in, through ``context.load``.

        Raises:
            Refusal: the actor may not follow it.
        """

    @abstractmethod
    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return each row as its event, None where the actor is told nothing of it.

        Reads go through ``context.load``, so that they are decided again and written down.
        """

    def written(self) -> set[Noted] | None:
        """Return what of a journal was written by `open`, where a read is written but once for as
        long as somebody follows; None where every read is."""
        return None

    def told(self, rows: Sequence[Any]) -> set[tuple[UUID, JournalAction]]:
        """Return which reads of which records the events consist in, so that nobody asked for them:
        they are no reach (`carnet.access.volume`). What a selection reads on from there is one."""
        return set()

    def cursor(
        self, context: Context, number: int, event_id: UUID | None, *, is_salted: bool = False
    ) -> Cursor:
        """Return the cursor of a place; salted, it is told from no other place's."""
        sealed = context.cursors.seal(
            self.kind,
            self.stream_id,
            account_id_of(context.actor),
            number,
            event_id,
            is_salted=is_salted,
        )
        return Cursor(sealed)


@dataclass(frozen=True, slots=True)
class Follow(AsyncIterable[Any]):
    """What a field of `Subscription` resolves to: a topic, and from where on.

    graphql-core wants an async iterable of it. It cannot be iterated: many clients share what it
    leads to, and only `carnet_graphql.subscriptions.hub` knows them.
    """

    topic: Topic
    after: str | None

    @classmethod
    def of(cls, topic: Topic, after: AfterEvent) -> Follow:
        """Return it with the argument of a field."""
        return cls(topic, None if after is UNSET else after)

    def __aiter__(self) -> AsyncIterator[Any]:
        raise TypeError("A topic is followed through a hub.")
