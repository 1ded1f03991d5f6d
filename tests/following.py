"""A real server on a real socket, and clients that follow subscriptions over WebSocket."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import graph
import orjson
import uvicorn
from scene import Scene
from websockets.asyncio.client import ClientConnection, connect

from carnet.errors import Unauthenticated
from carnet.http import attachments, content, uploads
from carnet.http.app import create_app
from carnet.http.operations.live import Live
from carnet.http.services import Services
from carnet.people.actor import Actor, actor_key
from carnet.people.sessions import authenticate as authenticate_session
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.operations.trusted import TrustedDocuments

SOON = 10  # seconds within which what must happen does, on a machine that does much else

EVENT = """
    ... on CaughtUp { cursor }
    ... on DocumentDeposited { cursor eventId document { id title } }
    ... on DocumentReplaced { cursor eventId document { id title } }
    ... on DocumentChanged { cursor eventId document { id title } }
    ... on DocumentRemoved { cursor eventId documentId }
"""
DOCUMENTS = (
    "subscription Documents($record: ID!, $after: Cursor)"
    " { documentEvents(record: $record, after: $after) { __typename " + EVENT + " } }"
)
INBOX = (
    "subscription Inbox($after: Cursor) { inboxEvents(after: $after) { __typename "
    + EVENT
    + " ... on NotificationReceived { cursor eventId notification { kind } }"
    " ... on NotificationRead { cursor eventId notification { kind } } } }"
)
JOURNAL = (
    "subscription Journal($record: ID!, $after: Cursor)"
    " { journalEvents(record: $record, after: $after) { __typename ... on CaughtUp { cursor }"
    " ... on JournalEntryAdded { cursor entry { id action } released { id action } } } }"
)
NOTIFICATIONS = (
    "subscription($after: Cursor) { notifications(after: $after) { __typename"
    " ... on CaughtUp { cursor } ... on NotificationReceived { cursor notification { kind } } } }"
)


@dataclass
class Served:
    """A server of this process. ``actors`` are who comes with which token."""

    port: int
    live: Live
    server: uvicorn.Server
    actors: dict[str, Actor] = field(default_factory=dict)

    def token(self, actor: Actor) -> str:
        """Return a token that stands for the actor."""
        token = f"token-{len(self.actors)}"
        self.actors[token] = actor
        return token

    @property
    def url(self) -> str:
        """Where GraphQL is."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @asynccontextmanager
    async def connected(self, actor: Actor | None = None, token: str | None = None) -> Any:
        """Yield a socket that is acknowledged."""
        async with connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=["graphql-transport-ws"],
            max_queue=None,
        ) as connection:
            client = Client(connection)
            given = token or (self.token(actor) if actor is not None else None)
            payload = {"Authorization": f"Bearer {given}"} if given else None
            try:
                await client.say("connection_init", payload=payload)
                assert (await client.hear())["type"] == "connection_ack"
                yield client
            finally:
                await client.stop()


