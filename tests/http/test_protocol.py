"""HTTP/1.1 byte by byte: whatever comes is answered, in time, and nothing is a fault of ours."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from carnet.cli.server import Stopper, listen, serve
from carnet.http.guards import Guard
from carnet.http.protocol import HEAD_LIMIT, TRAILER_LIMIT, HttpProtocol
from carnet.settings import Settings

SOON = 10  # seconds
GET = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


async def slow(request: Request) -> Response:
    await asyncio.sleep(0)  # others get their turn before this answers
    return PlainTextResponse("done")


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server as `carnet serve` makes it."""
    app = Starlette(routes=[Route("/slow", slow), Route("/echo", echo, methods=["POST"])])
    listening = listen("127.0.0.1", 0)
    stopper, started = Stopper(), asyncio.Event()
    guarded = Guard(app, Settings())
    running = asyncio.create_task(
        serve(_without_lifespan(guarded), listening, stopper, started.set)
    )
    await started.wait()
    yield listening.getsockname()[1]
    stopper.hear()
    await running


def _without_lifespan(app: Any) -> Any:
    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
        else:
            await app(scope, receive, send)

    return served


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def told(port: int, *parts: bytes) -> bytes:
    """Return all that is answered until the server closes."""
    async with wire(port) as (reader, writer), asyncio.timeout(SOON):
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def refusal(answer: bytes) -> str:
    """Return the code of the one error, after checking its form."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"content-type: application/json" in head and b"connection: close" in head
    (problem,) = orjson.loads(body)["errors"]
    assert re.fullmatch("[0-9a-f]{16}", problem["extensions"]["correlationId"])
    code: str = problem["extensions"]["code"]
    return code


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /slow HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"NONSENSE /slow HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        CHUNKED + b"zz\r\n",
        CHUNKED + b"1\r\nab\r\n",
        CHUNKED + b"f" * 40 + b"\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * (TRAILER_LIMIT + 1) + b"\r\n",
    ],
)
async def test_what_is_no_http_is_a_400(port: int, request_: bytes) -> None:
    answer = await told(port, request_)
    assert statuses(answer) == [400]
    assert refusal(answer) == "BAD_REQUEST"


async def test_http_before_it_had_headers_names_no_host(port: int) -> None:
    answer = await told(port, b"GET /slow\r\n\r\n")
    assert (statuses(answer), refusal(answer)) == ([400], "HOST_NOT_ALLOWED")


async def test_a_broken_body_is_told_at_once_and_the_route_ends(port: int) -> None:
    answer = await told(port, CHUNKED + b"5\r\nhello\r\n", b"nonsense\r\n")
    assert (statuses(answer), refusal(answer)) == ([400], "BAD_REQUEST")


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_whole_requests_are_answered_before_garbage_closes(port: int, number: int) -> None:
    assert statuses(await told(port, GET * number + b"\x00nonsense\r\n\r\n")) == [200] * number
    assert statuses(await told(port, GET * number + CHUNKED + b"zz\r\n")) == [200] * number


@pytest.mark.parametrize(
    "head",
    [
        b"GET /slow HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * HEAD_LIMIT,
        b"GET /slow HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * (HEAD_LIMIT // 6),
        b"GET /" + b"y" * HEAD_LIMIT,
        b"GET /" + b"y" * HEAD_LIMIT + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /slow HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * HEAD_LIMIT + b"\r\n\r\n",
    ],
)
async def test_a_large_head_is_refused(port: int, head: bytes) -> None:
    answer = await told(port, head)
    assert (statuses(answer), refusal(answer)) == ([431], "HEAD_TOO_LARGE")


async def test_a_head_that_is_just_small_enough_is_taken(port: int) -> None:
    start = b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
    filler = b"y" * (HEAD_LIMIT - len(start) - 4)
    assert statuses(await told(port, start + filler + b"\r\n\r\n")) == [200]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpProtocol, "head_timeout", 0.3)


@pytest.mark.usefixtures("hasty")
async def test_a_head_that_does_not_come_is_given_up(port: int) -> None:
    answer = await told(port, GET[:20])
    assert (statuses(answer), refusal(answer)) == ([408], "REQUEST_TIMEOUT")
    assert refusal(await told(port, b"\r\n\r\n")) == "REQUEST_TIMEOUT"
    assert await told(port) == b""  # who never says anything is let go without a word
    assert statuses(await told(port, GET + GET[:20])) == [200, 408]


@pytest.mark.usefixtures("hasty")
async def test_a_head_that_comes_in_drops_has_one_deadline(port: int) -> None:
    async with wire(port) as (reader, writer), asyncio.timeout(SOON):
        answer = b""
        for byte in GET * 100:
            writer.write(bytes((byte,)))
            try:
                answer = await asyncio.wait_for(reader.read(), 0.05)
                break
            except TimeoutError:
                continue
        assert refusal(answer) == "REQUEST_TIMEOUT"


@pytest.mark.usefixtures("hasty")
async def test_a_kept_connection_may_be_idle_for_longer(port: int) -> None:
    async with wire(port) as (reader, writer), asyncio.timeout(SOON):
        for _ in range(2):
            writer.write(GET)
            await reader.readuntil(b"done")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 2 * HttpProtocol.head_timeout)


async def test_what_other_clients_send_is_taken(port: int) -> None:
    """curl asks for HTTP/2 and to go on, old ones speak HTTP/1.0, some end lines with LF."""
    close = b"Connection: close\r\n"
    upgrade = (
        b"Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    )
    body = b"Content-Length: 2\r\n\r\nab"
    post = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
    assert statuses(await told(port, post + upgrade + body)) == [200]
    assert (await told(port, post + close + b"Expect: 100-continue\r\n" + body)).endswith(b"2")
    assert statuses(await told(port, b"GET /slow HTTP/1.0\r\nHost: localhost\r\n\r\n")) == [200]
    assert statuses(
        await told(port, b"\r\n" + GET.replace(b"\r\n\r\n", b"\r\n" + close + b"\r\n"))
    ) == [200]


async def test_an_upgrade_to_nothing_that_is_spoken_is_a_plain_request(port: int) -> None:
    head = GET.replace(b"\r\n\r\n", b"\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\n")
    assert statuses(await told(port, head)) == [200]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_bytes_are_a_fault(data: st.DataObject) -> None:
    """Requests that are cut, repeated and changed: an answer below 500, or a request in progress."""
    whole = bytearray(data.draw(st.sampled_from([GET, CHUNKED + b"2\r\nab\r\n0\r\n\r\n"])))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(whole)))
        match data.draw(st.sampled_from(["cut", "put", "repeat"])):
            case "cut":
                del whole[at : at + data.draw(st.integers(1, 9))]
            case "put":
                whole[at:at] = data.draw(st.binary(max_size=9))
            case "repeat":
                whole += whole[at:]
    received = asyncio.run(_spoken(bytes(whole)))
    assert all(status < 500 for status in statuses(received))
    assert b"Internal Server Error" not in received


async def _spoken(request: bytes) -> bytes:
    """Return what a protocol of its own, on a socket pair, answers to the bytes."""
    from uvicorn import Config
    from uvicorn.server import ServerState

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    ours, theirs = socket.socketpair()
    config = Config(app, log_config=None, lifespan="off")
    loop = asyncio.get_running_loop()
    state = ServerState()
    transport, _ = await loop.create_connection(lambda: HttpProtocol(config, state, {}), sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    writer.write(request)
    writer.write_eof()
    await asyncio.sleep(0)
    received = b""
    try:
        async with asyncio.timeout(0.05):
            while chunk := await reader.read(2**16):
                received += chunk
    except TimeoutError:
        pass  # it waits for the rest of the request
    transport.abort()
    writer.close()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return received
