"""Clients who follow the same with the same rights and the same selection: one reading, one
rendering, one text for all of them.

A `Member` is one subscription of one client. It is *live* in its group while it has been told
everything that the group has; until then, and whenever its client takes no more for a while, it
is behind: `Group.bring_up` reads for it alone from its own cursor, as fast as the client takes it,
and lets it in again at the group's place. So a slow client holds up nobody and costs no memory.
"""

from __future__ import annotations

import asyncio
from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

import orjson
from graphql import ExecutionResult, GraphQLError
from graphql.execution import Executor, execute_subscription_event

from carnet.access.volume import keep
from carnet.access.volume_rules import Pace
from carnet.errors import (
    AccessDenied,
    AccessEnded,
    CursorExpired,
    NotFound,
    Refusal,
    RightsChanged,
    Unavailable,
)
from carnet.people.actor import Actor
from carnet.people.sessions import live_until
from carnet.store.outages import is_outage
from carnet.store.tails import Tail
from carnet_graphql.context import Context
from carnet_graphql.masking import log_failure, mask_all
from carnet_graphql.subscriptions.in_flight import InFlight
from carnet_graphql.subscriptions.topic import CaughtUp, Topic

BATCH = 50  # rows that are rendered at a time
BATCH_SIZE = 256 * 1024  # bytes of results at a time, but for a single one that is larger
ATTEMPTS = 20  # at a batch, before clients are told to come again
RETRY = 0.25  # seconds before the next attempt, and a little longer each time


R = TypeVar("R")


Place = tuple[int, UUID | None]
"""A number of a stream, and the id of the event there."""


class Sink(Protocol):
    """Where the answers of one subscription go: a client, behind a transport."""

    def send(self, payloads: Sequence[bytes]) -> bool:
        """Hand on results, each a GraphQL response as JSON; false asks to wait for `ready`."""

    async def ready(self) -> None:
        """Wait until the client takes more."""

    def end(self, errors: Sequence[GraphQLError]) -> None:
        """Tell why there will be no more, or, without errors, that there is none."""


class Member:
    """One subscription of one client."""

    __slots__ = ("catching_up", "cursor", "event_id", "group", "sink")

    def __init__(self, group: Group, sink: Sink, cursor: int, event_id: UUID | None) -> None:
        self.group = group
        self.sink = sink
        self.cursor = cursor  # the last number that it was told
        self.event_id = event_id
        self.catching_up: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """End the subscription from the client's side."""
        self.group.remove(self)


@dataclass(frozen=True, slots=True)
class Shared:
    """What groups share in one process."""

    at_once: asyncio.Semaphore  # renderings under way: each holds a connection to the database
    new_context: Callable[[Actor], Context]
    on_empty: Callable[[Group], None]


