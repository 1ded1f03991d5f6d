"""All subscriptions of one process: who follows what, and when rights are asked for anew.

A right that is taken away is told in the streams of the record and of the account, as a hint
(`carnet.store.events.ACCESS_CHANGED`); one that ends by itself is known when it is given
(`Rendering.until`). Every event is decided on when it is told, whatever anybody said; and every
group is asked after once a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from inspect import isawaitable
from time import monotonic
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLError
from graphql.execution import Executor, create_source_event_stream

from carnet.errors import (
    AccessDenied,
    CursorExpired,
    RateLimited,
    ServerStopping,
    Unauthenticated,
    Unavailable,
)
from carnet.people.actor import Actor, Anonymous, Publisher
from carnet.people.queries import account_id_of
from carnet.people.sessions import live_until
from carnet.store.cursors import mark_of
from carnet.store.database import Database
from carnet.store.events import Bounds, ensure_streams
from carnet.store.outages import is_outage
from carnet.store.tails import EVENT_LOG, Tails
from carnet.store.tasks import end
from carnet_graphql.assembly import CarnetSchema
from carnet_graphql.context import Context
from carnet_graphql.masking import mask_all, mask_exception
from carnet_graphql.operations.operation import Operation
from carnet_graphql.subscriptions.group import AccountWatch, Group, Shared
from carnet_graphql.subscriptions.in_flight import InFlight
from carnet_graphql.subscriptions.member import Member, Place, Sink
from carnet_graphql.subscriptions.topic import Follow, Topic

TICK = 0.25  # seconds between two looks at rights that end by themselves
ASKED_EVERY = 60.0  # seconds after which a group is asked after although nothing was heard
RENDERINGS = 8  # at once: each holds a connection of the pool
MOST_SELECTIONS = 200  # different ones that an account follows at once, on all its sockets
MEMORY_OF_STREAMS = 100_000  # ids of streams that are known to exist


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a subscription begins."""

    end: int  # of the stream, a moment ago
    event_id: UUID | None  # of the event there
    account_end: int  # of the account's
    until: datetime | None  # when the right to follow may end by itself
    is_new: bool  # a stream begins only now: what was said before then, nobody heard


