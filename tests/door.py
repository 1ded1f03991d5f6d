"""The front door as ``carnet serve`` builds it, in a thread of its own, and who knocks on it.

Callers write bytes on real sockets. `Door.check` looks, after every probe, at what the server said
to its log, and whether it still answers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import graph
import orjson
import scene
import world
from conftest import TEMPLATE, _administer

from carnet.cli import server
from carnet.errors import Unauthenticated
from carnet.http import attachments, content, uploads
from carnet.http.app import create_app
from carnet.http.observing import Observer
from carnet.http.operations.live import Live
from carnet.http.services import Services
from carnet.people.actor import Actor
from carnet.settings import Mode, Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.keys import FileKeyProvider
from carnet_graphql.operations.trusted import TrustedDocuments
from carnet_graphql.schema import schema

SOON = 20  # seconds within which what must happen does, on a machine that does much else
SECRET = "quenouille-93"  # in what attackers send as a value: no log and no answer may have it
PLAIN = b'{"query":"{ __typename }"}'
HEAD = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GENEROUS = {"query_budget": 10**9, "query_budget_per_second": 10**9}


@dataclass(frozen=True)
class Answer:
    """One answer; names of headers are small."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, (name, found)
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def errors(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json.get("errors", [])
        return found

    @property
    def code(self) -> str:
        """The code of the first error, once the form of all of them is right."""
        for problem in self.errors:
            assert set(problem) <= {"message", "locations", "path", "extensions"}, problem
            assert problem["message"] and len(problem["message"]) <= 500
            correlation = self.header("x-correlation-id") or problem["extensions"]["correlationId"]
            assert problem["extensions"]["correlationId"] == correlation
        code: str = self.errors[0]["extensions"]["code"]
        return code


@dataclass
class Door:
    """A running server, and what it logged."""

    settings: Settings
    port: int = 0
    holder: Any = None
    record: str = ""
    actors: dict[str, Actor] = field(default_factory=dict)
    log: list[logging.LogRecord] = field(default_factory=list)
    live: Live | None = None
    stop: Any = None
    stopper: server.Stopper | None = None

    def token(self, actor: Actor) -> str:
        token = f"{SECRET}-{len(self.actors)}"
        self.actors[token] = actor
        return token

    @contextmanager
    def wire(self) -> Iterator[socket.socket]:
        """Yield a connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SOON) as made:
            yield made

    def said(self, *parts: bytes, half_close: bool = False) -> bytes:
        """Return all that is answered until the server closes."""
        with self.wire() as made:
            try:
                for part in parts:
                    made.sendall(part)
                if half_close:
                    made.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass  # it has answered, and takes no more
            return rest_of(made)

    def answers(self, *parts: bytes, half_close: bool = False) -> list[Answer]:
        """Return the answers to the bytes, the last of which asks to close."""
        return read_answers(self.said(*parts, half_close=half_close))

    def answer(self, *parts: bytes, half_close: bool = False) -> Answer:
        (found,) = self.answers(*parts, half_close=half_close)
        return found

    def post(self, body: Any = PLAIN, *headers: bytes, token: str | None = None) -> Answer:
        """Post a body as it should be."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        more = b"".join(header + b"\r\n" for header in headers)
        if token is not None:
            more += b"Authorization: Bearer %s\r\n" % token.encode()
        close = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
        return self.answer(HEAD + JSON + more + close + content)

    def ask(self, query: str, variables: Any = None, **rest: Any) -> Answer:
        """Ask as a client does that reads statuses."""
        body = {"query": query, "variables": variables, **rest}
        return self.post(body, b"Accept: application/graphql-response+json")

    @contextmanager
    def socket(self, *more: bytes, init: Any = None) -> Iterator[Socket]:
        """Yield a socket after its handshake; with ``init``, its payload, after the greeting."""
        with self.wire() as made:
            made.sendall(handshake(*more))
            yield (opened := Socket(made))
            assert opened.is_open or init is None

    def check(self) -> None:
        """Look whether it still answers, and whether its log has a value or a fault."""
        assert self.post().json["data"] == {"__typename": "Query"}
        for record in self.log:
            line = logging.Formatter().format(record)
            assert SECRET not in line and "Quenouille" not in line, line
            assert "Traceback" not in line, line
            assert record.levelno <= logging.WARNING, line
        self.log.clear()


class Socket:
    """A WebSocket whose frames are made by hand."""

    def __init__(self, made: socket.socket) -> None:
        self.made = made
        self.head, self._left = _until_blank(made)
        self.is_open = self.head.startswith(b"HTTP/1.1 101 ")

    def _exactly(self, count: int) -> bytes:
        while len(self._left) < count:
            chunk = self.made.recv(2**16)
            if not chunk:
                raise ConnectionError("it ended within a frame")
            self._left += chunk
        found, self._left = self._left[:count], self._left[count:]
        return found

    def say(self, message: Any) -> None:
        self.made.sendall(
            frame(1, message if isinstance(message, bytes) else orjson.dumps(message))
        )

    def hear(self) -> tuple[int, bytes]:
        """Return opcode and data of the next frame."""
        first, length = self._exactly(2)
        assert first & 0x70 == 0 and length & 0x80 == 0
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        return first & 0x0F, self._exactly(length)

    def message(self) -> Any:
        """Return the next message."""
        opcode, data = self.hear()
        assert opcode == 1, (opcode, data)
        return orjson.loads(data)

    def begin(self, token: str | None = None) -> None:
        """Introduce oneself."""
        payload = {"Authorization": f"Bearer {token}"} if token else None
        self.say({"type": "connection_init", "payload": payload})
        assert self.message() == {"type": "connection_ack"}

    def closed(self) -> int:
        """Return the code that the server closes with, whatever it says before."""
        while True:
            opcode, data = self.hear()
            if opcode == 8:
                code: int = struct.unpack(">H", data[:2])[0]
                return code


def frame(
    opcode: int, data: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Return a frame of a client."""
    bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 2**16:
        head += bytes([bit | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(data))
    return head + (b"\0\0\0\0" if masked else b"") + data


def handshake(*more: bytes) -> bytes:
    """Return a request for an upgrade."""
    lines = (
        b"GET /graphql HTTP/1.1",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: a2tra2tra2tra2tra2traw==",
        b"Sec-WebSocket-Version: 13",
        *([] if any(line.lower().startswith(b"host:") for line in more) else [b"Host: localhost"]),
        b"Sec-WebSocket-Protocol: graphql-transport-ws",
        *more,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def rest_of(made: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    received = b""
    try:
        while chunk := made.recv(2**16):
            received += chunk
    except ConnectionResetError:
        assert received, "dropped without an answer"  # it closed while we were still writing
    return received


def _until_blank(made: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = made.recv(2**16)
        if not chunk:
            raise ConnectionError(f"no answer: {received!r}")
        received += chunk
    head, _, left = received.partition(b"\r\n\r\n")
    return head, left


def read_answers(received: bytes) -> list[Answer]:
    """Read answers that say their length, or end with the connection."""
    found = []
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        assert separator, head
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
        length = next((int(value) for name, value in headers if name == "content-length"), None)
        status = int(first.split(" ")[1])
        size = 0 if status < 200 else len(received) if length is None else length
        found.append(Answer(status, headers, received[:size]))
        assert b"Traceback" not in received
        received = received[size:]
    return found


class _Keeping(logging.Handler):
    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    def emit(self, record: logging.LogRecord) -> None:
        self._door.log.append(record)


@contextmanager
def opened(
    postgres: EmbeddedPostgres,
    folder: Path,
    *,
    documents: TrustedDocuments | None = None,
    timing: dict[str, float] | None = None,
    **settings: Any,
) -> Iterator[Door]:
    """Serve on a free port, in a thread, with a database of its own."""
    door = Door(Settings(**GENEROUS | settings))
    ready = threading.Event()
    faults: list[BaseException] = []

    async def run() -> None:
        name = f"test_{uuid4().hex}"
        connection = await _administer(postgres)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        try:
            await _serve(
                door, ready, postgres.owner_url.set(database=name), folder, documents, timing
            )
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await connection.close()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=server._loop_factory()) as runner:
                runner.run(run())
        except BaseException as error:  # shown by the test that waits
            faults.append(error)
        finally:
            ready.set()

    handler, root = _Keeping(door), logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "carnet", "uvicorn")}
    root.addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(60) and not faults, faults
        yield door
    finally:
        if door.stop is not None:
            door.stop()
        thread.join(60)
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert not thread.is_alive() and not faults, faults


async def _serve(
    door: Door,
    ready: threading.Event,
    url: Any,
    folder: Path,
    documents: TrustedDocuments | None,
    timing: dict[str, float] | None,
) -> None:
    async def authenticate(_database: Database, token: str, _address: str) -> Actor:
        if token not in door.actors:
            raise Unauthenticated()
        return door.actors[token]

    database = Database.connect(url)
    blobs = BlobStore.open(None, folder, FileKeyProvider.open(None, folder, may_create=True))
    made = await scene.make(database, blobs)
    door.holder, door.record = made.holder, made.record_id
    services = Services(
        door.settings,
        database,
        blobs,
        graph.SCHEMA if door.settings.mode is Mode.DEVELOPMENT else schema(introspection=False),
        authenticate,
        graph.gate_of(database),
        graph.SIGNER,
        graph.CURSORS,
        graph.FEEDS,
        documents=documents or TrustedDocuments(),
    )
    app = create_app(services, [*uploads.ROUTES, *content.ROUTES, *attachments.ROUTES])
    door.live = live = app.state.live
    for name, value in (timing or {}).items():
        assert hasattr(live.sockets, name)
        setattr(live.sockets, name, value)
    listening = server.listen("127.0.0.1", 0)
    door.port = listening.getsockname()[1]
    stopper, loop = server.Stopper(), asyncio.get_running_loop()
    door.stopper = stopper
    door.stop = lambda: loop.call_soon_threadsafe(stopper.hear)
    await server.serve(Observer(app), listening, stopper, ready.set, live)


__all__ = ["Answer", "Door", "Socket", "opened", "world"]
