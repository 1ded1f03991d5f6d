"""Upload and download rates of the real server, next to a plain one without any of its work.

Run it by hand: ``.venv/bin/python bench/bench_blobs.py [MEBIBYTES [FOLDER]]``. Both servers run in
one process each, on uvicorn with uvloop and httptools; the client is this process. The plain
server writes the body to a file, with SHA-256 on the way and fsync at the end, and sends a file
back. Needs four times the size of free disk, in FOLDER; one in memory leaves the disk out.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

ROUNDS = 3
PIECE = 2**20  # bytes
HEADERS = {"Authorization": "Bearer bench", "Content-Type": "application/octet-stream"}
OWNER = UUID(int=1)


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 1024) * 2**20
    folder = Path(tempfile.mkdtemp(dir=sys.argv[2] if len(sys.argv) > 2 else None))
    folder.chmod(0o755)  # PostgreSQL gives up root, and has to pass through
    block = os.urandom(PIECE)
    print(f"{size >> 20} MiB, best and all of {ROUNDS} rounds, {os.cpu_count()} processors")
    try:
        rates: dict[str, list[float]] = {}

        cpu_rates: dict[str, list[float]] = {}

        def note(name: str, seconds: float) -> None:
            rates.setdefault(name, []).append(size / seconds / 1e6)

        def run(name: str, server: Server, act: Callable[[], float]) -> None:
            busy = server.cpu_seconds()
            note(name, act())
            cpu_rates.setdefault(name, []).append(size / (server.cpu_seconds() - busy) / 1e6)

        with serving("plain", folder) as plain, serving("carnet", folder) as carnet:
            idle = carnet.peak()
            for _ in range(ROUNDS):
                note("copy of a file", copy(folder, block, size))
                run("plain: upload with SHA-256", plain, lambda: plain.upload(block, size))
                run("plain: download", plain, lambda: plain.download(size))
                run("carnet: upload, sealed", carnet, lambda: carnet.upload(block, size))
                run("carnet: download, opened", carnet, lambda: carnet.download(size))
                for path in (folder / "carnet" / "blobs").rglob("00*"):
                    path.unlink()  # else the disk fills, and the memory with what is on it
            peak = carnet.peak()
    finally:
        shutil.rmtree(folder)
    for name, all_ in rates.items():
        busy = f"{max(cpu_rates[name]):6.0f} MB per CPU second" if name in cpu_rates else ""
        print(f"{name:28}{max(all_):6.0f} MB/s{busy:>24}   {' '.join(f'{r:.0f}' for r in all_)}")
    for verb in ("upload", "download"):
        plainly, ours = (
            max(next(all_ for name, all_ in rates.items() if name.startswith(f"{who}: {verb}")))
            for who in ("plain", "carnet")
        )
        print(f"{verb}: {ours / plainly:.0%} of plain")
    print(f"peak memory of the server: {peak >> 20} MiB, {idle >> 20} MiB before")


def copy(folder: Path, block: bytes, size: int) -> float:
    source, target = folder / "source", folder / "target"
    if not source.exists():
        with source.open("wb") as file:
            for _ in range(size // PIECE):
                file.write(block)
    started_at = perf_counter()
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, PIECE)
        writing.flush()
        os.fsync(writing.fileno())
    seconds = perf_counter() - started_at
    target.unlink()
    return seconds


class Server:
    """A server process and how to talk to it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.blob = ""

    def upload(self, block: bytes, size: int) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        started_at = perf_counter()
        headers = {**HEADERS, "Content-Length": str(size)}
        connection.request("POST", "/blobs", (block for _ in range(size // PIECE)), headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        seconds = perf_counter() - started_at
        connection.close()
        assert answer.status == 201, body
        expected = hashlib.sha256()
        for _ in range(size // PIECE):
            expected.update(block)
        assert expected.hexdigest() in body
        found = re.search('"id":"([^"]+)"', body)
        assert found
        self.blob = found[1]
        return seconds

    def download(self, size: int) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        started_at = perf_counter()
        connection.request("GET", f"/blobs/{self.blob}", headers=HEADERS)
        answer = connection.getresponse()
        assert answer.status == 200
        buffer = bytearray(PIECE)
        received = 0
        while count := answer.readinto(buffer):
            received += count
        seconds = perf_counter() - started_at
        connection.close()
        assert received == size
        return seconds

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Server]:
    command = [sys.executable, __file__, f"--serve-{kind}", str(folder / kind)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Server(process, int(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def serve(app: Any) -> None:
    import uvicorn

    config = uvicorn.Config(app, port=0, http="httptools", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        assert not task.done()
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task


async def serve_carnet(folder: Path) -> None:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from carnet.cli.workspace import workspace
    from carnet.http import uploads
    from carnet.http.app import create_app
    from carnet.http.ranges import content_response
    from carnet.http.services import Services
    from carnet.people.actor import Actor, Publisher
    from carnet.prevention.feeds import FeedSecrets
    from carnet.settings import Settings
    from carnet.store.cursors import Cursors
    from carnet.store.tables import Blob
    from carnet_graphql.assembly import build
    from carnet_graphql.node import NodeQuery

    async def authenticate(*_: Any) -> Actor:
        return Publisher(OWNER)

    async def content(request: Request) -> Response:
        async with services.database.read() as work:
            row = await work.session.get_one(Blob, UUID(request.path_params["id"]))
        return content_response(
            request, services.blobs, row, media_type=row.media_type, file_name="bench"
        )

    settings = Settings(data_dir=folder)
    async with workspace(settings) as opened:
        services = Services(
            settings,
            opened.database,
            opened.blobs,
            build(NodeQuery, None, None, introspection=False),
            authenticate,
            None,
            opened.signer,
            Cursors(opened.server_key),
            FeedSecrets.of(opened.server_key),
        )
        await serve(create_app(services, [*uploads.ROUTES, Route("/blobs/{id}", content)]))


async def serve_plain(folder: Path) -> None:
    path = folder / "body"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        status, body = 201, b""
        if scope["method"] == "POST":
            digest = hashlib.sha256()
            with path.open("wb", buffering=0) as file:
                more = True
                while more:
                    message = await receive()
                    digest.update(message["body"])
                    file.write(message["body"])
                    more = message["more_body"]
                await asyncio.to_thread(os.fsync, file.fileno())
            body = f'{{"id":"body","sha256":"{digest.hexdigest()}"}}'.encode()
        else:
            status = 200
        length = len(body) if body else path.stat().st_size
        headers = [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if not body:
            with path.open("rb", buffering=0) as file:
                while piece := file.read(256 * 1024):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": body})

    await serve(app)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve-carnet", folder]:
            import uvloop

            uvloop.run(serve_carnet(Path(folder)))
        case ["--serve-plain", folder]:
            import uvloop

            Path(folder).mkdir()
            uvloop.run(serve_plain(Path(folder)))
        case _:
            main()
