"""Clients that read no more, or are no more there: they cost little, and nobody else anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import scene
from following import DOCUMENTS, Served, deposit, serving
from remote import Follower, Place, Writer, eventually, holds

from carnet.settings import Settings

MEGABYTE = 2**20
UNREAD = 128  # events of 50 kB
BIG = (
    "subscription Documents($record: ID!, $after: Cursor)"
    " { documentEvents(record: $record, after: $after) { __typename ... on CaughtUp { cursor }"
    " ... on DocumentDeposited { cursor eventId document { id title "
    + " ".join(f"t{n}: title" for n in range(100))
    + " } } } }"
)  # 50 kB for a title of 500 characters


async def test_who_stops_reading_costs_no_memory_and_holds_up_nobody(
    place: Place, made: scene.Scene
) -> None:
    token = await place.token(made.holder)
    variables = {"record": made.record_id}
    async with place.serving() as server, AsyncExitStack() as stack:
        slow = [Follower(token, BIG, variables, [server.port]) for _ in range(4)]
        greedy = Follower(token, BIG, variables, [server.port])  # as much, and reads it
        brisk = Follower(token, DOCUMENTS, variables, [server.port])
        for follower in (greedy, brisk):
            await stack.enter_async_context(follower.following())
        writer = Writer(token, made.record_id, server.port)
        await writer.deposit("long " * 99 + "title")
        await place.repeat_last_event(made.record, UNREAD)
        await holds(place, made.record, [greedy, brisk], writer.acknowledged)
        for follower in slow:
            follower.cursor = greedy.told[0]["cursor"]
            await stack.enter_async_context(follower.following())
            follower.pause()
        before = server.resident()
        await place.repeat_last_event(made.record, UNREAD)
        await holds(place, made.record, [greedy, brisk], writer.acknowledged)
        waits = []
        for number in range(10):
            title = f"letter {number}"
            await writer.deposit(title)
            await brisk.until(lambda title=title: title in brisk.at)
            waits.append(brisk.at[title] - writer.at[title])
        assert all(len(follower.told) < 1.5 * UNREAD for follower in slow)
        assert server.resident() - before < 24 * MEGABYTE  # without bounds 34
        assert sorted(waits)[5] < 0.5
        for follower in slow:
            follower.resume()
        ids = await place.told(made.record)
        for follower in slow:  # which began after the first
            await follower.until_told(ids[1:])
            assert follower.ids == ids[1:]
            assert follower.errors == []


class Wire:
    """A network between a client and a server, which may swallow everything."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_cut = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Yield the port to which the client connects."""
        async with asyncio.TaskGroup() as tasks:

            async def joined(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
                far, forth = await asyncio.open_connection("127.0.0.1", self.port)
                tasks.create_task(self._carry(near, forth))
                tasks.create_task(self._carry(far, back))

            async with await asyncio.start_server(joined, "127.0.0.1", 0) as listening:
                yield listening.sockets[0].getsockname()[1]

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                if not self.is_cut:
                    target.write(piece)
                    await target.drain()
        except ConnectionError:
            pass  # one end is gone; so is the other
        target.close()


async def test_a_peer_that_vanished_is_dropped_and_counted_no_more(
    place: Place, made: scene.Scene
) -> None:
    keep_alive = 0.5
    settings = Settings(sockets_per_user=1)
    async with serving(made.database, made.blobs, settings, keep_alive=keep_alive) as served:
        token = served.token(made.holder)
        wire = Wire(served.port)
        async with wire.open() as port:
            vanished = Served(port, served.live, served.server, served.actors)
            async with vanished.connected(token=token) as client:
                following = await client.subscribe(DOCUMENTS, record=made.record_id)
                await following.until_caught_up()
                # As long as it answers, it stays, and takes the one place of its user.
                await asyncio.sleep(3 * keep_alive)
                assert len(served.live.hub) == len(served.live.sockets.open) == 1
                with pytest.raises(ConnectionError, match="4429"):
                    async with served.connected(token=token):
                        raise AssertionError("a second socket was let in")
                wire.is_cut = True
                began = asyncio.get_running_loop().time()
                await eventually(lambda: len(served.live.sockets.open) == 0)
                assert asyncio.get_running_loop().time() - began < 2 * keep_alive + 0.5
                assert len(served.live.hub) == 0
                async with served.connected(token=token) as again:
                    following = await again.subscribe(DOCUMENTS, record=made.record_id)
                    await following.until_caught_up()
                    await deposit(made, made.holder, "letter")
                    assert (await following.event())["document"]["title"] == "letter"
