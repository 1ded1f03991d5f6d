"""Uploads and downloads over real sockets; and a server of its own that can be killed."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from sqlalchemy import URL, func, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.clock import MovableClock
from carnet.errors import NotFound, Unauthenticated
from carnet.http import uploads
from carnet.http.app import create_app
from carnet.http.ranges import content_response
from carnet.http.services import Services, services_of
from carnet.people.actor import Actor, Assurance, Operator, Patient, Publisher, actor_key
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Settings
from carnet.store import uploads as upload_module
from carnet.store.blobs import BlobStore
from carnet.store.cursors import Cursors
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.sealing import CHUNK_BYTES, SEGMENT_BYTES
from carnet.store.sweeping import Sweeper
from carnet.store.tables import Blob
from carnet_graphql.assembly import build
from carnet_graphql.node import NodeQuery

HOLDER = Patient(UUID(int=1), UUID(int=2), Assurance.SANDBOX)
ACTORS: dict[str, Actor] = {
    "holder": HOLDER,
    "publisher": Publisher(UUID(int=3)),
    "operator": Operator(UUID(int=4), Assurance.SANDBOX),
}
AUTH = {"Authorization": "Bearer holder"}
LIMIT = 20 * 2**20


async def authenticate(_database: Database, token: str, _address: str) -> Actor:
    if token not in ACTORS:
        raise Unauthenticated()
    return ACTORS[token]


async def content(request: Request) -> Response:
    services = services_of(request)
    async with services.database.read() as work:
        blob = await work.session.get(Blob, UUID(request.path_params["id"]))
    if blob is None:
        raise NotFound()
    query = request.query_params
    return content_response(
        request,
        services.blobs,
        blob,
        media_type=query.get("type", blob.media_type),
        file_name=query.get("name", "file.bin"),
    )


def application(database: Database, folder: Path, limit: int = LIMIT) -> Starlette:
    services = Services(
        Settings(upload_limit_bytes=limit),
        database,
        BlobStore.open(None, folder, FileKeyProvider([bytes(32)])),
        build(NodeQuery, None, None, introspection=False),
        authenticate,
        None,  # type: ignore[arg-type] # nobody signs in here
        None,  # type: ignore[arg-type] # and nothing is signed
        Cursors(b"k"),
        FeedSecrets.of(b"k"),
    )
    return create_app(services, [*uploads.ROUTES, Route("/content/{id}", content)])


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[int]:
    """Serve on a free port of this machine; yield the port."""
    config = uvicorn.Config(app, port=0, http="httptools", log_config=None, ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        assert not task.done()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(application(database, tmp_path)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=AUTH) as client,
    ):
        yield client


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def first_segment_in(folder: Path) -> None:
    """Return when an upload has stored its first segment."""
    async with asyncio.timeout(10):
        while True:
            if any(path.name == "000000" for path in files(folder)):
                return
            await asyncio.sleep(0)


async def rows(database: Database) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(Blob)) or 0


def code(answer: httpx.Response) -> tuple[int, str]:
    (problem,) = answer.json()["errors"]
    return answer.status_code, problem["extensions"]["code"]


async def upload(client: httpx.AsyncClient, data: bytes, media_type: str = "text/plain") -> str:
    answer = await client.post("/blobs", content=data, headers={"Content-Type": media_type})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_an_upload_is_answered_with_what_was_stored(
    client: httpx.AsyncClient, database: Database, clock: MovableClock
) -> None:
    data = os.urandom(SEGMENT_BYTES + 5)
    media_type = "text/plain; charset=utf-8"
    answer = await client.post("/blobs", content=data, headers={"Content-Type": media_type})
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"id", "size", "sha256", "mediaType", "expiresAt"}
    assert (body["size"], body["mediaType"]) == (len(data), media_type)
    assert body["sha256"] == hashlib.sha256(data).hexdigest()
    life = datetime.fromisoformat(body["expiresAt"]) - clock.now()
    assert timedelta(hours=23, minutes=59) < life <= timedelta(hours=24)
    async with database.write() as work:
        blob = await BlobStore.claim(None, work, actor_key(HOLDER), UUID(body["id"]))  # type: ignore[arg-type]
    assert blob.sha256.hex() == body["sha256"]


async def test_a_body_without_length_or_type_is_taken(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one, "
        yield b"two"

    answer = await client.post("/blobs", content=pieces())
    assert answer.status_code == 201
    assert "content-length" not in answer.request.headers
    assert (answer.json()["size"], answer.json()["mediaType"]) == (8, "application/octet-stream")


async def test_an_empty_body_is_an_empty_blob(client: httpx.AsyncClient) -> None:
    id_ = await upload(client, b"")
    for headers in ({}, {"Range": "bytes=0-"}):
        answer = await client.get(f"/content/{id_}", headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": "Bearer nobody"}, (401, "UNAUTHENTICATED")),
        ({"Authorization": "Bearer operator"}, (403, "ACCESS_DENIED")),
        ({"Content-Type": "text"}, (400, "VALIDATION_FAILED")),
        ({"Content-Type": 'text/plain; x="a'}, (400, "VALIDATION_FAILED")),
        ({"Content-Type": "a/" + "b" * 200}, (400, "VALIDATION_FAILED")),
        ({"Content-Type": "multipart/form-data; boundary=x"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"Content-Encoding": "gzip"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
    ],
)
async def test_what_is_refused_leaves_nothing(
    client: httpx.AsyncClient,
    database: Database,
    tmp_path: Path,
    headers: dict[str, str],
    expected: tuple[int, str],
) -> None:
    answer = await client.post("/blobs", content=b"x" * 3_000_000, headers=headers)
    assert code(answer) == expected
    assert (await rows(database), files(tmp_path)) == (0, [])


async def test_nobody_uploads_nothing(client: httpx.AsyncClient, database: Database) -> None:
    del client.headers["Authorization"]
    answer = await client.post("/blobs", content=b"x")
    assert code(answer) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await rows(database) == 0


async def test_too_large_is_refused_before_and_while_it_comes(
    client: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 2**20):
            yield bytes(2**20)
        yield b"x"

    claimed = await client.post("/blobs", content=bytes(LIMIT + 1))
    assert code(claimed) == (413, "PAYLOAD_TOO_LARGE")
    assert claimed.headers["connection"] == "close"
    grown = await client.post("/blobs", content=pieces())
    assert code(grown) == (413, "PAYLOAD_TOO_LARGE")
    assert (await rows(database), files(tmp_path)) == (0, [])
    assert await upload(client, bytes(LIMIT))


async def test_who_waits_for_100_continue_sends_nothing_in_vain(
    client: httpx.AsyncClient,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(
        b"POST /blobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer holder\r\n"
        b"Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n"
    )
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_quota_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "UNCLAIMED_BYTES_LIMIT", 10)
    assert code(await client.post("/blobs", content=b"x" * 11)) == (403, "QUOTA_EXCEEDED")


async def test_a_connection_that_breaks_leaves_nothing(
    client: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(
        b"POST /blobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer holder\r\n"
        b"Content-Length: 19000000\r\n\r\n"
    )
    writer.write(bytes(SEGMENT_BYTES + 3 * 2**20))
    await writer.drain()
    await first_segment_in(tmp_path)
    assert await rows(database) == 1
    writer.transport.abort()
    async with asyncio.timeout(10):
        while await rows(database):
            pass
    assert files(tmp_path) == []


async def test_an_upload_that_stands_still_is_ended(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(
        b"POST /blobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer holder\r\n"
        b"Content-Length: 100\r\n\r\nabc"
    )
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    assert await rows(database) == 0
    writer.close()


async def test_a_download_has_type_name_tag_and_safe_headers(client: httpx.AsyncClient) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 1)
    id_ = await upload(client, data, "application/xml")
    url = f"/content/{id_}?name=Compte rendu été.xml"
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, data)
    expected = {
        "content-type": "application/xml",
        "content-length": str(len(data)),
        "etag": f'"{hashlib.sha256(data).hexdigest()}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
        "content-disposition": 'attachment; filename="Compte rendu ete.xml"; '
        "filename*=UTF-8''Compte%20rendu%20%C3%A9t%C3%A9.xml",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    head = await client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/pdf", "inline"),
        ("image/png", "inline"),
        ("image/jpeg", "inline"),
        ("Text/Plain; charset=utf-8", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xml", "attachment"),
        ("application/octet-stream", "attachment"),
        ("x\r\nSet-Cookie: a=b", "attachment"),
    ],
)
async def test_only_harmless_kinds_open_in_the_browser(
    client: httpx.AsyncClient, media_type: str, kind: str
) -> None:
    id_ = await upload(client, b"x")
    answer = await client.get(f"/content/{id_}", params={"type": media_type})
    assert answer.headers["content-disposition"] == f'{kind}; filename="file.bin"'
    shown = "application/octet-stream" if "\r" in media_type else media_type
    assert answer.headers["content-type"] == shown
    assert "set-cookie" not in answer.headers
    has_sandbox = "sandbox" in answer.headers["content-security-policy"]
    assert has_sandbox == (media_type != "application/pdf")


async def test_ranges_over_chunks_and_segments(client: httpx.AsyncClient) -> None:
    data = os.urandom(SEGMENT_BYTES + 3 * CHUNK_BYTES)
    id_ = await upload(client, data)
    size = len(data)
    for start, end in (
        (0, 1),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 3 * CHUNK_BYTES),
        (SEGMENT_BYTES - 7, SEGMENT_BYTES + 7),
        (size - 1, size),
        (5, size),
    ):
        answer = await client.get(f"/content/{id_}", headers={"Range": f"bytes={start}-{end - 1}"})
        assert answer.status_code == 206
        assert answer.content == data[start:end]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.headers["content-length"] == str(end - start)
    beyond = await client.get(f"/content/{id_}", headers={"Range": f"bytes={size}-"})
    assert code(beyond) == (416, "RANGE_NOT_SATISFIABLE")
    assert beyond.headers["content-range"] == f"bytes */{size}"
    several = await client.get(f"/content/{id_}", headers={"Range": "bytes=0-1,3-4"})
    assert (several.status_code, several.content) == (200, data)


async def test_what_the_client_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    id_ = await upload(client, b"hers")
    url = f"/content/{id_}"
    etag = (await client.head(url)).headers["etag"]
    fresh = await client.get(url, headers={"If-None-Match": etag})
    assert (fresh.status_code, fresh.content, fresh.headers["etag"]) == (304, b"", etag)
    resumed = await client.get(url, headers={"Range": "bytes=1-", "If-Range": etag})
    assert (resumed.status_code, resumed.content) == (206, b"ers")
    other = await client.get(url, headers={"Range": "bytes=1-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, b"hers")
    assert code(await client.get(url, headers={"If-Match": '"x"'})) == (412, "PRECONDITION_FAILED")


async def test_damage_at_the_beginning_is_a_typed_error(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    id_ = await upload(client, os.urandom(CHUNK_BYTES * 3))
    flip(files(tmp_path)[0], 1000)
    answer = await client.get(f"/content/{id_}")
    assert code(answer) == (500, "CONTENT_CORRUPTED")


async def test_damage_further_on_breaks_the_answer_before_its_bytes(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    data = os.urandom(12 * CHUNK_BYTES)
    id_ = await upload(client, data)
    flip(files(tmp_path)[0], -1)
    received = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("GET", f"/content/{id_}") as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_raw():
                received += piece
    assert data.startswith(received)
    assert len(received) <= 11 * CHUNK_BYTES
    whole = await client.get(f"/content/{id_}", headers={"Range": "bytes=0-99"})
    assert whole.content == data[:100]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


async def test_who_goes_away_or_takes_nothing_ends_the_reading(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator of pieces is closed; it would otherwise decrypt for nobody."""
    from carnet.http import ranges

    ended: asyncio.Queue[int] = asyncio.Queue()
    read = BlobStore.read

    async def watched(self: BlobStore, *arguments: Any) -> AsyncIterator[bytes]:
        count = 0
        pieces = read(self, *arguments)
        try:
            async for piece in pieces:
                count += 1
                yield piece
        finally:
            await pieces.aclose()
            ended.put_nowait(count)

    monkeypatch.setattr(BlobStore, "read", watched)
    id_ = await upload(client, bytes(LIMIT))
    request = f"GET /content/{id_} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port, limit=1000)
    writer.write(request)
    await reader.read(100)
    writer.transport.abort()
    async with asyncio.timeout(5):
        assert await ended.get() < LIMIT // CHUNK_BYTES

    monkeypatch.setattr(ranges, "IDLE_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port, limit=1000)
    writer.write(request)
    async with asyncio.timeout(5):
        assert await ended.get() < LIMIT // CHUNK_BYTES
    writer.transport.abort()


class Child:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def peak_bytes(self) -> int:
        """Return the most memory it ever had, and start to count anew."""
        folder = Path(f"/proc/{self.process.pid}")
        found = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
        assert found
        (folder / "clear_refs").write_text("5")
        return int(found[1]) * 1024


@contextmanager
def child(owner_url: URL, folder: Path) -> Iterator[Child]:
    url = owner_url.render_as_string(hide_password=False)
    command = [sys.executable, __file__, url, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield Child(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def send(connection: http.client.HTTPConnection, size: int) -> None:
    block = bytes(2**20)
    headers = {**AUTH, "Content-Length": str(size)}
    connection.request("POST", "/blobs", (block for _ in range(size // len(block))), headers)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
async def test_memory_stays_flat_whatever_goes_through(owner_url: URL, tmp_path: Path) -> None:
    size = 128 * 2**20
    with child(owner_url, tmp_path) as server:
        for round_ in ("first", "measured"):
            before = server.peak_bytes()
            connection = server.connect()
            send(connection, size if round_ == "measured" else size // 4)
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 201, body
            found = re.search('"id":"([^"]+)"', body)
            assert found
            connection.request("GET", f"/content/{found[1]}")
            answer = connection.getresponse()
            while answer.readinto(bytearray(2**16)):
                pass
            connection.close()
        growth = server.peak_bytes() - before
    assert growth < 32 * 2**20, growth


async def test_a_killed_server_leaves_nothing_visible_and_it_is_swept(
    owner_url: URL, database: Database, clock: MovableClock, tmp_path: Path
) -> None:
    with child(owner_url, tmp_path) as server:
        connection = server.connect()
        connection.putrequest("POST", "/blobs")
        connection.putheader("Authorization", "Bearer holder")
        connection.putheader("Content-Length", str(LIMIT))
        connection.endheaders()
        connection.send(bytes(SEGMENT_BYTES + 4 * 2**20))
        await first_segment_in(tmp_path)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        with suppress(OSError):
            connection.close()
    assert (await rows(database), len(files(tmp_path))) == (1, 1)
    blobs = BlobStore.open(None, tmp_path, FileKeyProvider([bytes(32)]))
    async with database.write() as work:
        (row,) = await work.session.scalars(select(Blob))
        with pytest.raises(NotFound):
            await blobs.claim(work, actor_key(HOLDER), row.id)
    assert (await Sweeper(blobs).sweep(database)).expired_blobs == 0
    clock.offset = timedelta(minutes=16)
    assert (await Sweeper(blobs).sweep(database)).expired_blobs == 1
    assert (await rows(database), files(tmp_path)) == (0, [])


async def _serve(url: str, folder: str) -> None:
    database = Database.connect(url)
    async with running(application(database, Path(folder), 2**40)) as port:
        print(port, flush=True)  # noqa: T201 — the parent waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(*sys.argv[1:]))