class Client:
    """One socket, whose messages are sorted by operation."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self._queues: dict[str | None, asyncio.Queue[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def say(self, kind: str, **rest: Any) -> None:
        """Send a message."""
        await self.connection.send(orjson.dumps({"type": kind, **rest}).decode())

    async def hear(self, operation: str | None = None, within: float = SOON) -> dict[str, Any]:
        """Return the next message of an operation, or of none."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        queue = self._queues.setdefault(operation, asyncio.Queue())
        getting = asyncio.create_task(queue.get())
        done, _ = await asyncio.wait(
            {getting, self._reading}, timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        if getting not in done:
            getting.cancel()
            if self._reading in done and queue.empty():
                raise ConnectionError(f"closed with {self.connection.close_code}")
            if queue.empty():
                raise TimeoutError(f"nothing within {within} s")
            return queue.get_nowait()
        return getting.result()

    async def subscribe(self, query: str, **variables: Any) -> Subscription:
        """Begin to follow."""
        id_ = str(next(self._ids))
        payload = {"query": query, "variables": variables}
        await self.say("subscribe", id=id_, payload=payload)
        return Subscription(self, id_)

    async def hear_nothing(self, operation: str) -> None:
        """Check that an operation is told nothing more: not until the server answers a ping."""
        await self.say("ping")
        while (await self.hear())["type"] != "pong":
            pass
        queue = self._queues.get(operation)
        assert queue is None or queue.empty(), queue.get_nowait()

    async def stop(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        async for text in self.connection:
            message = orjson.loads(text)
            queue = self._queues.setdefault(message.get("id"), asyncio.Queue())
            queue.put_nowait(message)


class Subscription:
    """One operation of a socket."""

    def __init__(self, client: Client, id_: str) -> None:
        self.client = client
        self.id = id_

    async def event(self, within: float = SOON) -> dict[str, Any]:
        """Return the next event."""
        message = await self.client.hear(self.id, within)
        assert message["type"] == "next", message
        payload = message["payload"]
        assert "errors" not in payload, payload
        (event,) = payload["data"].values()
        found: dict[str, Any] = event
        return found

    async def events(self, count: int, within: float = SOON) -> list[dict[str, Any]]:
        """Return the next events."""
        return [await self.event(within) for _ in range(count)]

    async def until_caught_up(self) -> tuple[list[dict[str, Any]], str]:
        """Return what is replayed, and the cursor up to which everything was told."""
        replayed = []
        while True:
            event = await self.event()
            if event["__typename"] == "CaughtUp":
                return replayed, event["cursor"]
            replayed.append(event)

    async def ended(self, within: float = SOON) -> str:
        """Return the code with which it ends, whatever comes before."""
        while True:
            message = await self.client.hear(self.id, within)
            if message["type"] == "error":
                code: str = message["payload"][0]["extensions"]["code"]
                return code
            assert message["type"] == "next", message


async def deposit(made: Scene, who: Actor, title: str) -> str:
    """Put a document into the scene's record through the API; return its id."""

    async def chunks() -> AsyncIterator[bytes]:
        yield title.encode()

    stored = await made.blobs.receive(
        made.database, actor_key(who), chunks(), media_type="text/plain", limit_bytes=1000
    )
    answer = await made.done(
        who,
        "addDocument",
        recordId=made.record_id,
        blobId=str(stored.id),
        description={"title": title, "category": "PERSONAL"},
    )
    id_: str = answer["document"]["id"]
    return id_


@asynccontextmanager
async def serving(
    database: Database,
    blobs: BlobStore,
    settings: Settings | None = None,
    *,
    port: int = 0,
    is_cut: bool = False,
    documents: TrustedDocuments | None = None,
    **timing: float,
) -> AsyncIterator[Served]:
    """Serve on a free port; ``timing`` are attributes of `carnet.http.operations.sockets.Sockets`.

    Clients have gone by the end, and have left nothing behind, unless the server ``is_cut`` off.
    """
    actors: dict[str, Actor] = {}

    async def authenticate(given: Database, token: str, address: str) -> Actor:
        if token.startswith("token-"):
            if token not in actors:
                raise Unauthenticated()
            return actors[token]
        return await authenticate_session(given, token, address)

    services = Services(
        settings or Settings(),
        database,
        blobs,
        graph.SCHEMA,
        authenticate,
        graph.gate_of(database),
        graph.SIGNER,
        graph.CURSORS,
        graph.FEEDS,
        documents=documents or TrustedDocuments(),
    )
    app = create_app(services, [*uploads.ROUTES, *content.ROUTES, *attachments.ROUTES])
    live: Live = app.state.live
    for name, value in timing.items():
        assert hasattr(live.sockets, name)
        setattr(live.sockets, name, value)
    config = uvicorn.Config(
        app,
        port=port,
        log_config=None,
        http=live.http_protocol,
        ws=live.socket_protocol,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    loop, faults = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(port, live, server, actors)
        if not is_cut:
            await _all_gone(live)
    finally:
        live.drain()
        server.should_exit = True
        await task
        loop.set_exception_handler(None)
    assert faults == [], faults


async def _all_gone(live: Live) -> None:
    """Wait until nothing is left of clients that went."""

    def left() -> list[int]:
        counted = live.connections
        kept = live.hub._groups, live.hub._watches, live.tails._tails, live.tails._dirty
        return [len(live.sockets.open), *map(len, (counted._addresses, counted._users, *kept))]

    try:
        await until(lambda: not any(left()))
    except TimeoutError:
        raise AssertionError(f"left of clients that went: {left()}") from None


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something that the server does by itself is done."""
    end = asyncio.get_running_loop().time() + SOON
    while not holds():
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError
        await asyncio.sleep(0.01)
