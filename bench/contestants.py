"""Servers that are measured next to one another: processes, clients and a way to publish."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from serving import free_port
from subscribers import Crowd, processor_seconds

PEERS = Path(__file__).parent / "peers"
QUERY = "subscription { event { cursor document { id title } } }"
COMMANDS: dict[str, tuple[str | Path, ...]] = {
    "frames": (sys.executable, PEERS / "frames.py"),
    "frames, together": (sys.executable, PEERS / "frames.py"),
    "strawberry": (sys.executable, PEERS / "strawberry_view.py"),
    "yoga": ("node", "--no-warnings", PEERS / "yoga.mjs"),
    "mercurius": ("node", PEERS / "mercurius.mjs"),
}
NODE = ("yoga", "mercurius")
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
WARMING = 10  # clients who come and go before memory is read for the first time

Publish = Callable[[int], Awaitable[float]]  # so many events; returns when they were published


@dataclass
class Contestant:
    """One server with its clients, and what was found."""

    name: str
    crowd: Callable[[], Crowd]
    publish_one: Publish
    publish_many: Publish
    server: int  # pid; its memory counts
    database: int | None = None  # pid of a postmaster; its processor time counts, too
    told: int = 0  # messages that a subscription begins with
    rest: float = 0.5  # seconds in which a server that has nothing to do does next to nothing
    clients: Crowd = field(init=False)
    kib: float = 0  # of memory for an idle subscription
    times: list[float] = field(default_factory=list)  # from publishing to receiving, ms
    fans: list[float] = field(default_factory=list)  # clients a second, one event to all
    costs: list[float] = field(default_factory=list)  # µs of processor for each of them
    rates: list[float] = field(default_factory=list)  # deliveries a second, many events
    burst_costs: list[float] = field(default_factory=list)  # µs of processor for each of those
    bursts: list[int] = field(default_factory=list)  # how many they were
    shares: list[float] = field(default_factory=list)  # of their processor that the clients took

    async def settle(self, count: int) -> None:
        """Let the clients come, see what they cost while nothing happens, then tell them one."""
        for size in (min(WARMING, count), count):
            self.clients = self.crowd()
            before = self.memory()
            await self.clients.grow(size, told=self.told)
            await self.quiet()
            self.kib = (self.memory() - before) / size
            self.clients.expect(size)
            await self.publish_one(1)
            await self.clients.reached()
            assert all(b"title" in member.last for member in self.clients.members)
            if size < count:
                await self.clients.close()
                await self.quiet()

    async def round(self, singles: int, burst: int) -> None:
        """Publish some events one by one, each when the last has come everywhere, then many."""
        size = len(self.clients.members)
        before = self.seconds()
        self.times += await one_by_one(self.clients, self.publish_one, singles, self.fans.append)
        self.costs.append((self.seconds() - before) / (singles * size) * 1e6)
        await self.quiet()
        # Slow ones get fewer: three seconds' worth.
        fan = statistics.median(self.fans) if self.fans else size
        count = max(min(burst, 5), min(burst, int(3 * fan / size)))
        self.clients.expect(count * size)
        before, served = processor_seconds(), self.seconds()
        await self.publish_many(count)
        await self.clients.reached()
        last_at = max(member.arrived_at for member in self.clients.members)
        took = last_at - self.clients.first_at
        self.rates.append(count * size / took)
        self.bursts.append(count)
        self.burst_costs.append((self.seconds() - served) / (count * size) * 1e6)
        self.shares.append((processor_seconds() - before) / took)
        await self.quiet()

    def memory(self) -> float:
        """Return the resident memory of the server in KiB."""
        return int(Path(f"/proc/{self.server}/statm").read_text().split()[1]) * PAGE / 1024

    def seconds(self) -> float:
        """Return the processor time that it has taken so far, that of its database included."""
        pids = [self.server]
        if self.database is not None:
            children = Path(f"/proc/{self.database}/task/{self.database}/children").read_text()
            pids += [self.database, *map(int, children.split())]
        return sum(map(_seconds, pids))

    async def quiet(self) -> None:
        """Wait until the server has nothing to do."""
        for _ in range(240):
            before = self.seconds()
            await asyncio.sleep(self.rest)
            if self.seconds() - before <= self.rest / 10:
                return
        raise AssertionError(f"{self.name} does not come to rest")


async def one_by_one(
    crowd: Crowd, publish: Publish, count: int, fan: Callable[[float], None] = lambda _: None
) -> list[float]:
    """Publish so many events, each when the last has come everywhere.

    Returns:
        How long each took to each client, in ms. ``fan`` is told how many clients a second
        received each, between the first and the last of them.
    """
    times: list[float] = []
    for _ in range(count):
        crowd.expect(len(crowd.members))
        published_at = await publish(1)
        await crowd.reached()
        arrivals = [member.arrived_at for member in crowd.members]
        times += [(arrived_at - published_at) * 1e3 for arrived_at in arrivals]
        if len(arrivals) > 1:
            fan((len(arrivals) - 1) / (max(arrivals) - min(arrivals)))
    return times


@asynccontextmanager
async def peer(name: str, cores: set[int]) -> AsyncIterator[Contestant]:
    """Start a peer on these cores."""
    port = free_port()
    words = [*map(str, COMMANDS[name]), str(port), *name.split(", ")[1:]]
    with subprocess.Popen(  # noqa: ASYNC220 — nothing else goes on yet
        words,
        cwd=PEERS,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert "serves" in said, said

            async def publish(count: int) -> float:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                published_at = perf_counter()
                writer.write(
                    f"POST /publish?count={count} HTTP/1.1\r\nHost: peer\r\n"
                    "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )
                head = await reader.readuntil(b"\r\n")
                assert b" 200 " in head, head
                writer.close()
                return published_at

            def crowd() -> Crowd:
                return Crowd(port, lambda _position: {"query": QUERY})

            yield Contestant(name, crowd, publish, publish, process.pid)
        finally:
            process.kill()


def install_node_packages() -> None:
    """Install what the Node servers need, unless it is there."""
    if not (PEERS / "node_modules").is_dir():
        flags = ("--no-package-lock", "--no-audit", "--no-fund")
        subprocess.run(("npm", "install", *flags), cwd=PEERS, check=True)


def _seconds(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:  # a connection of the database that has ended
        return 0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK
