"""What happened in a stream, read with the rights of one actor and written with one selection.

Rights are asked for anew before anything is read; `Rendering.until` is when they may end by
themselves.
"""

from __future__ import annotations

import asyncio
from asyncio import gather
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

import orjson
from graphql import ExecutionResult
from graphql.execution import Executor, execute_subscription_event

from carnet.access.volume import keep
from carnet.access.volume_rules import Pace
from carnet.errors import (
    AccessDenied,
    AccessEnded,
    CursorExpired,
    NotFound,
    RightsChanged,
)
from carnet.people.actor import Actor
from carnet.people.sessions import live_until
from carnet.store.outages import is_outage
from carnet_graphql.context import Context
from carnet_graphql.masking import mask_all
from carnet_graphql.subscriptions.in_flight import InFlight
from carnet_graphql.subscriptions.topic import CaughtUp, Topic


class Rendering:
    """See the module. One for each group; ``at_once`` is shared by all of a process: each of its
    places holds a connection to the database."""

    def __init__(
        self,
        at_once: asyncio.Semaphore,
        new_context: Callable[[Actor], Context],
        actor: Actor,
        topic: Topic,
        executor: Executor[Any],
    ) -> None:
        self.until: datetime | None = None  # the right to follow is asked for anew by then
        self.checked_at = monotonic()
        self._at_once = at_once
        self._new_context = new_context
        self._actor = actor
        self._topic = topic
        self._executor = executor
        self._in_flight = InFlight()
        self._written = topic.written()

    async def read(self, after: int) -> Sequence[Any]:
        """Return what follows a number of the stream.

        Raises:
            CursorExpired: it is not all kept.
        """
        return await self._in_flight.once(after, partial(self._read_after, after))

    async def _read_after(self, after: int) -> Sequence[Any]:
        async with self._at_once:
            context = self._new_context(self._actor)
            async with context.database.read() as work:
                found = await self._topic.source.read_after(work, {self._topic.stream_id: after})
        rows = found.get(self._topic.stream_id, [])
        if rows and rows[0].number != after + 1:
            raise CursorExpired()
        return rows

    async def check(self) -> None:
        """Ask anew whether the actor may follow.

        Raises:
            Unauthenticated: the session is over.
            AccessEnded: what is followed is no longer theirs to see.
        """
        async with self._at_once:
            await self._check(self._new_context(self._actor))

    async def _check(self, context: Context) -> None:
        async with context.database.glance() as work:
            ends_at = await live_until(work, self._actor)
        try:
            may_end_at = await self._topic.standing(context)
        except (NotFound, AccessDenied):
            raise AccessEnded() from None
        self.until = min((at for at in (ends_at, may_end_at) if at is not None), default=None)
        self.checked_at = monotonic()

    async def render(self, rows: Sequence[Any]) -> list[bytes | None]:
        """Return the response of each row as JSON, None where the actor is told nothing.

        Raises:
            Unauthenticated, AccessEnded: as `check`.
            RightsChanged: they changed again and again while it was read.
            RateLimited: the actor reaches far more patients than their profession needs.
        """
        key = rows[0].number, rows[-1].number
        return await self._in_flight.once(key, partial(self._render_in_turn, rows))

    async def _render_in_turn(self, rows: Sequence[Any]) -> list[bytes | None]:
        async with self._at_once:
            try:
                payloads, pace = await self._render(rows)
            except RightsChanged:
                payloads, pace = await self._render(rows)
        await keep(pace)  # whoever is slowed down holds up nobody else
        return payloads

    async def _render(self, rows: Sequence[Any]) -> tuple[list[bytes | None], Pace]:
        context = self._new_context(self._actor)
        context.reads.written = self._written
        context.reads.told = self._topic.told(rows)
        await self._check(context)
        events = await self._topic.present(context, rows)
        results = await gather(
            *(self._execute(context, event) for event in events if event is not None)
        )
        pace = await context.reads.note(context.actor, context.database)
        following = iter(results)
        return [None if event is None else next(following) for event in events], pace

    async def render_caught_up(self, number: int, event_id: UUID | None) -> bytes:
        """Return `CaughtUp` as JSON, anew for each member: no two cursors of it may be compared."""
        context = self._new_context(self._actor)
        event = CaughtUp(cursor=self._topic.cursor(context, number, event_id, is_salted=True))
        return await self._execute(context, event)

    async def _execute(self, context: Context, event: object) -> bytes:
        executor = self._executor.build_per_event_executor(event)
        executor.context_value = context
        result = execute_subscription_event(executor)
        if not isinstance(result, ExecutionResult):
            result = await result
        for error in result.errors or ():
            cause = error.original_error
            if cause is not None and is_outage(cause):  # read again, not told
                raise cause
        body: dict[str, Any] = {"data": result.data}
        errors = mask_all(result.errors, context.correlation_id)
        if errors:
            body["errors"] = [error.formatted for error in errors]
        return orjson.dumps(body)
