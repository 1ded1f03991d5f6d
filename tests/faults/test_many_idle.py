"""Thousands who only wait: what they cost, how soon they are told, and how they are sent away."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import orjson
import pytest
import scene
from following import DOCUMENTS
from remote import Place, Writer, eventually

from carnet.store import events
from carnet.store.database import Database
from carnet.store.tails import EVENT_LOG, Tails

SUBSCRIPTIONS = 2000
KIB = 1024
NOTIFICATIONS = (
    "subscription { notifications { __typename ... on CaughtUp { cursor }"
    " ... on NotificationReceived { eventId } } }"
)
UPGRADE = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


class Idle(asyncio.Protocol):
    """A client as small as can be: it counts what comes, and when it last came."""

    def __init__(self) -> None:
        self.told = self.caught_up = 0
        self.is_acknowledged = False
        self.is_ready = asyncio.Event()
        self.told_at = 0.0
        self.close_code: int | None = None
        self.is_lost = asyncio.Event()
        self._data = b""
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_upgraded:
            head, separator, rest = self._data.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_upgraded, self._data = True, rest
            self.is_ready.set()
        while (frame := self._next_frame()) is not None:
            self._take(*frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()

    def say(self, *messages: dict[str, object]) -> None:
        """Send messages, masked with zeros."""
        self.transport.write(b"".join(_frame(0x81, orjson.dumps(each)) for each in messages))

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        assert length != 127
        if len(data) < start + length:
            return None
        self._data = data[start + length :]
        return data[0] & 15, data[start : start + length]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.transport.write(_frame(0x8A, payload))
        elif opcode == 8:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.transport.write(_frame(0x88, payload[:2]))
        elif b"CaughtUp" in payload:
            self.caught_up += 1
        elif b'"next"' in payload:
            self.told += 1
            self.told_at = time.monotonic()
        else:
            assert b"connection_ack" in payload, payload
            self.is_acknowledged = True


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((head,)) + length + bytes(4) + payload


@asynccontextmanager
async def connected(port: int, token: str) -> AsyncIterator[Idle]:
    loop = asyncio.get_running_loop()
    transport, idle = await loop.create_connection(Idle, "127.0.0.1", port)
    try:
        transport.write(UPGRADE.format(port).encode())
        await idle.is_ready.wait()
        idle.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
        yield idle
    finally:
        transport.close()


@pytest.mark.parametrize("sockets", [20, SUBSCRIPTIONS])
async def test_two_thousand_who_wait(place: Place, made: scene.Scene, sockets: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * SUBSCRIPTIONS:
        pytest.skip("too few open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * SUBSCRIPTIONS), hard))
    token = await place.token(made.holder)
    each = SUBSCRIPTIONS // sockets
    payload = {"query": DOCUMENTS, "variables": {"record": made.record_id}}
    limits = {"sockets_per_address": 3000, "sockets_per_user": 3000, "query_budget": 10**6}
    async with place.serving(**limits) as server, AsyncExitStack() as stack:
        before = server.resident()
        clients = []
        for _ in range(sockets):
            client = await stack.enter_async_context(connected(server.port, token))
            clients.append(client)
        await eventually(lambda: all(client.is_acknowledged for client in clients))
        asked = [{"id": str(n), "type": "subscribe", "payload": payload} for n in range(each)]
        clients[0].say(asked[0])  # is let in; the others follow the same in the same session
        await eventually(lambda: clients[0].caught_up == 1)
        clients[0].say(*asked[1:])
        for client in clients[1:]:
            client.say(*asked)
        await eventually(lambda: all(client.caught_up == each for client in clients), 60)
        cost = (server.resident() - before) / SUBSCRIPTIONS
        writer = Writer(token, made.record_id, server.port)
        await writer.deposit("warm")
        await eventually(lambda: all(client.told == each for client in clients))
        await writer.deposit("letter")
        await eventually(lambda: all(client.told == 2 * each for client in clients))
        last = max(client.told_at for client in clients) - writer.at["letter"]
        assert cost < 60 * KIB
        assert last < 1
        asked_at = time.monotonic()
        assert await server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - asked_at < 8
        await asyncio.gather(*(client.is_lost.wait() for client in clients))
        assert {client.close_code for client in clients} == {1012}


async def test_forty_thousand_streams_are_looked_at(database: Database) -> None:
    """As many as a statement cannot take as arguments of its own (PostgreSQL: 32,767)."""

    class Listener:
        position = 0.0
        poked = asyncio.Event()

        def poke(self) -> None:
            self.poked.set()

    listener = Listener()
    ids = [uuid4() for _ in range(40_000)]
    tails = Tails(database, floor=0.1)
    async with database.write() as work:
        await events.ensure_streams(work, ids[:1])
    async with tails.running():
        for id_ in ids:
            tails.follow(EVENT_LOG, id_, 0, listener)
        async with database.write() as work:
            work.events.append(events.NewEvent(work.new_id(), (ids[-1],), "NOTHING", ids[-1]))
        async with asyncio.timeout(20):
            await listener.poked.wait()