class Hub:
    """Follows streams for clients. One for each process."""

    def __init__(
        self,
        schema: CarnetSchema,
        database: Database,
        new_context: Callable[[Actor], Context],
        tails: Tails,
    ) -> None:
        self.tails = tails
        self._schema = schema
        self._database = database
        self._groups: dict[object, Group] = {}
        self._watches: dict[Group, AccountWatch] = {}
        self._ensured: set[UUID] = set()
        self._is_stopping = False
        self._in_flight = InFlight()
        self._shared = Shared(asyncio.Semaphore(RENDERINGS), new_context, self._drop)

    def __len__(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(group.live) + len(group.behind) for group in self._groups.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow while the block runs."""
        ticking = asyncio.create_task(self._tick())
        try:
            async with self.tails.running():
                yield
        finally:
            await end(ticking)
            for group in list(self._groups.values()):
                group.stop()

    async def subscribe(
        self,
        operation: Operation,
        variables: dict[str, Any] | None,
        actor: Actor,
        sink: Sink,
        correlation_id: str = "",
    ) -> Member | list[GraphQLError]:
        """Begin to follow what an operation selects, or return why not.

        The first thing that the sink gets is what followed the operation's cursor, then
        `CaughtUp`; all of it after this has returned to the event loop.
        """
        context = self._shared.new_context(actor)
        context.correlation_id = correlation_id or context.correlation_id
        try:
            if self._is_stopping:
                raise ServerStopping()
            return await self._subscribe(context, operation, variables, actor, sink)
        except GraphQLError as error:
            return mask_all([error], context.correlation_id) or []
        except Exception as error:
            reason = Unavailable() if is_outage(error) else error
            return mask_exception(reason, context.correlation_id)

    def drain(self) -> None:
        """Send everybody away: this process stops."""
        self._is_stopping = True
        for group in list(self._groups.values()):
            group.end(ServerStopping())

    async def _subscribe(
        self,
        context: Context,
        operation: Operation,
        variables: dict[str, Any] | None,
        actor: Actor,
        sink: Sink,
    ) -> Member | list[GraphQLError]:
        executor = Executor.build(
            self._schema._schema,
            operation.document,
            context_value=context,
            raw_variable_values=variables,
            operation_name=operation.name,
            hide_suggestions=True,  # as of everything that runs
        )
        if isinstance(executor, list):
            return mask_all(executor, context.correlation_id) or []
        found: Any = create_source_event_stream(executor)
        if isawaitable(found):
            found = await found
        if isinstance(found, ExecutionResult):
            return mask_all(found.errors, context.correlation_id) or []
        follow = cast(Follow, found)
        topic = follow.topic
        key = (topic, actor, operation.text, operation.name, operation.share_key(variables))
        group = self._groups.get(key)
        place = group.place if group is not None and group.is_sure else None
        start: _Start | None = None
        if place is None:
            letting_in = partial(self._let_in, context, topic)
            start = await self._in_flight.once((topic, actor), letting_in)
            place = start.end, start.event_id
        # Otherwise: who follows the same in the same session was let in, and not sent away.
        if follow.after is not None:
            place = await self._place(context, follow, place)
        if self._is_stopping:  # meanwhile
            raise ServerStopping()
        group = self._groups.get(key)
        if group is None and start is None:  # everybody was sent away meanwhile
            return await self._subscribe(context, operation, variables, actor, sink)
        is_doubtful = False
        if start is not None:
            if group is None:
                self._check_room(account_id_of(actor))
                group = self._begin(Group(self._shared, actor, topic, executor, key), start)
            group.rendering.until = start.until
            # Something may have been said between the decision and now.
            is_doubtful = start.is_new or group.is_past(start.end, start.account_end)
        group = cast(Group, group)
        member = Member(group, sink, *place)
        group.add(member)
        if is_doubtful:
            group.doubt()
        return member

    def _check_room(self, account_id: UUID) -> None:
        """Refuse an account that follows very many things: each costs a rendering an event.

        Raises:
            RateLimited: it follows `MOST_SELECTIONS` of them in this process.
        """
        own = sum(account_id_of(group.actor) == account_id for group in self._groups.values())
        if own >= MOST_SELECTIONS:
            raise RateLimited("You are following too many things at once.", retry_after=60)

    async def _let_in(self, context: Context, topic: Topic) -> _Start:
        """Decide whether the actor may follow, and find where the stream ends.

        Where the streams end is read first: what happens to rights from then on is heard. Whoever
        may not follow leaves no trace, and learns nothing of the stream or a cursor.

        Raises:
            Refusal: they may not.
        """
        actor = context.actor
        if isinstance(actor, Anonymous):
            raise Unauthenticated()
        if isinstance(actor, Publisher):
            raise AccessDenied("access.no-role")
        needed = {actor.account_id}
        if topic.source is EVENT_LOG:
            needed.add(topic.stream_id)
        async with self._database.read() as work:
            ends = await topic.source.bounds(work, [topic.stream_id])
            bounds = ends.get(topic.stream_id, Bounds(0, 0))
            accounts = await EVENT_LOG.bounds(work, [actor.account_id])
            account = accounts.get(actor.account_id, Bounds(0, 0))
            ends_at = await live_until(work, actor)
        may_end_at = await topic.standing(context)
        is_new = await self._ensure(needed)
        end = bounds.last_number
        async with self._database.read() as work:
            event_id = await topic.source.id_at(work, topic.stream_id, end)
        await topic.open(context)
        await context.settle()
        until = min((at for at in (ends_at, may_end_at) if at is not None), default=None)
        return _Start(end, event_id, account.last_number, until, is_new)

    async def _place(self, context: Context, follow: Follow, end: Place) -> Place:
        """Return the place of a cursor.

        Raises:
            BadCursor, CursorExpired: there is no such place.
        """
        topic, after = follow.topic, follow.after or ""
        number, mark = context.cursors.open(
            topic.kind, topic.stream_id, account_id_of(context.actor), after
        )
        if (number, mark) == (end[0], mark_of(end[1])):
            return end
        async with self._database.read() as work:
            ends = await topic.source.bounds(work, [topic.stream_id])
            bounds = ends.get(topic.stream_id, Bounds(0, 0))
            if not bounds.pruned_to <= number <= bounds.last_number:
                raise CursorExpired(path=("after",))
            event_id = await topic.source.id_at(work, topic.stream_id, number)
        if event_id is not None and mark != mark_of(event_id):
            raise CursorExpired(path=("after",))  # the stream went another way since
        return number, event_id

    async def _ensure(self, stream_ids: set[UUID]) -> bool:
        """Make the streams exist, once for each in this process; tell whether one may be new."""
        missing = stream_ids - self._ensured
        if not missing:
            return False
        async with self._database.write() as work:
            await ensure_streams(work, missing)
        if len(self._ensured) > MEMORY_OF_STREAMS:
            self._ensured.clear()
        self._ensured |= missing
        return True

    def _begin(self, group: Group, start: _Start) -> Group:
        topic = group.topic
        tail = self.tails.follow(topic.source, topic.stream_id, start.end, group)
        group.tail, group.position = tail, tail.position
        if start.end == tail.position:
            group.event_id = start.event_id
        watch = self._watches[group] = AccountWatch(group)
        account_id = cast(Any, group.actor).account_id
        group.account = self.tails.follow(EVENT_LOG, account_id, start.account_end, watch)
        self._groups[group.key] = group
        return group

    def _drop(self, group: Group) -> None:
        if self._groups.get(group.key) is group:
            del self._groups[group.key]
        watch = self._watches.pop(group, None)
        if watch is not None and group.tail is not None and group.account is not None:
            self.tails.leave(group.tail, group)
            self.tails.leave(group.account, watch)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now, heard = self._database.clock.now(), monotonic()
            for group in list(self._groups.values()):
                rendering = group.rendering
                is_due = rendering.until is not None and now >= rendering.until
                if is_due or heard - rendering.checked_at > ASKED_EVERY:
                    rendering.checked_at = heard
                    group.doubt()
