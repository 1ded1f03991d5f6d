"""What a client sends wrong on a socket: a typed close code or a coded error, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import graph
import orjson
import pytest
import scene
from following import DOCUMENTS, INBOX, SOON, Served, serving, until

from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

HEADERS = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": base64.b64encode(b"k" * 16).decode(),
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "graphql-transport-ws",
}
INIT = {"type": "connection_init"}


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs, keep_alive=60, close_timeout=0.5) as running:
        yield running


class Wire:
    """A TCP connection whose bytes are made by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def frame(self, opcode: int, data: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
        """Return a frame of a client."""
        bit = 0x80 if masked else 0
        head = bytes([(0x80 if fin else 0) | opcode])
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 2**16:
            head += bytes([bit | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(data))
        return head + (b"\0\0\0\0" if masked else b"") + data

    def say(self, message: object) -> None:
        """Send a message."""
        data = message if isinstance(message, bytes) else orjson.dumps(message)
        self.writer.write(self.frame(1, data))

    async def hear(self) -> tuple[int, bytes]:
        """Return opcode and data of the next frame."""
        async with asyncio.timeout(SOON):
            first, length = await self.reader.readexactly(2)
            assert not length & 0x80, "a server masks nothing"
            if length == 126:
                (length,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> Any:
        """Return the next message."""
        opcode, data = await self.hear()
        assert opcode == 1, (opcode, data)
        return orjson.loads(data)

    async def closed(self) -> int:
        """Return the code that the server closes with, whatever it says before."""
        while True:
            opcode, data = await self.hear()
            if opcode == 8:
                code: int = struct.unpack(">H", data[:2])[0]
                return code

    async def acknowledged(self) -> None:
        """Introduce oneself."""
        self.say(INIT)
        assert (await self.message())["type"] == "connection_ack"


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """Yield a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def handshake(
    path: str = "/graphql", method: str = "GET", more: str = "", **changed: str | None
) -> bytes:
    """Return a request for an upgrade; a header that is changed to None is left out."""
    wanted: dict[str, str | None] = dict(HEADERS)
    wanted |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{name}: {value}\r\n" for name, value in wanted.items() if value is not None]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}{more}\r\n".encode("latin-1")


async def answered(served: Served, request: bytes) -> int:
    """Return the status of the answer to a handshake."""
    async with wire(served.port) as each, asyncio.timeout(SOON):
        each.writer.write(request)
        line = await each.reader.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        return int(line.split()[1])


@asynccontextmanager
async def upgraded(served: Served, **changed: str | None) -> AsyncIterator[Wire]:
    """Yield a socket after its handshake."""
    async with wire(served.port) as each:
        each.writer.write(handshake(**changed))
        async with asyncio.timeout(SOON):
            head = await each.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"permessage-deflate" not in head.lower()
        yield each


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (404, handshake("/other")),
        (404, handshake("/")),
        (404, handshake("/graphql/")),
        (404, handshake("/%67raphql")),
        (101, handshake("/graphql?token=x")),
        (403, handshake(Origin="https://evil.example")),
        (403, handshake(Origin="null")),
        (403, handshake(more="Origin: http://127.0.0.1\r\nOrigin: https://evil.example\r\n")),
        (101, handshake(Origin="http://127.0.0.1")),
        (101, handshake(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")),
        (400, handshake(Sec_WebSocket_Key="short")),
        (400, handshake(Sec_WebSocket_Key=None)),
        (400, handshake(more="Sec-WebSocket-Key: " + HEADERS["Sec-WebSocket-Key"] + "\r\n")),
        (400, handshake(Sec_WebSocket_Key="\xe9" * 24)),
        (400, handshake(Sec_WebSocket_Version="8")),
        (400, handshake(Host=None)),
        (400, handshake(Host="rebound.example")),
        (101, handshake(Host="localhost:80")),
        (400, handshake(more="Host: other.example\r\n")),
        (400, handshake(more="Host: other.example\r\nOrigin: http://127.0.0.1\r\n")),
        (405, handshake(method="POST")),
        (400, handshake(more="Content-Length: 2\r\n")),
        (431, handshake(more="Cookie: " + "x" * 20_000 + "\r\n")),
        (431, handshake(more="".join(f"X-{n}: y\r\n" for n in range(200)))),
        (101, handshake(more="X-Name: caf\xe9\r\n")),
    ],
)
async def test_every_handshake_has_an_answer(served: Served, status: int, request_: bytes) -> None:
    assert await answered(served, request_) == status


@pytest.mark.parametrize("offered", ["graphql-ws", "GRAPHQL-TRANSPORT-WS", None])
async def test_another_subprotocol_is_refused_by_its_code(
    served: Served, offered: str | None
) -> None:
    async with upgraded(served, Sec_WebSocket_Protocol=offered) as socket:
        assert await socket.closed() == 4406


async def test_half_a_handshake_leaves_nothing(served: Served) -> None:
    async with wire(served.port) as each:
        each.writer.write(handshake()[:60])
        await each.writer.drain()
    assert len(served.live.sockets.open) == 0


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


BAD_MESSAGES = [
    b"",
    b"x",
    b"null",
    b"[]",
    b'"connection_init"',
    b"{}",
    b'{"type":null}',
    b'{"type":[]}',
    b'{"type":{}}',
    b'{"type":"next","id":"1"}',
    b'{"type":"CONNECTION_INIT"}',
    b'{"type":"start","id":"1","payload":{"query":"{ __typename }"}}',
    b"\xff\xfe",
    b'{"type":"\xc3\x28"}',
    b'{"type":"ping","payload":1}',
    b'{"type":"ping","payload":[]}',
    b'{"type":"pong","payload":"x"}',
    b'{"type":"complete"}',
    b'{"type":"complete","id":1}',
    b'{"type":"complete","id":{}}',
    b'{"type":"subscribe","payload":{"query":"{ __typename }"}}',
    b'{"type":"subscribe","id":"","payload":{"query":"{ __typename }"}}',
    b'{"type":"subscribe","id":1,"payload":{"query":"{ __typename }"}}',
    b'{"type":"subscribe","id":["1"],"payload":{"query":"{ __typename }"}}',
    b'{"type":"subscribe","id":"%s","payload":{"query":"{ __typename }"}}' % (b"x" * 201),
    b'{"type":"subscribe","id":"1"}',
    b'{"type":"subscribe","id":"1","payload":[]}',
    b'{"type":"subscribe","id":"1","payload":{"query":1}}',
    b'{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","variables":[]}}',
    b'{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","operationName":1}}',
    b'{"type":"subscribe","id":"1","payload":{"query":"{ __typename }","extensions":1}}',
    b'{"type":"subscribe","id":"1","payload":{"query":"{ \\u0000 }"}}',
    b'{"type":"ping","payload":' + nested(300) + b"}",
    b'{"type":"ping","payload":' + nested(5000) + b"}",
    b'{"type":"ping","payload":{"a":"\\ud800"}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("message", BAD_MESSAGES, ids=lambda message: repr(message[:70]))
async def test_a_malformed_message_closes_with_its_code(served: Served, message: bytes) -> None:
    async with upgraded(served) as socket:
        await socket.acknowledged()
        socket.say(message)
        assert await socket.closed() == 4400


@pytest.mark.parametrize("payload", [1, "x", [], True])
async def test_an_init_with_another_payload(served: Served, payload: object) -> None:
    async with upgraded(served) as socket:
        socket.say({**INIT, "payload": payload})
        assert await socket.closed() == 4400


@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": 1},
        {"Authorization": "Basic x"},
        {"Authorization": "Bearer "},
        {"authorization": ["Bearer x"]},
        {"headers": {"authorization": "x"}},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Bearer " + "x" * 20_000},
        {"Authorization": "Bearer \u00e9\u0000"},
        {"Authorization": "Bearer carnet_ses_" + "\u0130" * 43},
    ],
)
async def test_a_token_that_opens_nothing(served: Served, payload: dict[str, object]) -> None:
    async with upgraded(served) as socket:
        socket.say({**INIT, "payload": payload})
        assert await socket.closed() == 4403


async def test_codes_of_the_protocol(served: Served) -> None:
    asked = {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}
    async with upgraded(served) as socket:  # before the acknowledgement
        socket.say(asked)
        assert await socket.closed() == 4401
    async with upgraded(served) as socket:
        socket.say(INIT)
        socket.say(asked)
        assert await socket.closed() == 4401
    async with upgraded(served) as socket:
        socket.say(INIT)
        socket.say(INIT)
        assert await socket.closed() == 4429
    async with upgraded(served) as socket:
        await socket.acknowledged()
        socket.say(INIT)
        assert await socket.closed() == 4429
    async with upgraded(served) as socket:
        await socket.acknowledged()
        socket.say(asked)
        socket.say(asked)
        assert await socket.closed() == 4409


async def test_who_never_introduces_themselves_is_closed(
    database: Database, blobs: BlobStore
) -> None:
    async with (
        serving(database, blobs, init_timeout=0.2, close_timeout=0.3) as served,
        upgraded(served) as socket,
    ):
        assert await socket.closed() == 4408
        async with asyncio.timeout(SOON):  # and who does not answer the close is dropped
            assert await socket.reader.read() == b""


async def test_frames_that_no_client_may_send(served: Served) -> None:
    frames = [
        (1002, lambda wire: wire.frame(1, b"{}", masked=False)),
        (1002, lambda wire: wire.frame(0, b"x")),
        (1002, lambda wire: wire.frame(1, b"{", fin=False) + wire.frame(1, b"}")),
        (1002, lambda wire: wire.frame(9, b"x" * 126)),
        (1002, lambda wire: wire.frame(9, b"x", fin=False)),
        (1002, lambda wire: wire.frame(3, b"")),
        (1002, lambda wire: b"\xf1" + wire.frame(1, b"{}")[1:]),
        (1009, lambda wire: wire.frame(1, b"x" * (2**20 + 1))),
        (1009, lambda wire: wire.frame(1, b"x" * 2**20, fin=False) + wire.frame(0, b"x" * 10)),
        (1009, lambda wire: b"\x81\xff" + struct.pack(">Q", 2**40)),
        (4400, lambda wire: wire.frame(2, b'{"type":"ping"}')),
        (4400, lambda wire: wire.frame(2, b"{", fin=False) + wire.frame(0, b"}")),
    ]
    for code, make in frames:
        async with upgraded(served) as socket:
            await socket.acknowledged()
            socket.writer.write(make(socket))
            assert await socket.closed() == code
            async with asyncio.timeout(SOON):  # who goes on talking is dropped all the same
                with suppress(ConnectionError):
                    while await socket.reader.read(100):
                        pass


async def test_after_a_broken_frame_nothing_more_is_told(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    token = served.token(made.holder)
    async with upgraded(served) as socket:
        socket.say({**INIT, "payload": {"Authorization": f"Bearer {token}"}})
        assert (await socket.message())["type"] == "connection_ack"
        payload = {"query": DOCUMENTS, "variables": {"record": made.record_id}}
        socket.say({"type": "subscribe", "id": "1", "payload": payload})
        assert (await socket.message())["type"] == "next"
        socket.writer.write(socket.frame(3, b""))
        assert await socket.closed() == 1002
        assert len(served.live.hub) == 0


async def test_fragments_are_put_together_and_cost_nothing(served: Served) -> None:
    text = b'{"type":"ping","payload":{"a":"\xc3\xa9"}}'
    async with upgraded(served) as socket:
        await socket.acknowledged()
        for at, byte in enumerate(text):  # also in the middle of a character
            socket.writer.write(socket.frame(0 if at else 1, bytes([byte]), fin=False))
            socket.writer.write(socket.frame(9, b"between"))
        socket.writer.write(socket.frame(0, b""))
        heard = [await socket.hear() for _ in range(len(text) + 1)]
        assert heard.count((10, b"between")) == len(text)
        (pong,) = [data for opcode, data in heard if opcode == 1]
        assert orjson.loads(pong) == {"type": "pong", "payload": {"a": "é"}}
        (inside,) = served.live.sockets.open
        socket.writer.write(socket.frame(1, b"{", fin=False))
        for _ in range(100):
            socket.writer.write(socket.frame(0, b"", fin=False) * 1000)
            await socket.writer.drain()
        socket.writer.write(socket.frame(9, b"end"))
        assert await socket.hear() == (10, b"end")
        assert len(inside._message or b"") == 1


async def test_pings_of_the_protocol(served: Served) -> None:
    async with upgraded(served) as socket:
        socket.say({"type": "ping"})  # also before the acknowledgement
        assert await socket.message() == {"type": "pong"}
        await socket.acknowledged()
        payload = {"text": "x" * 500_000, "deep": orjson.loads(nested(200))}
        socket.say({"type": "ping", "payload": payload})
        assert await socket.message() == {"type": "pong", "payload": payload}
        socket.say({"type": "pong", "payload": {"a": 1}})
        socket.say({"type": "complete", "id": "never begun"})
        socket.say({"type": "ping", "payload": None})
        assert await socket.message() == {"type": "pong"}


async def test_operations_that_say_nothing_sensible(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    token = served.token(made.holder)
    operations: list[tuple[str, dict[str, Any] | None]] = [
        ("{", None),
        ("# nothing", None),
        ("subscription { nothing }", None),
        ("subscription { __typename }", None),
        ("subscription { a: __typename @skip(if: true) }", None),
        ("subscription { inboxEvents @skip(if: true) { __typename } }", None),
        ("subscription($x: Boolean!) { inboxEvents @skip(if: $x) { __typename } }", {"x": True}),
        (
            "subscription($x: Boolean!) { ... @include(if: $x) { inboxEvents { __typename } } }",
            {"x": False},
        ),
        ("subscription { inboxEvents { __typename } notifications { __typename } }", None),
        ("subscription A { inboxEvents { __typename } } query B { __typename }", None),
        ("fragment F on Subscription { inboxEvents { __typename } }", None),
        ("subscription { ...F } fragment F on Subscription { ...F }", None),
        ("subscription { inboxEvents(after: 1) { __typename } }", None),
        ("subscription { inboxEvents(after: {}) { __typename } }", None),
        (INBOX, {"after": 1}),
        (INBOX, {"after": ["x"]}),
        (INBOX, {"after": orjson.loads(nested(400))}),
        (INBOX, {"other": orjson.loads(nested(400))}),
        (INBOX, {"other": "x" * 70_000}),
        (DOCUMENTS, {}),
        (DOCUMENTS, {"record": None}),
        (DOCUMENTS, {"record": "nonsense"}),
        (DOCUMENTS, {"record": 7}),
        ("{ " + "a " * 6000 + "}", None),
        ("{ nothing }", None),
    ]
    async with upgraded(served) as socket:
        socket.say({**INIT, "payload": {"Authorization": f"Bearer {token}"}})
        assert (await socket.message())["type"] == "connection_ack"
        for number, (query, variables) in enumerate(operations):
            payload = {"query": query, "variables": variables}
            text = orjson.dumps({"type": "subscribe", "id": str(number), "payload": None})
            text = text[:-5] + _dumps(payload) + b"}"
            socket.say(text)
            message = await socket.message()
            assert (message["type"], message["id"]) == ("error", str(number)), (query, message)
            codes = {error["extensions"]["code"] for error in message["payload"]}
            assert "INTERNAL" not in codes, query
        assert len(served.live.hub) == 0


def _dumps(value: object) -> bytes:
    """Return JSON, also of what is too deep for orjson."""
    if isinstance(value, dict):
        members = [orjson.dumps(key) + b":" + _dumps(each) for key, each in value.items()]
        return b"{" + b",".join(members) + b"}"
    return orjson.dumps(value)


async def test_too_many_of_one_address_and_of_one_user(
    database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    settings = Settings(sockets_per_address=3, sockets_per_user=2)
    async with serving(database, blobs, settings) as served:
        token = served.token(made.holder)
        init = {**INIT, "payload": {"Authorization": f"Bearer {token}"}}
        async with upgraded(served) as one, upgraded(served) as two, upgraded(served) as three:
            assert await answered(served, handshake()) == 429
            for each in (one, two):
                each.say(init)
                assert (await each.message())["type"] == "connection_ack"
            three.say(init)
            assert await three.closed() == 4429
        await until(lambda: not served.live.sockets.open)
        async with upgraded(served) as one:
            one.say(init)
            assert (await one.message())["type"] == "connection_ack"


async def test_a_flood_of_subscriptions_is_bounded(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    token = served.token(made.holder)
    async with upgraded(served) as socket:
        socket.say({**INIT, "payload": {"Authorization": f"Bearer {token}"}})
        assert (await socket.message())["type"] == "connection_ack"
        for number in range(300):
            socket.say({"type": "subscribe", "id": str(number), "payload": {"query": INBOX}})
        heard = [await socket.message() for _ in range(300)]
        refused = [message for message in heard if message["type"] == "error"]
        codes = {message["payload"][0]["extensions"]["code"] for message in refused}
        assert (len(refused), codes) == (200, {"RATE_LIMITED"})
        for number in range(300):
            socket.say({"type": "complete", "id": str(number)})
        for number in range(300, 2000):  # begun and given up before it began
            socket.say({"type": "subscribe", "id": str(number), "payload": {"query": INBOX}})
            socket.say({"type": "complete", "id": str(number)})
        socket.say({"type": "ping"})
        while (await socket.message())["type"] != "pong":
            pass
        await until(lambda: len(served.live.hub) == 0)


async def test_what_is_remembered_of_operations_is_bounded(served: Served) -> None:
    """Commas and blanks are no tokens: a megabyte of them is a valid operation."""
    async with upgraded(served) as socket:
        await socket.acknowledged()
        for number in range(5):
            query = f"{{ a{number}: __typename {' ,' * 40_000} }}"
            payload = {"query": query}
            socket.say({"type": "subscribe", "id": "1", "payload": payload})
            assert (await socket.message())["type"] == "next"
            assert (await socket.message())["type"] == "complete"
    known = graph.SCHEMA.operations._known
    assert sum(len(text) for text, _ in known._values) < 1_000_000
    async with upgraded(served) as socket:
        await socket.acknowledged()
        query = f"subscription {{ inboxEvents {{ __typename {' ,' * 200_000} }} }}"
        socket.say({"type": "subscribe", "id": "1", "payload": {"query": query}})
        message = await socket.message()
        assert message["payload"][0]["extensions"]["code"] == "BAD_REQUEST"