class Group:
    """See the module. A follower of its topic's tail and of its actor's account."""

    def __init__(
        self, shared: Shared, actor: Actor, topic: Topic, executor: Executor[Any], key: object
    ) -> None:
        self.key = key
        self.actor = actor
        self.topic = topic
        self.position: float = 0  # set with the tail
        self.event_id: UUID | None = None
        self.until: datetime | None = None  # the right to follow is asked for anew by then
        self.checked_at = monotonic()
        self.live: set[Member] = set()
        self.behind: set[Member] = set()
        self.tail: Tail | None = None
        self.account: Tail | None = None
        self._shared = shared
        self._executor = executor
        self._is_stale = False
        self._task: asyncio.Task[None] | None = None
        self._pace = 1
        self._in_flight = InFlight()
        self._written = topic.written()

    def is_past(self, end: int, account_end: int) -> bool:
        """Tell whether more is known of its streams than up to these numbers."""
        known = (self.tail, end), (self.account, account_end)
        return any(tail is not None and tail.position > number for tail, number in known)

    @property
    def place(self) -> Place:
        """Where its live members are."""
        return int(self.position), self.event_id

    @property
    def is_sure(self) -> bool:
        """Whether its place is known in full, and nothing was heard of its right to follow."""
        return not self._is_stale and (self.event_id is not None or self.position == 0)

    # --- what happens to it

    def poke(self) -> None:
        """Take word that the stream has more."""
        if self._task is None and (self.live or self.behind):
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._rest)

    def doubt(self) -> None:
        """Take word that the right to follow may have ended."""
        self._is_stale = True
        self.poke()

    def add(self, member: Member) -> None:
        """Let somebody in, who is behind at first."""
        self._bring_up_later(member)

    def remove(self, member: Member) -> None:
        """Let somebody out."""
        self.live.discard(member)
        self.behind.discard(member)
        if member.catching_up is not None:
            member.catching_up.cancel()
        if not self.live and not self.behind:
            self._shared.on_empty(self)

    def end(self, error: Exception) -> None:
        """Send everybody away with a reason."""
        members = [*self.live, *self.behind]
        self.live.clear()
        self.behind.clear()
        current = asyncio.current_task()
        for member in members:
            if member.catching_up is not None and member.catching_up is not current:
                member.catching_up.cancel()
            member.sink.end(self._errors(error))
        self._shared.on_empty(self)

    def stop(self) -> None:
        """Give up what is under way: the process ends."""
        if self._task is not None:
            self._task.cancel()
        for member in self.behind:
            if member.catching_up is not None:
                member.catching_up.cancel()

    # --- together

    async def _run(self) -> None:
        """Tell the live members what the tail has, until there is no more."""
        tail = self._followed()
        while self.live or self.behind:
            if self._is_stale:
                self._is_stale = False
                await self._patiently(self.check)
            if self.position >= tail.position:
                return
            batch = await self._next_batch(tail)
            payloads = await self._patiently(partial(self.render, batch))
            self._deliver(batch, payloads)
            self._pace = _next_pace(self._pace, payloads)
            self.position, self.event_id = batch[-1].number, batch[-1].id
            tail.trim()

    async def _next_batch(self, tail: Tail) -> Sequence[Any]:
        after = int(self.position)
        rows: Sequence[Any] | None = tail.after(after)
        if rows is None:
            rows = await self._patiently(partial(self._read, after))
        if not rows:
            raise CursorExpired()
        return rows[: self._pace]

    def _deliver(self, batch: Sequence[Any], payloads: Sequence[bytes | None]) -> None:
        last, last_id = batch[-1].number, batch[-1].id
        told = [payload for payload in payloads if payload is not None]
        first = batch[0].number
        for member in list(self.live):
            if member.cursor >= first:  # it had read further by itself
                new = [
                    payload
                    for row, payload in zip(batch, payloads, strict=True)
                    if payload is not None and row.number > member.cursor
                ]
            else:
                new = told
            if member.cursor < last:
                member.cursor, member.event_id = last, last_id
            if new and not member.sink.send(new):
                self.live.discard(member)
                self._bring_up_later(member)

    def _rest(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            self.end(cast(Exception, task.exception()))
        elif not task.cancelled() and (
            self._is_stale or (self.tail and self.position < self.tail.position)
        ):
            self.poke()

    # --- alone

    def _bring_up_later(self, member: Member) -> None:
        self.behind.add(member)
        member.catching_up = asyncio.create_task(self._bring_up(member))
        member.catching_up.add_done_callback(_look_at)

    async def _bring_up(self, member: Member) -> None:
        """Tell one member what it has missed, then let it in."""
        try:
            await member.sink.ready()
            pace = 1
            end = self._followed().known  # what there was when it came is not live to it
            while True:
                while member.cursor < max(self.position, end):
                    rows = await self._patiently(partial(self._read, member.cursor))
                    if not rows:
                        raise CursorExpired()  # it was away for so long that this is not kept
                    rows = rows[:pace]
                    rendered = await self._patiently(partial(self.render, rows))
                    payloads = [payload for payload in rendered if payload is not None]
                    pace = _next_pace(pace, rendered)
                    member.cursor, member.event_id = rows[-1].number, rows[-1].id
                    if payloads and not member.sink.send(payloads):
                        await member.sink.ready()
                caught_up = await self._render_caught_up(member.cursor, member.event_id)
                if member.cursor >= max(self.position, end) and member in self.behind:
                    self.behind.discard(member)
                    member.catching_up = None
                    self.live.add(member)
                    if not member.sink.send([caught_up]):
                        self.live.discard(member)
                        self._bring_up_later(member)
                    return
        except Exception as error:
            self.behind.discard(member)
            member.sink.end(self._errors(error))
            self.remove(member)

    async def _read(self, after: int) -> Sequence[Any]:
        return await self._in_flight.once(after, partial(self._read_after, after))

    async def _read_after(self, after: int) -> Sequence[Any]:
        async with self._shared.at_once:
            context = self._shared.new_context(self.actor)
            async with context.database.read() as work:
                found = await self.topic.source.read_after(work, {self.topic.stream_id: after})
        rows = found.get(self.topic.stream_id, [])
        if rows and rows[0].number != after + 1:
            raise CursorExpired()
        return rows

    # --- reading with rights

    async def check(self) -> None:
        """Ask anew whether the actor may follow.

        Raises:
            Unauthenticated: the session is over.
            AccessEnded: what is followed is no longer theirs to see.
        """
        async with self._shared.at_once:
            await self._check(self._shared.new_context(self.actor))

    async def _check(self, context: Context) -> None:
        async with context.database.glance() as work:
            ends_at = await live_until(work, self.actor)
        try:
            may_end_at = await self.topic.standing(context)
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
        async with self._shared.at_once:
            try:
                payloads, pace = await self._render(rows)
            except RightsChanged:
                payloads, pace = await self._render(rows)
        await keep(pace)  # whoever is slowed down holds up nobody else
        return payloads

    async def _render(self, rows: Sequence[Any]) -> tuple[list[bytes | None], Pace]:
        context = self._shared.new_context(self.actor)
        context.reads.written = self._written
        context.reads.told = self.topic.told(rows)
        await self._check(context)
        events = await self.topic.present(context, rows)
        results = await gather(
            *(self._execute(context, event) for event in events if event is not None)
        )
        pace = await context.reads.note(context.actor, context.database)
        following = iter(results)
        return [None if event is None else next(following) for event in events], pace

    async def _render_caught_up(self, number: int, event_id: UUID | None) -> bytes:
        """Return it as JSON: for each member anew, as no two cursors of it may be compared."""
        context = self._shared.new_context(self.actor)
        event = CaughtUp(cursor=self.topic.cursor(context, number, event_id, is_salted=True))
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

    async def _patiently(self, act: Callable[[], Awaitable[R]]) -> R:
        """Do it, and again while the database does not answer; refusals are for good."""
        attempt = 1
        while True:
            try:
                return await act()
            except Refusal:
                raise
            except Exception as error:
                if attempt == ATTEMPTS:
                    raise (Unavailable() if is_outage(error) else error) from None
                if attempt == 1:
                    log_failure(error, self._shared.new_context(self.actor).correlation_id)
            await asyncio.sleep(RETRY * attempt)
            attempt += 1

    def _errors(self, error: Exception) -> list[GraphQLError]:
        correlation_id = self._shared.new_context(self.actor).correlation_id
        wrapped = GraphQLError(str(error), original_error=error)
        return mask_all([wrapped], correlation_id) or []

    def _followed(self) -> Tail:
        assert self.tail is not None  # noqa: S101 — the hub sets it before anybody is let in
        return self.tail


class AccountWatch:
    """Makes a group ask anew when something happened to the account it reads with."""

    __slots__ = ("group", "position")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.position = float("inf")

    def poke(self) -> None:
        """Take word that something happened."""
        self.group.doubt()


def _next_pace(pace: int, rendered: Sequence[bytes | None]) -> int:
    """Return how many rows to render next, so that thousands of slow clients cost no memory."""
    size = sum(len(payload) for payload in rendered if payload is not None)
    return max(1, min(2 * pace, BATCH, BATCH_SIZE * pace // max(size, 1)))


def _look_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log_failure(error, "")
