"""Many graphql-transport-ws clients in one process, lean enough not to be what is measured.

Each is one protocol object on a raw socket. It speaks just enough of RFC 6455: its own frames are
masked with zeros. Of the server's frames only the first ``next`` is read; those after it have to
begin like it, so that an error, a close or a foreign message is never counted as an event.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import orjson

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
AT_ONCE = 50  # sockets that are opened together
CLOSE = 8
PING = 9

Payload = Callable[[int], dict[str, Any]]  # takes the position of a client in its crowd


class Lost(Exception):
    """A server closed a socket, or said something else than what it was asked for."""


class Subscriber(asyncio.Protocol):
    """One socket with one subscription."""

    __slots__ = (
        "arrived_at",
        "buffer",
        "count",
        "crowd",
        "is_acknowledged",
        "is_open",
        "last",
        "position",
        "prefix",
        "transport",
    )

    def __init__(self, crowd: Crowd, position: int) -> None:
        self.crowd = crowd
        self.position = position
        self.buffer = b""
        self.count = 0
        self.arrived_at = 0.0  # when the last event came
        self.last = b""  # what came last
        self.prefix = b""  # how a `next` message begins
        self.is_open = False
        self.is_acknowledged = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        crowd = self.crowd
        self.transport.write(HANDSHAKE.format(path=crowd.path, port=crowd.port, key=KEY).encode())

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        at = 0
        if not self.is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = buffer
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.crowd.lose(buffer[:200].decode(errors="replace"))
                return
            self.is_open = True
            self.say({"type": "connection_init", "payload": self.crowd.init(self.position)})
            at = end + 4
        size = len(buffer)
        counted = 0
        prefix = self.prefix
        while size - at >= 2:
            length = buffer[at + 1]
            begin = at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, begin = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length, begin = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if size < begin + length:
                break
            if buffer[at] == 0x81 and prefix and buffer.startswith(prefix, begin):
                counted += 1
            else:
                counted += self._take(buffer[at] & 15, buffer[begin : begin + length])
                prefix = self.prefix
            at = begin + length
        if counted:
            self.last = buffer  # looked at after the clock has stopped
            self.count += counted
            self.arrived_at = perf_counter()
            self.crowd.arrived(self.arrived_at, counted)
        self.buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.lose("the connection was cut")

    def say(self, message: dict[str, Any]) -> None:
        text = orjson.dumps(message)
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + text)

    def _take(self, opcode: int, text: bytes) -> int:
        """Take what is not an event like those before; return whether it is the first one."""
        if opcode == PING:
            self.transport.write(bytes((0x8A, 0x80 | len(text))) + b"\0\0\0\0" + text)
            return 0
        if opcode == CLOSE:
            self.crowd.lose(f"closed with {text!r}")
            return 0
        message = orjson.loads(text)
        if message["type"] == "connection_ack":
            self.is_acknowledged = True
            operation = self.crowd.operation(self.position)
            self.say({"type": "subscribe", "id": "1", "payload": operation})
        elif message["type"] == "ping":
            self.say({"type": "pong"})
        elif message["type"] == "next" and "errors" not in message["payload"]:
            self.prefix = text[: text.index(b'"payload"') + 18]  # to «"payload":{"data":»
            return 1
        else:
            self.crowd.lose(text[:500].decode())
        return 0


class Crowd:
    """All sockets to one server, one subscription each."""

    def __init__(
        self, port: int, operation: Payload, *, path: str = "/graphql", init: Payload | None = None
    ) -> None:
        self.port = port
        self.path = path
        self.operation = operation  # {"query": …, "variables": …}
        self.init = init or (lambda _position: {})
        self.members: list[Subscriber] = []
        self.total = 0
        self.first_at = 0.0  # when the first event came since `expect`
        self.is_closing = False
        self.why = ""  # what went wrong first
        self._goal = 0
        self._reached = asyncio.Event()

    async def grow(self, count: int, told: int = 0) -> None:
        """Open so many more sockets, a few at a time, and send each one's subscription.

        Args:
            count: how many more.
            told: how many messages each is told at once when it subscribes.
        """
        loop = asyncio.get_running_loop()
        wanted = len(self.members) + count
        while len(self.members) < wanted:
            begin = len(self.members)
            made = [Subscriber(self, at) for at in range(begin, min(begin + AT_ONCE, wanted))]
            for one in made:
                await loop.create_connection(partial(_same, one), "127.0.0.1", self.port)
            self.members.extend(made)
            await self._until(partial(self._are_here, made, told))

    def arrived(self, at: float, count: int) -> None:
        if not self.first_at:
            self.first_at = at
        self.total += count
        if self._goal and self.total >= self._goal:
            self._reached.set()

    def lose(self, why: str) -> None:
        """Take word that a client has gone: the measurement is worth nothing any more."""
        if not self.is_closing:
            self.why = self.why or why
            self._reached.set()

    def expect(self, events: int) -> None:
        """Say how many events `reached` waits for from now on, over all clients."""
        self._goal = self.total + events
        self.first_at = 0.0
        self._reached.clear()
        self._check()

    async def reached(self, within: float = 120) -> None:
        """Wait until they have come.

        Raises:
            Lost: a client has gone.
            TimeoutError: they did not come.
        """
        async with asyncio.timeout(within):
            await self._reached.wait()
        self._check()
        self._goal = 0

    async def close(self) -> None:
        self.is_closing = True
        for member in self.members:
            member.transport.abort()
        await asyncio.sleep(0.1)

    def _are_here(self, made: list[Subscriber], told: int) -> bool:
        return all(one.is_acknowledged and one.count >= told for one in made)

    async def _until(self, holds: Callable[[], bool], within: float = 60) -> None:
        deadline = perf_counter() + within
        while not holds():
            self._check()
            if perf_counter() > deadline:
                raise Lost(f"no answer after {len(self.members)} sockets")
            await asyncio.sleep(0.01)

    def _check(self) -> None:
        if self.why:
            raise Lost(self.why)


def _same(one: Subscriber) -> Subscriber:
    return one


def allow_files(count: int) -> None:
    """Let this process, and those it starts, have so many sockets each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def processor_seconds() -> float:
    """Return what this process has used."""
    times = os.times()
    return times.user + times.system
