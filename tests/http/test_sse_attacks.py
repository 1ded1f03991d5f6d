"""Event streams and clients that do not keep to the rules, or go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
import scene
import world
from following import DOCUMENTS, INBOX, SOON, Served, deposit, serving, until

from carnet.clock import MovableClock
from carnet.http.operations import sse
from carnet.people.actor import Actor
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

STREAM = "text/event-stream"


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs, hide_results_days=0)


@asynccontextmanager
async def asked(
    served: Served,
    actor: Actor | None,
    query: str,
    variables: dict[str, Any] | None = None,
    accept: str = STREAM,
) -> AsyncIterator[httpx.Response]:
    """Yield the answer to an operation, as it begins."""
    headers = {"Accept": accept}
    if actor is not None:
        headers["Authorization"] = f"Bearer {served.token(actor)}"
    body = {"query": query, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=SOON) as client,
        client.stream("POST", served.url, json=body, headers=headers) as response,
    ):
        yield response


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Yield names and data."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data:"):
            yield name, orjson.loads(line[5:]) if line[5:].strip() else None


async def test_a_stream_replays_goes_on_and_ends(
    served: Served, made: scene.Scene, database: Database, clock: MovableClock
) -> None:
    caregiver = await world.holder(database)
    end = clock.now() + timedelta(hours=1)
    await world.delegation(database, made.holder, caregiver, expires_at=end)
    variables = {"record": made.record_id}
    async with asked(served, caregiver, DOCUMENTS, variables) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(STREAM)
        heard = events(response)
        name, first = await anext(heard)
        assert name == "next"
        assert first["data"]["documentEvents"]["__typename"] == "CaughtUp"
        await deposit(made, made.holder, "letter")
        name, told = await anext(heard)
        assert told["data"]["documentEvents"]["document"]["title"] == "letter"
        clock.offset += timedelta(hours=1)
        name, over = await anext(heard)
        assert (name, over["errors"][0]["extensions"]["code"]) == ("next", "ACCESS_ENDED")
        assert await anext(heard) == ("complete", None)
        with pytest.raises(StopAsyncIteration):
            await anext(heard)


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (STREAM, 200, STREAM),
        ("TEXT/EVENT-STREAM", 200, STREAM),
        ("text/event-stream;q=0.9, application/json;q=0.1", 200, STREAM),
        ("text/event-stream;charset=utf-8", 200, STREAM),
        ("text/event-stream;q=0", 406, "application/json"),
        ("text/event-stream;q=x", 406, "application/json"),
        ("text/html", 406, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/json, text/event-stream", 200, "application/json"),
    ],
)
async def test_what_a_client_accepts(served: Served, accept: str, status: int, kind: str) -> None:
    async with asked(served, None, "{ __typename }", accept=accept) as response:
        assert response.status_code == status
        assert response.headers["content-type"].startswith(kind)
        body = await response.aread()
        if kind == STREAM:
            cost = b'{"requested":51,"available":99949,"limit":100000,"restoredPerSecond":5000}'
            expected = b'event: next\ndata: {"data":{"__typename":"Query"},"extensions":{"cost":'
            expected += cost + b"}}\n\n"
            assert body == b":\n\n" + expected + b"event: complete\ndata:\n\n"


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", None, "BAD_REQUEST"),
        ("subscription { inboxEvents @skip(if: true) { __typename } }", None, None),
        (INBOX, None, "UNAUTHENTICATED"),
        (DOCUMENTS, {"record": "nonsense"}, None),
        (DOCUMENTS, {}, "BAD_REQUEST"),
    ],
)
async def test_errors_are_coded_and_end_the_stream(
    served: Served, query: str, variables: dict[str, Any] | None, code: str | None
) -> None:
    async with asked(served, None, query, variables) as response:
        assert response.status_code == 200
        heard = [each async for each in events(response)]
    (name, data), end = heard
    assert (name, end) == ("next", ("complete", None))
    (found,) = {error["extensions"]["code"] for error in data["errors"]}
    assert found != "INTERNAL" and code in (None, found)


async def test_clients_that_go_leave_nothing(served: Served, made: scene.Scene) -> None:
    variables = {"record": made.record_id}
    for _ in range(3):
        async with asked(served, made.holder, DOCUMENTS, variables) as response:
            heard = events(response)
            await anext(heard)
            assert len(served.live.hub) == 1
        await until(lambda: len(served.live.hub) == 0)
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    body = orjson.dumps({"query": INBOX})
    token = served.token(made.holder)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: text/event-stream\r\nAuthorization: Bearer "
        + token.encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )
    writer.transport.abort()  # before the first byte of the answer
    await until(lambda: len(served.live.hub) == 0)


async def test_who_takes_nothing_is_given_up(
    served: Served, made: scene.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "SEND_TIMEOUT", 0.5)
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.1)
    monkeypatch.setattr(sse, "COMMENT", b":" + b"x" * 2**20 + b"\n\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    body = orjson.dumps({"query": INBOX})
    token = served.token(made.holder)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: text/event-stream\r\nAuthorization: Bearer "
        + token.encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )
    await reader.readline()
    await until(lambda: len(served.live.connections._users) == 1)
    await until(lambda: len(served.live.connections._users) == 0)
    assert len(served.live.hub) == 0
    writer.transport.abort()


async def test_too_many_streams_of_one_user(
    database: Database, blobs: BlobStore, made: scene.Scene
) -> None:
    async with serving(database, blobs, Settings(sockets_per_user=2)) as served:
        async with (
            asked(served, made.holder, INBOX) as one,
            asked(served, made.holder, INBOX) as two,
        ):
            held = [events(one), events(two)]  # a generator that is dropped closes the answer
            for each in held:
                await anext(each)
            async with asked(served, made.holder, INBOX) as third:
                body = orjson.loads(await third.aread())
                assert third.status_code == 429
                assert body["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        await until(lambda: not served.live.connections._users)
        async with asked(served, made.holder, INBOX) as again:
            assert (await anext(events(again)))[0] == "next"
        await until(lambda: not served.live.connections._users)


async def test_many_at_once_of_one_user_are_all_answered(
    database: Database, blobs: BlobStore, made: scene.Scene
) -> None:
    """Also those that were let through the first look together."""
    async with serving(database, blobs, Settings(sockets_per_user=1)) as served:
        statuses = []

        async def one() -> None:
            async with asked(served, made.holder, INBOX) as response:
                statuses.append(response.status_code)
                if response.status_code == 200:
                    await anext(events(response))
                    await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(8)))
        assert set(statuses) <= {200, 429} and 200 in statuses
