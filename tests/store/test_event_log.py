"""The event log: numbers without a gap in commit order, whoever writes at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from carnet.clock import MovableClock
from carnet.errors import BadCursor
from carnet.store import events
from carnet.store.cursors import Cursors, mark_of
from carnet.store.database import Database
from carnet.store.events import EVENT_LIFE, NewEvent, bounds, ensure_streams, prune, read_after
from carnet.store.tables import Event
from carnet.store.tails import EVENT_LOG, KEPT, Tail, Tails

VIEWER = UUID(int=8)
CURSORS = Cursors(b"k" * 32)


class Undone(Exception):
    """A writer changed their mind."""


async def tell(database: Database, *streams: UUID, is_hint: bool = False) -> UUID:
    async with database.write() as work:
        event = NewEvent(work.new_id(), streams, "K", uuid4(), is_hint=is_hint)
        work.events.append(event)
    return event.id


async def all_of(database: Database, stream_id: UUID) -> list[tuple[int, UUID]]:
    async with database.read() as work:
        rows = select(Event.number, Event.id).where(Event.stream_id == stream_id)
        return [(n, id_) for n, id_ in await work.session.execute(rows.order_by(Event.number))]


@pytest.mark.parametrize("seed", range(3))
async def test_writers_of_many_streams_wait_for_nobody_in_a_circle(
    database: Database, seed: int
) -> None:
    """Streams that are there and streams that begin, taken up by everybody in any order."""
    random = Random(seed)  # noqa: S311 — no secret
    streams = [uuid4() for _ in range(6)]
    committed: list[tuple[UUID, tuple[UUID, ...]]] = []

    async def write(turns: int) -> None:
        for _ in range(turns):
            chosen = tuple(random.sample(streams, random.randint(1, 4)))
            does_end, undoes = random.random() < 0.7, random.random() < 0.3
            try:
                async with database.write() as work:
                    if undoes:
                        try:
                            async with work.savepoint():
                                work.events.append(NewEvent(uuid4(), chosen, "UNDONE", uuid4()))
                                raise Undone
                        except Undone:
                            pass
                    event = NewEvent(work.new_id(), chosen, "K", uuid4())
                    work.events.append(event)
                    if random.random() < 0.3:
                        hint = NewEvent(uuid4(), (uuid4(),), "HINT", uuid4(), is_hint=True)
                        work.events.append(hint)
                    if not does_end:
                        raise Undone
                committed.append((event.id, chosen))
            except Undone:
                pass

    await asyncio.gather(*(write(15) for _ in range(8)))
    for stream_id in streams:
        found = await all_of(database, stream_id)
        assert [number for number, _ in found] == list(range(1, len(found) + 1))
        expected = [id_ for id_, chosen in committed if stream_id in chosen]
        assert sorted(id_ for _, id_ in found) == sorted(expected)


async def test_a_hint_begins_no_stream(database: Database) -> None:
    nobody, somebody = uuid4(), uuid4()
    async with database.write() as work:
        await ensure_streams(work, {somebody})
    await tell(database, nobody, somebody, is_hint=True)
    async with database.read() as work:
        assert await bounds(work, [nobody, somebody]) == {somebody: (1, 0)}
    assert await all_of(database, nobody) == []


async def test_more_streams_than_a_statement_has_parameters(database: Database) -> None:
    known = uuid4()
    await tell(database, known)
    async with database.read() as work:
        found = await bounds(work, [known, *(uuid4() for _ in range(40_000))])
        assert found == {known: (1, 0)}


async def test_old_events_are_pruned_and_the_rest_stays(
    database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PRUNE_BATCH", 3)
    one, other = uuid4(), uuid4()
    for _ in range(5):
        await tell(database, one, other)
    clock.offset += EVENT_LIFE + timedelta(seconds=1)
    last = await tell(database, one)
    await prune(database, {})
    assert await all_of(database, one) == [(6, last)] and await all_of(database, other) == []
    async with database.read() as work:
        assert await bounds(work, [one, other]) == {one: (6, 5), other: (5, 5)}
    await tell(database, other)
    assert [number for number, _ in await all_of(database, other)] == [6]


@given(
    kind=st.sampled_from(["documentEvents", "inboxEvents"]),
    viewer=st.uuids(),
    number=st.integers(0, 2**64 - 1),
    stream_id=st.uuids(),
    event_id=st.none() | st.uuids(),
    is_salted=st.booleans(),
)
def test_a_cursor_is_its_place_and_no_other(
    kind: str, viewer: UUID, number: int, stream_id: UUID, event_id: UUID | None, is_salted: bool
) -> None:
    cursor = CURSORS.seal(kind, stream_id, viewer, number, event_id, is_salted=is_salted)
    assert CURSORS.open(kind, stream_id, viewer, cursor) == (number, mark_of(event_id))
    again = CURSORS.seal(kind, stream_id, viewer, number, event_id, is_salted=is_salted)
    assert (again == cursor) is not is_salted and len(again) == len(cursor)
    for other in (
        lambda: CURSORS.open("notifications", stream_id, viewer, cursor),
        lambda: CURSORS.open(kind, UUID(int=stream_id.int ^ 1), viewer, cursor),
        lambda: CURSORS.open(kind, stream_id, UUID(int=viewer.int ^ 1), cursor),
        lambda: Cursors(b"other").open(kind, stream_id, viewer, cursor),
    ):
        with pytest.raises(BadCursor):
            other()


@given(text=st.text(max_size=300), at=st.integers(0, 54), bit=st.integers(0, 5))
def test_a_cursor_that_was_changed_is_none(text: str, at: int, bit: int) -> None:
    stream_id = UUID(int=7)
    cursor = CURSORS.seal("documentEvents", stream_id, VIEWER, 7, None)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at %= len(cursor)
    flipped = letters[letters.index(cursor[at]) ^ (1 << bit)]
    for bad in (text, cursor[:at], cursor + "A", cursor[:at] + flipped + cursor[at + 1 :]):
        if bad != cursor:
            with pytest.raises(BadCursor):
                CURSORS.open("documentEvents", stream_id, VIEWER, bad)


class Reader:
    """A follower that takes what there is, or sleeps."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.position: float = 0
        self.taken: list[int] = []
        self.tail: Tail | None = None
        self.poked = asyncio.Event()

    def poke(self) -> None:
        self.poked.set()

    async def take_until(self, number: int) -> None:
        tail = self.tail
        assert tail is not None
        async with asyncio.timeout(20):
            while self.position < number:
                rows: Any = tail.after(int(self.position))
                if rows is None:
                    async with self.database.read() as work:
                        found = await read_after(work, {tail.stream_id: int(self.position)})
                    rows = found[tail.stream_id]
                if not rows:
                    self.poked.clear()
                    if self.position >= tail.position:
                        await self.poked.wait()
                    continue
                self.taken += [row.number for row in rows]
                self.position = rows[-1].number
                tail.trim()


