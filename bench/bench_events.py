"""How fast events reach subscribers, next to other servers and to a loop that only writes frames.

    .venv/bin/python bench/bench_events.py [--clients N] [--smoke] [--only NAME…]

One run starts each server in turn on one core, with the clients on another: graphql-transport-ws
over real sockets (`subscribers.py`). Peers (`peers/`) publish from memory. Carnet's events are
changes of documents, committed in PostgreSQL by this process, which says so over the broker: what
is measured is what a subscriber of one process sees of a commit in another. Every event is read,
decided on and written into the access journal for whoever is told.

The Node servers need node and npm; ``npm install`` is run in `peers/` the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import uvloop
from carnet_under_load import Carnet, carnet
from serving import free_port
from subscribers import Crowd, allow_files

HERE = Path(__file__).parent
PEERS = HERE / "peers"
NODE = ("yoga", "mercurius")
QUERY = "subscription { event { cursor document { id title } } }"
COMMANDS = {
    "frames": (sys.executable, PEERS / "frames.py"),
    "strawberry": (sys.executable, PEERS / "strawberry_view.py"),
    "yoga": ("node", PEERS / "yoga.mjs"),
    "mercurius": ("node", PEERS / "mercurius.mjs"),
}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clients: int = 1000
    burst: int = 100  # events to all clients
    bursts: int = 5
    singles: int = 30  # events to all, one by one
    crowds: tuple[int, ...] = (1, 100, 2000)
    streams: int = 2000
    told: int = 200  # of the streams, one by one


SMOKE = Size(clients=20, burst=10, bursts=1, singles=3, crowds=(1, 5), streams=5, told=3)


@dataclass(frozen=True)
class Figures:
    """What one server did."""

    rate: float  # deliveries a second
    kib: float  # of memory for an idle subscription
    p50: float  # milliseconds from publishing to receiving, over all clients
    p99: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=1000, help="sockets [1000]")
    parser.add_argument("--smoke", action="store_true", help="a few clients, to see that it runs")
    parser.add_argument("--only", nargs="*", default=None, choices=[*COMMANDS, "carnet", "crowds"])
    given = parser.parse_args()
    size = SMOKE if given.smoke else Size(clients=given.clients)
    names = given.only if given.only is not None else [*COMMANDS, "carnet", "crowds"]
    allow_files(10_000)
    if any(name in NODE for name in names) and not (PEERS / "node_modules").is_dir():
        flags = ("--no-package-lock", "--no-audit", "--no-fund")
        subprocess.run(("npm", "install", *flags), cwd=PEERS, check=True)
    cores = sorted(os.sched_getaffinity(0))
    uvloop.run(measure(names, size, cores))


async def measure(names: list[str], size: Size, cores: list[int]) -> None:
    servers, clients = {cores[0]}, set(cores[1:]) or {cores[0]}
    os.sched_setaffinity(0, clients)
    print(f"{size.clients} clients on one core, the server on another")
    print(f"{'':12}{'deliveries/s':>14}{'KiB idle':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for name in names:
        if name in COMMANDS:
            async with peer(name, servers) as (crowd, process, publish):
                shown(name, await figures(crowd, process.pid, publish, size))
    if {"carnet", "crowds"} & set(names):
        async with carnet(servers, max(size.streams, size.burst)) as running:
            if "carnet" in names:
                publish = running.publish_to_one
                shown("carnet", await figures(running.crowd(), running.pid, publish, size))
            if "crowds" in names:
                await crowds(running, size)


async def figures(
    crowd: Crowd, pid: int, publish: Callable[[int], Awaitable[float]], size: Size
) -> Figures:
    """Measure one server with a crowd that follows one topic."""
    before = memory(pid)
    await crowd.grow(size.clients)
    await crowd.settle(publish)
    idle = (memory(pid) - before) / size.clients
    times = await singles(crowd, publish, size.singles)
    rates = []
    for _ in range(size.bursts):
        crowd.expect(size.burst * size.clients)
        began = crowd.total
        first = asyncio.create_task(crowd.first_arrival())
        await publish(size.burst)
        await crowd.reached()
        last = max(member.arrived_at for member in crowd.members)
        rates.append((crowd.total - began) / (last - await first))
    await crowd.close()
    return Figures(statistics.median(rates), idle, quantile(times, 0.5), quantile(times, 0.99))


async def singles(
    crowd: Crowd, publish: Callable[[int], Awaitable[float]], count: int
) -> list[float]:
    """Publish one event after the other; return how long each took to each client, in ms."""
    times: list[float] = []
    for _ in range(count):
        crowd.expect(len(crowd.members))
        published_at = await publish(1)
        await crowd.reached()
        times += [(member.arrived_at - published_at) * 1e3 for member in crowd.members]
    return times


async def crowds(running: Carnet, size: Size) -> None:
    """Print how long one event takes to the subscribers of one stream, and of many streams."""
    for count in size.crowds:
        crowd = running.crowd()
        await crowd.grow(count)
        await crowd.settle(running.publish_to_one)
        times = await singles(crowd, running.publish_to_one, size.singles)
        print(latencies(f"one stream, {count} subscribers", times))
        await crowd.close()
    for count in sorted({1, min(100, size.streams), size.streams}):
        crowd = running.crowd_of_many()
        await crowd.grow(count)
        await crowd.reached_by_all(1)
        times = []
        for position in range(min(size.told, count)):
            crowd.expect(1)
            published_at = await running.publish_to(position)
            await crowd.reached()
            times.append((crowd.members[position].arrived_at - published_at) * 1e3)
        print(latencies(f"{count} streams, one subscriber each", times))
        await crowd.close()


@asynccontextmanager
async def peer(
    name: str, cores: set[int]
) -> AsyncIterator[tuple[Crowd, subprocess.Popen[str], Callable[[int], Awaitable[float]]]]:
    """Start a peer, and yield clients for it, its process and how to publish there."""
    port = free_port()
    with subprocess.Popen(
        [*map(str, COMMANDS[name]), str(port)],
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
                await reader.readuntil(b"\r\n")
                writer.close()
                return published_at

            yield Crowd(port, lambda _position: {"query": QUERY}), process, publish
        finally:
            process.kill()


def memory(pid: int) -> float:
    """Return the resident memory of a process in KiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def shown(name: str, found: Figures) -> None:
    print(f"{name:12}{found.rate:14,.0f}{found.kib:10.1f}{found.p50:9.1f}{found.p99:9.1f}")


def latencies(name: str, times: list[float]) -> str:
    return f"{name:36} p50 {quantile(times, 0.5):7.1f} ms   p99 {quantile(times, 0.99):7.1f} ms"


if __name__ == "__main__":
    main()
