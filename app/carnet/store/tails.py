"""What one process follows: one read serves everybody here who follows the same stream.

A `Tail` is a stream's end as this process knows it. Commits of this process, wake-ups from others
and a look at all tails every half second say that streams have grown; then one statement reads
what is new in all of them, and each tail's followers are told. A wake-up that got lost costs half
a second, never an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from carnet.store import events
from carnet.store.database import Database, Work
from carnet.store.tasks import end

FLOOR = 0.5  # seconds between two looks at all tails
KEPT = 1000  # rows that wait in a tail for a slow follower, who reads by itself beyond
RETRY = 0.5  # seconds before reading again when the database did not answer

_log = logging.getLogger(__name__)


class Numbered(Protocol):
    """A row of a stream."""

    @property
    def number(self) -> int:
        """Its place."""


class Follower(Protocol):
    """Somebody who takes what a tail has, at their own pace."""

    position: float  # the last number that they took; infinite when they take only the word

    def poke(self) -> None:
        """Take word that there is more: on the event loop, without blocking."""


class Source(Protocol):
    """Streams of one kind: where they are read."""

    async def bounds(self, work: Work, ids: Sequence[UUID]) -> Mapping[UUID, events.Bounds]:
        """Return where each stream that has begun ends, and what of it is not kept."""

    async def id_at(self, work: Work, stream_id: UUID, number: int) -> UUID | None:
        """Return the id of the row at a place, if it is kept."""

    async def read_after(
        self, work: Work, positions: Mapping[UUID, int]
    ) -> Mapping[UUID, Sequence[Any]]:
        """Return what follows the positions, in order; a bounded number for each stream."""

    def wake_id(self, stream_id: UUID) -> UUID:
        """Return what names the stream in wake-ups, unique over all kinds of streams."""


class EventLog:
    """The streams of `carnet.store.events`."""

    async def bounds(self, work: Work, ids: Sequence[UUID]) -> Mapping[UUID, events.Bounds]:
        """Return the bounds."""
        return await events.bounds(work, ids)

    async def id_at(self, work: Work, stream_id: UUID, number: int) -> UUID | None:
        """Return the event's id."""
        return await events.id_at(work, stream_id, number)

    async def read_after(
        self, work: Work, positions: Mapping[UUID, int]
    ) -> Mapping[UUID, Sequence[events.LoggedEvent]]:
        """Return the events."""
        return await events.read_after(work, positions)

    def wake_id(self, stream_id: UUID) -> UUID:
        """Return the stream's own id."""
        return stream_id


EVENT_LOG = EventLog()


class Tail:
    """The end of one stream, as far as this process has read it."""

    __slots__ = ("followers", "kept", "known", "position", "source", "stream_id")

    def __init__(self, source: Source, stream_id: UUID, position: int) -> None:
        self.source = source
        self.stream_id = stream_id
        self.position = position  # the last number that was read
        self.known = position  # the last number that is known to exist
        self.kept: list[Any] = []  # rows up to the position that some follower has not taken
        self.followers: set[Follower] = set()

    def after(self, position: int) -> list[Any] | None:
        """Return the kept rows after a position, or None when some of them are not kept."""
        if position >= self.position:
            return []
        if not self.kept or self.kept[0].number > position + 1:
            return None
        first = position + 1 - self.kept[0].number
        return self.kept[first:]

    def trim(self) -> None:
        """Drop rows that every follower has taken."""
        if self.kept:
            taken = min((each.position for each in self.followers), default=self.position)
            if taken >= self.position:
                self.kept = []

    def add(self, rows: Sequence[Any]) -> None:
        """Take rows that were read, and tell the followers."""
        fresh = [row for row in rows if row.number > self.position]
        if not fresh:
            return
        self.kept.extend(fresh)
        if len(self.kept) > KEPT:
            self.kept = self.kept[-KEPT:]
        self.position = fresh[-1].number
        for follower in list(self.followers):
            follower.poke()
        self.trim()