@asynccontextmanager
async def following(database: Database, floor: float) -> AsyncIterator[Tails]:
    tails = Tails(database, floor)
    async with tails.running():
        yield tails


@pytest.mark.parametrize("is_told", [True, False])
async def test_followers_of_one_stream_read_all_of_it_in_order(
    database: Database, is_told: bool
) -> None:
    """The quick and one that slept through more than is kept; with word of commits or without."""
    stream_id, number = uuid4(), KEPT + 300
    await tell(database, stream_id)
    async with following(database, 60 if is_told else 0.05) as tails:
        if is_told:
            database.on_grown = tails.grown
        quick, slow = Reader(database), Reader(database)
        for each in (quick, slow):
            each.tail = tails.follow(EVENT_LOG, stream_id, 0, each)
        for _ in range(4):
            async with database.write() as work:
                for _ in range(number // 4):
                    work.events.append(NewEvent(work.new_id(), (stream_id,), "K", uuid4()))
        end = 1 + number // 4 * 4
        await quick.take_until(end)
        await slow.take_until(end)
        assert quick.taken == slow.taken == list(range(1, end + 1))
        assert quick.tail is slow.tail and len(tails) == 1
        assert quick.tail is not None and quick.tail.kept == []
        for each in (quick, slow):
            tails.leave(quick.tail, each)
        assert len(tails) == 0
