"""Clients who follow the same with the same rights and the same selection: one reading, one
rendering, one text for all of them.

A `Member` is one subscription of one client. It is *live* in its group while it has been told
everything that the group has; until then, and whenever its client takes no more for a while, it
is behind: the group reads for it alone from its own cursor, as fast as the client takes it,
and lets it in again at the group's place. So a slow client holds up nobody and costs no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

from graphql import GraphQLError
from graphql.execution import Executor

from carnet.errors import (
    CursorExpired,
    Refusal,
    Unavailable,
)
from carnet.people.actor import Actor
from carnet.store.outages import is_outage
from carnet.store.tails import Tail
from carnet_graphql.context import Context
from carnet_graphql.masking import log_failure, mask_exception
from carnet_graphql.subscriptions.member import Member, Place
from carnet_graphql.subscriptions.rendering import Rendering
from carnet_graphql.subscriptions.topic import Topic

BATCH = 50  # rows that are rendered at a time
BATCH_SIZE = 256 * 1024  # bytes of results at a time, but for a single one that is larger
ATTEMPTS = 20  # at a batch, before clients are told to come again
RETRY = 0.25  # seconds before the next attempt, and a little longer each time


R = TypeVar("R")


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
        self.rendering = Rendering(shared.at_once, shared.new_context, actor, topic, executor)
        self.live: set[Member] = set()
        self.behind: set[Member] = set()
        self.tail: Tail | None = None
        self.account: Tail | None = None
        self._shared = shared
        self._is_stale = False
        self._task: asyncio.Task[None] | None = None
        self._pace = 1

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
                await self._patiently(self.rendering.check)
            if self.position >= tail.position:
                return
            batch = await self._next_batch(tail)
            payloads = await self._patiently(partial(self.rendering.render, batch))
            self._deliver(batch, payloads)
            self._pace = _next_pace(self._pace, payloads)
            self.position, self.event_id = batch[-1].number, batch[-1].id
            tail.trim()

    async def _next_batch(self, tail: Tail) -> Sequence[Any]:
        after = int(self.position)
        rows: Sequence[Any] | None = tail.after(after)
        if rows is None:
            rows = await self._patiently(partial(self.rendering.read, after))
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
                    rows = await self._patiently(partial(self.rendering.read, member.cursor))
                    if not rows:
                        raise CursorExpired()  # it was away for so long that this is not kept
                    rows = rows[:pace]
                    rendered = await self._patiently(partial(self.rendering.render, rows))
                    payloads = [payload for payload in rendered if payload is not None]
                    pace = _next_pace(pace, rendered)
                    member.cursor, member.event_id = rows[-1].number, rows[-1].id
                    if payloads and not member.sink.send(payloads):
                        await member.sink.ready()
                caught_up = await self.rendering.render_caught_up(member.cursor, member.event_id)
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
        return mask_exception(error, self._shared.new_context(self.actor).correlation_id)

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