class Tails:
    """All streams that somebody in this process follows."""

    def __init__(self, database: Database, floor: float = FLOOR) -> None:
        self._database = database
        self._floor = floor
        self._tails: dict[UUID, Tail] = {}  # by wake id
        self._dirty: set[UUID] = set()
        self._look_at_all = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._tails)

    def follow(self, source: Source, stream_id: UUID, end: int, follower: Follower) -> Tail:
        """Begin to follow a stream.

        Args:
            source: its kind.
            stream_id: which.
            end: where it ended a moment ago; used when nobody follows it yet.
            follower: poked whenever there is more.
        """
        wake_id = source.wake_id(stream_id)
        tail = self._tails.get(wake_id)
        if tail is None:
            tail = self._tails[wake_id] = Tail(source, stream_id, end)
            self._mark(wake_id)  # it may have grown since
        tail.followers.add(follower)
        return tail

    def leave(self, tail: Tail, follower: Follower) -> None:
        """Stop following."""
        tail.followers.discard(follower)
        if not tail.followers:
            wake_id = tail.source.wake_id(tail.stream_id)
            if self._tails.get(wake_id) is tail:
                del self._tails[wake_id]
            self._dirty.discard(wake_id)

    def grown(self, ends: Mapping[UUID, int]) -> None:
        """Take word that streams have grown; what is known already costs nothing."""
        for wake_id, size in ends.items():
            tail = self._tails.get(wake_id)
            if tail is not None and size > tail.known:
                tail.known = size
                self._mark(wake_id)

    def look_at_all(self) -> None:
        """Take word that something may have been missed."""
        self._look_at_all = True
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read while the block runs."""
        tasks = [asyncio.create_task(self._read_on()), asyncio.create_task(self._floor_looks())]
        try:
            yield
        finally:
            await end(*tasks)

    def _mark(self, wake_id: UUID) -> None:
        self._dirty.add(wake_id)
        self._wake.set()

    async def _floor_looks(self) -> None:
        while True:
            await asyncio.sleep(self._floor)
            self.look_at_all()

    async def _read_on(self) -> None:
        is_failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
                is_failing = False
            except Exception as error:  # the database may be away; what is to be read stays there
                if not is_failing:
                    _log.warning("streams were not read: %s", type(error).__name__)
                is_failing = True
                self._look_at_all = True
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def _look(self) -> None:
        if self._look_at_all:
            self._look_at_all = False
            await self._find_grown()
        dirty, self._dirty = self._dirty, set()
        tails = [self._tails[wake_id] for wake_id in dirty if wake_id in self._tails]
        if not tails:
            return
        by_source: dict[Source, list[Tail]] = defaultdict(list)
        for tail in tails:
            by_source[tail.source].append(tail)
        async with self._database.read() as work:
            for source, theirs in by_source.items():
                positions = {tail.stream_id: tail.position for tail in theirs}
                found = await source.read_after(work, positions)
                for tail in theirs:
                    rows = found.get(tail.stream_id)
                    if rows:
                        tail.known = max(tail.known, rows[-1].number)
                        tail.add(rows)
                        if tail.known > tail.position or len(rows) >= events.READ_LIMIT:
                            self._mark(source.wake_id(tail.stream_id))

    async def _find_grown(self) -> None:
        by_source: dict[Source, list[Tail]] = defaultdict(list)
        for tail in self._tails.values():
            by_source[tail.source].append(tail)
        if not by_source:
            return
        async with self._database.read() as work:
            for source, theirs in by_source.items():
                found = await source.bounds(work, [tail.stream_id for tail in theirs])
                for tail in theirs:
                    end = found[tail.stream_id].last_number if tail.stream_id in found else 0
                    if end > tail.position:
                        tail.known = max(tail.known, end)
                        self._mark(source.wake_id(tail.stream_id))
