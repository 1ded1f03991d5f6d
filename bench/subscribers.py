"""Many graphql-transport-ws clients in one process, lean enough not to be what is measured.

Each is one protocol object on a raw socket. It speaks just enough of RFC 6455: its own frames are
masked with zeros, and of the server's it counts those that hold a ``next`` message.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

import orjson

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
NEXT = b'"type":"next"'
ACK = b"connection_ack"


class Subscriber(asyncio.Protocol):
    """One socket with one subscription."""

    __slots__ = (
        "acknowledged", "arrived_at", "buffer", "count", "crowd", "opening", "position", "transport"
    )  # fmt: skip

    def __init__(self, crowd: Crowd, position: int) -> None:
        self.crowd = crowd
        self.position = position
        self.buffer = b""
        self.count = 0
        self.arrived_at = 0.0  # when the last frame came
        self.opening = True
        self.acknowledged = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        crowd = self.crowd
        self.transport.write(HANDSHAKE.format(path=crowd.path, port=crowd.port).encode())

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        at = 0
        if self.opening:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = buffer
                return
            assert buffer.startswith(b"HTTP/1.1 101"), buffer[:200]
            self.opening = False
            self.say({"type": "connection_init", "payload": self.crowd.payload(self.position)})
            at = end + 4
        size = len(buffer)
        counted = 0
        while size - at >= 2:
            length = buffer[at + 1]
            head = 2
            if length == 126:
                if size - at < 4:
                    break
                length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif length == 127:
                if size - at < 10:
                    break
                length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if size - at < head + length:
                break
            opcode = buffer[at] & 15
            if opcode == 1:
                if self.acknowledged:
                    counted += 1
                else:
                    self._read(buffer[at + head : at + head + length])
            elif opcode == 9:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif opcode == 8:
                self.crowd.lost += 1
            at += head + length
        self.buffer = buffer[at:]
        if counted:
            self.count += counted
            self.arrived_at = perf_counter()
            self.crowd.arrived(self, counted)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.lost += not self.crowd.is_closing

    def say(self, message: dict[str, Any]) -> None:
        text = orjson.dumps(message)
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + text)

    def _read(self, text: bytes) -> None:
        assert ACK in text, text
        self.acknowledged = True
        payload = self.crowd.operation(self.position)
        self.say({"type": "subscribe", "id": "1", "payload": payload})


class Crowd:
    """All sockets to one server."""

    def __init__(self, port: int, operation: Any, *, path: str = "/graphql", payload: Any = None):
        self.port = port
        self.path = path
        self.operation = operation  # position -> {"query": …, "variables": …}
        self.payload = payload or (lambda _position: {})
        self.members: list[Subscriber] = []
        self.total = 0
        self.lost = 0
        self.is_closing = False
        self._goal = 0
        self._reached = asyncio.Event()
        self._first: asyncio.Future[float] | None = None

    async def grow(self, count: int, at_once: int = 50) -> None:
        """Open so many more sockets."""
        allow_files(count + len(self.members) + 500)
        loop = asyncio.get_running_loop()
        wanted = len(self.members) + count
        while len(self.members) < wanted:
            begin = len(self.members)
            made = [Subscriber(self, at) for at in range(begin, min(begin + at_once, wanted))]
            await asyncio.gather(
                *(
                    loop.create_connection(partial(_same, one), "127.0.0.1", self.port)
                    for one in made
                )
            )
            self.members.extend(made)

    def arrived(self, member: Subscriber, count: int) -> None:
        self.total += count
        if self._first is not None and not self._first.done():
            self._first.set_result(member.arrived_at)
        if self._goal and self.total >= self._goal:
            self._reached.set()

    def expect(self, frames: int) -> None:
        """Say how many frames `reached` waits for from now on."""
        self._goal = self.total + frames
        self._reached.clear()

    async def reached(self, within: float = 120) -> None:
        """Wait until they have come."""
        async with asyncio.timeout(within):
            await self._reached.wait()
        self._goal = 0

    async def first_arrival(self) -> float:
        """Wait for the next frame, and return when it came."""
        self._first = asyncio.get_running_loop().create_future()
        return await self._first

    async def reached_by_all(self, count: int, within: float = 300) -> None:
        """Wait until every member has had so many frames."""
        deadline = perf_counter() + within
        while any(member.count < count for member in self.members):
            assert perf_counter() < deadline, "they were not all told"
            await asyncio.sleep(0.01)

    async def settle(self, publish: Callable[[int], Awaitable[float]]) -> None:
        """Wait until everybody follows: publish now and then until each was told something."""
        deadline = perf_counter() + 300
        while any(member.count == 0 for member in self.members):
            assert perf_counter() < deadline, "they do not all follow"
            await publish(1)
            await asyncio.sleep(0.5)
        quiet = -1
        while quiet != self.total:
            quiet = self.total
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        self.is_closing = True
        for member in self.members:
            member.transport.abort()
        await asyncio.sleep(0.1)


def _same(one: Subscriber) -> Subscriber:
    return one


def allow_files(count: int) -> None:
    """Let this process have so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
