"""Servers in processes of their own, and clients of them that come back after any cut.

A `Follower` keeps every event that it was told and its last cursor, and goes on from there as the
usual clients do; a `Writer` repeats a request under one idempotency key until it is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import scene
from scene_texts import MUTATIONS
from servers import STARTS_WITHIN, STOPS_WITHIN, free_port
from sqlalchemy import URL, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from carnet.people.actor import Actor, Assurance
from carnet.people.sessions import open_session
from carnet.people.tables import Account
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.events import ACCESS_CHANGED, NewEvent
from carnet.store.keys import FileKeyProvider
from carnet.store.tables import Event

SERVE = (sys.executable, "-c", "from carnet.cli import main; main()", "serve", "--no-access-log")
TLS = ssl.create_default_context()  # made once: it takes longer than a request
KEPT = ("id", "title", "contents")  # of a document, by who follows it
AGAIN_IN = 0.1  # seconds until a client knocks again
SOON = 20  # seconds within which what must happen does, on a machine that does much else


@dataclass
class Server:
    """``carnet serve`` in a process of its own."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), STOPS_WITHIN)

    def resident(self) -> int:
        """Return the memory that the process takes, in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Place:
    """A database and a data folder: what the servers of one test serve."""

    url: URL
    folder: Path
    database: Database
    blobs: BlobStore

    @classmethod
    def of(cls, url: URL, folder: Path, database: Database) -> Place:
        keys = FileKeyProvider.open(None, folder, may_create=True)
        return cls(url, folder, database, BlobStore.open(None, folder, keys))

    def env(self, **settings: object) -> dict[str, str]:
        """Return an environment in which only these settings speak."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
        chosen = {f"CARNET_{name.upper()}": str(value) for name, value in settings.items()}
        return {
            **own,
            "PYTHONUNBUFFERED": "1",
            "CARNET_DATA_DIR": str(self.folder),
            "CARNET_DATABASE_URL": self.url.render_as_string(hide_password=False),
            **chosen,
        }

    @asynccontextmanager
    async def serving(self, port: int | None = None, **settings: object) -> AsyncIterator[Server]:
        """Start a server, and kill it if the test did not stop it."""
        port = port or free_port()
        log = self.folder / f"server-{uuid4().hex}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *SERVE,
                env=self.env(port=port, **settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN)
            assert b"Carnet serves" in said, log.read_text()
            yield Server(process, port, log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def token(self, actor: Actor) -> str:
        """Return a token of a new session."""
        async with self.database.write() as work:
            account = await work.session.get_one(Account, actor.account_id)  # type: ignore[union-attr]
            return (await open_session(work, account, Assurance.SANDBOX)).token

    async def told(self, stream_id: UUID) -> list[str]:
        """Return the ids of a stream's events, in its order, without what no client is told."""
        statement = (
            select(Event.id)
            .where(Event.stream_id == stream_id, Event.kind != ACCESS_CHANGED)
            .order_by(Event.number)
        )
        async with self.database.read() as work:
            return [str(id_) for id_ in await work.session.scalars(statement)]

    async def repeat_last_event(self, record_id: UUID, times: int) -> None:
        """Let what happened last in a record happen again, many times in one transaction."""
        last = select(Event).where(Event.stream_id == record_id).order_by(Event.number.desc())
        async with self.database.write() as work:
            found = (await work.session.scalars(last.limit(1))).one()
            work.events.extend(
                NewEvent(work.new_id(), (record_id,), found.kind, found.subject_id, record_id)
                for _ in range(times)
            )

    async def make(self, **choices: Any) -> scene.Scene:
        """Make a record whose results are not hidden."""
        return await scene.make(self.database, self.blobs, hide_results_days=0, **choices)


class Writer:
    """Somebody who deposits through the API, and repeats each step until it is acknowledged.

    ``acknowledged`` holds the titles whose answer arrived; ``repeats`` counts what did not.
    """

    def __init__(self, token: str, record_id: str, *ports: int) -> None:
        self.acknowledged: list[str] = []
        self.at: dict[str, float] = {}  # when each was
        self.repeats = 0
        self._ports = ports
        self._headers = {"Authorization": f"Bearer {token}"}
        self._record_id = record_id
        self._turn = 0

    async def deposit(self, title: str) -> str:
        """Put a document into the record; return its id."""
        body = await self._until_done("/blobs", content=title.encode())
        given = {
            "recordId": self._record_id,
            "blobId": body["id"],
            "description": {"title": title, "category": "PERSONAL"},
        }
        document = await self.mutate("addDocument", given)
        self.acknowledged.append(title)
        self.at[title] = time.monotonic()
        id_: str = document["document"]["id"]
        return id_

    async def mutate(self, mutation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Run a mutation under a key of its own; return its payload."""
        variables = {"input": {**given, "idempotencyKey": str(uuid4())}}
        body = await self._until_done(
            "/graphql", json={"query": MUTATIONS[mutation], "variables": variables}
        )
        payload: dict[str, Any] = body["data"][mutation]
        assert payload["__typename"].endswith("Success"), payload
        return payload

    async def _until_done(self, path: str, **request: Any) -> dict[str, Any]:
        headers = self._headers | ({"Content-Type": "text/plain"} if "content" in request else {})
        while True:
            port = self._ports[self._turn % len(self._ports)]
            try:
                async with httpx.AsyncClient(timeout=SOON, verify=TLS) as client:
                    url = f"http://127.0.0.1:{port}{path}"
                    answer = await client.post(url, headers=headers, **request)
                body: dict[str, Any] = answer.json()
                if answer.status_code < 500 and not body.get("errors"):
                    assert answer.status_code < 300, body
                    return body
                codes = {error["extensions"]["code"] for error in body.get("errors", ())}
                assert codes <= {"UNAVAILABLE"}, body
            except (httpx.HTTPError, ValueError):
                pass  # cut off: nobody knows whether it was done
            self.repeats += 1
            self._turn += 1
            await asyncio.sleep(AGAIN_IN)


@dataclass
class Follower:
    """One subscription over as many sockets as it takes."""

    token: str
    query: str
    variables: dict[str, Any]
    ports: Sequence[int]
    told: list[dict[str, Any]] = field(default_factory=list)
    at: dict[str, float] = field(default_factory=dict)  # when each title was first told
    closes: list[int | None] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    replays: int = 0  # how often it has caught up
    cursor: str | None = None
    connection: ClientConnection | None = None
    _turn: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _reads: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._reads.set()

    def pause(self) -> None:
        """Read nothing more, so that what is sent waits in the server's buffers."""
        self._reads.clear()

    def resume(self) -> None:
        """Read on."""
        self._reads.set()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """Follow while the block runs; the block begins when everything until then was told."""
        task = asyncio.create_task(self._follow())
        try:
            await self.until(lambda: self.replays > 0)
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], bool], within: float = SOON) -> None:
        """Wait until something is so; say what there is instead if it does not come."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(
                f"told {len(self.told)} events, {self.titles[-20:]=} {self.closes=} {self.errors=}"
            ) from None

    async def until_told(self, ids: Sequence[str], within: float = SOON) -> None:
        """Wait until it was told as many events as these; say what is missing otherwise."""
        try:
            await self.until(lambda: len(self.told) >= len(ids), within)
        except TimeoutError:
            missing = set(ids) - set(self.ids)
            raise AssertionError(
                f"{len(missing)} of {len(ids)} events were not told; {self.closes=} {self.errors=}"
            ) from None

    @property
    def ids(self) -> list[str]:
        return [event["eventId"] for event in self.told]

    @property
    def titles(self) -> list[str]:
        return [event["document"]["title"] for event in self.told if "document" in event]

    async def _follow(self) -> None:
        while True:
            port = self.ports[self._turn % len(self.ports)]
            self._turn += 1
            try:
                async with connect(
                    sock=await self._dial(port),
                    uri=f"ws://127.0.0.1:{port}/graphql",
                    subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
                    max_queue=4,
                    ping_interval=None,
                    open_timeout=SOON,
                    close_timeout=1,
                ) as connection:
                    self.connection = connection
                    await self._hear(connection)
            except (OSError, InvalidHandshake, TimeoutError):
                pass  # nobody is there
            except WebSocketException:
                self.closes.append(self.connection.close_code if self.connection else None)
            self._changed.set()
            await asyncio.sleep(AGAIN_IN)

    async def _dial(self, port: int) -> socket.socket:
        """Return a connection that buffers little, so that who does not read is soon noticed."""
        dialled = socket.socket()
        dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        dialled.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(dialled, ("127.0.0.1", port))
        except BaseException:
            dialled.close()
            raise
        return dialled

    async def _hear(self, connection: ClientConnection) -> None:
        await say(connection, "connection_init", payload={"Authorization": f"Bearer {self.token}"})
        assert orjson.loads(await connection.recv())["type"] == "connection_ack"
        variables = {**self.variables, "after": self.cursor}
        payload = {"query": self.query, "variables": variables}
        await say(connection, "subscribe", id="1", payload=payload)
        while True:
            await self._reads.wait()
            self._take(orjson.loads(await connection.recv()))
            self._changed.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] != "next" or "errors" in message["payload"]:
            self.errors.append(message)
            return
        (event,) = message["payload"]["data"].values()
        self.cursor = event["cursor"]
        if event["__typename"] == "CaughtUp":
            self.replays += 1
            return
        self.told.append(event)
        if "document" in event:
            event["document"] = {key: event["document"].get(key) for key in KEPT}
            self.at.setdefault(event["document"]["title"], time.monotonic())


async def say(connection: ClientConnection, kind: str, **rest: Any) -> None:
    """Send a message of the protocol."""
    await connection.send(orjson.dumps({"type": kind, **rest}).decode())


async def eventually(condition: Callable[[], Any], within: float = SOON) -> None:
    """Wait until something is so that tells nobody; the condition may have to be awaited."""
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if await found if isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


def twice(ids: Sequence[str]) -> list[str]:
    """Return what comes more than once."""
    return [id_ for id_, count in Counter(ids).items() if count > 1]


async def holds(
    place: Place, stream_id: UUID, followers: Sequence[Follower], acknowledged: Sequence[str]
) -> None:
    """Hold the property: all that was acknowledged, once by id, in the order of the stream."""
    ids = await place.told(stream_id)
    for follower in followers:
        await follower.until_told(ids)
        assert twice(follower.ids) == []
        assert follower.ids == ids
        assert set(acknowledged) <= set(follower.titles)
        assert follower.errors == []
