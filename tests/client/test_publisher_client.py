"""The publisher's client against real sockets: it streams, repeats while busy, and gives up."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from carnet_client.publisher import (
    ATTEMPTS,
    CHUNK_BYTES,
    Item,
    PublisherClient,
    Receipt,
    Refused,
    Unreachable,
)

ANSWER = {
    "submission": "0193a3d0-0000-7000-8000-000000000000",
    "format": "FHIR R4",
    "items": [
        {"key": "k", "kind": "Document", "outcome": "CREATED", "reason": None, "later": "field"}
    ],
    "counts": {"CREATED": 1},
}
BODY = b'{"resourceType": "Bundle", "x": "' + b"a" * (3 * CHUNK_BYTES) + b'"}'
SIZE = len(BODY)


class Seen(list[tuple[dict[str, str], int]]):
    """Headers and body size of each request."""


@asynccontextmanager
async def serving(answers: list[Callable[[], Response]]) -> AsyncIterator[tuple[str, Seen]]:
    """Serve the answers one after the other, on a free port."""
    seen = Seen()

    async def intake(request: Request) -> Response:
        size = 0
        async for chunk in request.stream():
            assert len(chunk) <= CHUNK_BYTES
            size += len(chunk)
        seen.append((dict(request.headers), size))
        return answers[min(len(seen), len(answers)) - 1]()

    app = Starlette(routes=[Route("/intake", intake, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
        finally:
            server.should_exit = True
            await task


def ok() -> Response:
    return JSONResponse(ANSWER)


def refusal(status: int, code: str, **headers: str) -> Callable[[], Response]:
    body = {"errors": [{"message": "No.", "extensions": {"code": code, "correlationId": "x"}}]}
    return lambda: JSONResponse(body, status, headers)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "compte rendu é.json"
    path.write_bytes(BODY)
    return path


async def test_a_file_is_streamed_with_its_type_size_and_credential(report: Path) -> None:
    async with serving([ok]) as (url, seen), PublisherClient(url, "s3cret") as client:
        receipt = await client.submit(report)
    ((headers, size),) = seen
    assert size == SIZE == int(headers["content-length"])
    assert headers["content-type"] == "application/fhir+json"
    assert headers["authorization"] == "Bearer s3cret"
    assert receipt == Receipt(ANSWER["submission"], "FHIR R4", (Item("k", "Document", "CREATED"),))
    assert receipt.counts == {"CREATED": 1}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_server_is_asked_again_with_the_whole_file(report: Path, status: int) -> None:
    busy = refusal(status, "RATE_LIMITED")
    async with (
        serving([busy, busy, ok]) as (url, seen),
        PublisherClient(url, "x", first_pause=0.001) as client,
    ):
        receipt = await client.submit(report)
    assert [size for _, size in seen] == [SIZE] * 3
    assert receipt.counts == {"CREATED": 1}


async def test_the_pause_that_the_server_asks_for_is_kept(report: Path) -> None:
    busy = refusal(429, "RATE_LIMITED", **{"Retry-After": "1"})
    async with (
        serving([busy, ok]) as (url, _),
        PublisherClient(url, "x", first_pause=0.001) as client,
    ):
        started_at = asyncio.get_running_loop().time()
        await client.submit(report)
        assert asyncio.get_running_loop().time() - started_at >= 0.99


async def test_a_refusal_is_not_repeated(report: Path) -> None:
    async with (
        serving([refusal(415, "UNSUPPORTED_MEDIA_TYPE"), ok]) as (url, seen),
        PublisherClient(url, "x") as client,
    ):
        with pytest.raises(Refused, match=r"^No\.$") as refused:
            await client.submit(report)
    assert (refused.value.code, refused.value.status) == ("UNSUPPORTED_MEDIA_TYPE", 415)
    assert len(seen) == 1


async def test_a_server_that_stays_busy_is_given_up(report: Path) -> None:
    async with (
        serving([refusal(503, "CONTENT_UNAVAILABLE")]) as (url, seen),
        PublisherClient(url, "x", first_pause=0.001) as client,
    ):
        with pytest.raises(Refused) as refused:
            await client.submit(report)
    assert refused.value.status == 503
    assert len(seen) == ATTEMPTS


async def test_a_connection_that_breaks_is_tried_again_and_then_given_up(report: Path) -> None:
    tries = 0

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.read(100)
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with PublisherClient(url, "x", first_pause=0.001) as client:
            with pytest.raises(Unreachable, match="does not answer"):
                await client.submit(report)
    assert tries == ATTEMPTS


async def test_another_server_s_answer_is_not_taken_for_a_receipt(report: Path) -> None:
    async with (
        serving([lambda: JSONResponse(["hello"])]) as (url, _),
        PublisherClient(url, "x") as client,
    ):
        with pytest.raises(Refused, match="no Carnet server"):
            await client.submit(report)


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:99999", "http://", "", "http://[::1"],
)
def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(Unreachable, match="not an http:// or https:// URL"):
        PublisherClient(url, "x")


def test_what_an_earlier_attempt_landed_stays_created() -> None:
    first = Receipt("1", "f", (Item("a", "x", "CREATED"), Item("b", "x", "REFUSED", "NO_PATIENT")))
    again = Receipt("2", "f", (Item("a", "x", "DUPLICATE"), Item("b", "x", "CREATED")))
    assert [item.outcome for item in again.after(first).items] == ["CREATED", "CREATED"]


@pytest.mark.parametrize(
    ("outcome", "reason", "may_pass"),
    [
        ("REFUSED", "UNKNOWN_PATIENT", True),
        ("REFUSED", "UNKNOWN_DOCUMENT", True),
        ("REFUSED", "MALFORMED", False),
        ("NOT_INTERPRETED", "UNKNOWN_PATIENT", False),
    ],
)
def test_what_may_pass_later(outcome: str, reason: str, may_pass: bool) -> None:
    assert Item("a", "x", outcome, reason).may_pass is may_pass


def test_the_key_of_an_item_stays_out_of_its_repr() -> None:
    assert "1234" not in repr(Item("1234", "x", "CREATED"))
