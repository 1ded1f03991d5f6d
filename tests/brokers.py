"""Real brokers for tests: a Redis of one's own, and a network that can go silent."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as NotYet
from servers import STARTS_WITHIN, STOPS_WITHIN, free_port

NETWORK = "network"  # the name of tasks that carry bytes


class RedisServer:
    """A ``redis-server`` on a free loopback port; it keeps nothing and ends by its process id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self, password: str = "") -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server")
        assert program, "these tests need redis-server; on Debian: apt-get install redis-server"
        self._process = subprocess.Popen(
            [program, "-"],
            stdin=subprocess.PIPE,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        settings = [f"port {self.port}", "bind 127.0.0.1", 'save ""', "appendonly no"]
        settings += [f"requirepass {password}"] if password else []
        assert self._process.stdin is not None
        self._process.stdin.write("\n".join(settings).encode())
        self._process.stdin.close()
        deadline = time.monotonic() + STARTS_WITHIN
        with Redis(port=self.port, password=password or None) as client:
            while True:
                assert self._process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not answer"
                with suppress(NotYet):
                    if client.ping():
                        return
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOPS_WITHIN)
            self._process = None


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Yield a Redis that runs."""
    with tempfile.TemporaryDirectory(prefix="carnet-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


class Proxy:
    """A network on the way to a server, which can stop carrying anything without a word."""

    def __init__(self) -> None:
        self.port = 0
        self._passing = asyncio.Event()  # of the connections made since the last silence
        self._passing.set()
        self._silenced: list[asyncio.Event] = []
        self.swallows: bytes | None = None  # what is never carried, nor what follows it
        self.swallowed = asyncio.Semaphore(0)

    def silence(self) -> None:
        """Carry nothing more on the connections that are open, and leave them open."""
        self._passing.clear()
        self._silenced.append(self._passing)
        self._passing = asyncio.Event()
        self._passing.set()

    def heal(self) -> None:
        """Carry everything again, late."""
        for passing in self._silenced:
            passing.set()
        self._silenced.clear()

    async def pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        """Carry one direction of a connection until either side ends."""
        try:
            with suppress(ConnectionError):
                while data := await source.read(65536):
                    await passing.wait()
                    if self.swallows is not None and self.swallows in data:
                        self.swallowed.release()
                        continue
                    sink.write(data)
                    await sink.drain()
            await passing.wait()
        finally:
            sink.close()


@asynccontextmanager
async def proxy(to: str | tuple[str, int]) -> AsyncIterator[Proxy]:
    """Yield a network on a loopback port.

    Args:
        to: the path of a unix socket, or host and port.
    """
    made = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = (
            asyncio.open_unix_connection(to)
            if isinstance(to, str)
            else asyncio.open_connection(*to)
        )
        from_server, to_server = await there
        passing = made._passing
        for source, sink in ((reader, to_server), (from_server, writer)):
            tasks.add(asyncio.create_task(made.pump(source, sink, passing), name=NETWORK))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.heal()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
