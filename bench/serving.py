"""What the measurements share: the real server in a process of its own, and clients for it.

The server is ``carnet serve`` on a fresh data folder, with its own PostgreSQL on that disk in its
usual settings: what is committed is on the disk.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from sqlalchemy import URL

from carnet.store.embedded import EmbeddedPostgres

COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()")
PROCESSORS = len(os.sched_getaffinity(0))


class Served:
    """A running server and what may be done beside it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.pid = 0
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CARNET_")},
            "CARNET_DATA_DIR": str(folder / "data"),
            "CARNET_PORT": str(port),
            "CARNET_QUERY_BUDGET": "1000000000",  # one client asks as much as a thousand people
            "CARNET_QUERY_BUDGET_PER_SECOND": "1000000000",
            "PYTHONUNBUFFERED": "1",
        }

    def carnet(self, *words: str, stdin: str = "") -> str:
        """Run a command beside the server and return what it printed."""
        done = subprocess.run(
            [*COMMAND, *words], env=self.env, input=stdin, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def publisher(self, name: str) -> str:
        """Register software that feeds records, and return its credential."""
        return self.carnet("publisher", "add", name, "--may-register-persons")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def serving(**settings: str) -> Iterator[Served]:
    """Start a server, with settings of its environment, and yield it once it serves."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a killed run stops its server, too
    folder = Path(tempfile.mkdtemp(prefix="carnet-bench-"))
    folder.chmod(0o711)  # PostgreSQL gives up root, and has to pass through
    server = Served(folder, free_port())
    server.env |= settings
    try:
        with (
            (folder / "errors").open("w") as errors,
            subprocess.Popen(
                [*COMMAND, "serve"],
                env=server.env,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                assert process.stdout is not None
                said = process.stdout.readline()
                assert "serves" in said, (folder / "errors").read_text()
                server.pid = process.pid
                yield server
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgres_of(server: Served) -> Iterator[URL]:
    """Yield the URL of the server's own PostgreSQL, as its owner."""
    attached = EmbeddedPostgres.attach(server.folder / "data")
    assert attached is not None
    try:
        yield attached.owner_url
    finally:
        attached.stop()


def request(
    connection: http.client.HTTPConnection, path: str, body: bytes, token: str, media_type: str
) -> tuple[float, Any]:
    """Send a POST; return how many seconds the answer took to be here, and what it says."""
    headers = {"Content-Type": media_type}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    started_at = perf_counter()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    seconds = perf_counter() - started_at
    assert answer.status == 200, said[:500]
    return seconds, orjson.loads(said)


def best(rounds: int, act: Callable[[], object]) -> float:
    """Return the seconds of the quickest of so many rounds."""
    seconds = []
    for _ in range(rounds):
        started_at = perf_counter()
        act()
        seconds.append(perf_counter() - started_at)
    return min(seconds)


def shown(times: list[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"p50 {statistics.median(times) * 1e3:7.2f} ms   p95 {p95 * 1e3:7.2f} ms"


class Line:
    """One kept-alive connection that costs the client next to nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))

    async def send(self, message: bytes) -> bytes:
        """Send a whole request and return the body of its answer, which must be a 200."""
        self.writer.write(message)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await self.reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200"), (head, body[:500])
        return body

    def close(self) -> None:
        self.writer.close()


def post(path: str, body: bytes, token: str) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Authorization: Bearer {token}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path: str) -> bytes:
    """Return a GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
