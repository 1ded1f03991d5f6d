"""How fast events reach subscribers, next to other servers and to a loop that only writes frames.

    .venv/bin/python bench/bench_events.py [--clients N] [--rounds N] [--smoke] [--only NAME…]

All servers run at once and are measured in turn, several times over, on one core; the clients
(`subscribers.py`: graphql-transport-ws over real sockets) run on the other. The peers (`peers/`)
publish from memory; Carnet's events are committed changes of documents, each read, decided on and
written into the access journal for whoever is told. README.md says what the columns mean.

The Node servers need node and npm; ``npm install`` is run in `peers/` the first time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import uvloop
from carnet_under_load import ALONE, FAMILY, Carnet, carnet
from contestants import COMMANDS, NODE, Contestant, install_node_packages, one_by_one, peer
from subscribers import allow_files

OURS = {"carnet": FAMILY, "carnet, one viewer": ALONE}
NAMES = (*COMMANDS, *OURS, "latencies")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clients: int = 1000
    rounds: int = 3
    singles: int = 20  # events one by one, in a round
    burst: int = 100  # events at once, in a round
    crowds: tuple[int, ...] = (1, 100, 2000)  # subscribers of one stream, or streams of one each
    told: int = 60  # events one by one, to each of the crowds
    streams: int = 300  # at most so many of the streams are told something, one by one
    rest: float = 0.5  # seconds that a server has to do nothing before its memory is read


SMOKE = Size(clients=12, rounds=1, singles=2, burst=6, crowds=(1, 4), told=2, streams=3, rest=0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=Size.clients, help="of each server [1000]")
    parser.add_argument("--rounds", type=int, default=Size.rounds, help="[3]")
    parser.add_argument("--smoke", action="store_true", help="a few clients, to see that it runs")
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    given = parser.parse_args()
    size = SMOKE if given.smoke else Size(clients=given.clients, rounds=given.rounds)
    allow_files(20_000)
    if set(NODE) & set(given.only):
        install_node_packages()
    uvloop.run(measure(given.only, size))


async def measure(names: list[str], size: Size) -> None:
    cores = sorted(os.sched_getaffinity(0))
    servers = {cores[0]}
    os.sched_setaffinity(0, set(cores[1:2]) or servers)
    print(f"{size.clients} clients of each server on one core, the servers on another")
    async with AsyncExitStack() as running:
        found = [
            await running.enter_async_context(peer(name, servers))
            for name in names
            if name in COMMANDS
        ]
        ours = None
        if {*OURS, "latencies"} & set(names):
            ours = await running.enter_async_context(carnet(servers, max(*size.crowds, 2)))
            found += [ours.contestant(name, OURS[name]) for name in names if name in OURS]
        for each in found:
            each.rest = size.rest
            await each.settle(size.clients)
        for number in range(size.rounds):
            for each in found:
                say(f"round {number + 1} of {size.rounds}: {each.name}")
                await each.round(size.singles, size.burst)
        say("")
        if found:
            table(found)
        for each in found:
            await each.clients.close()
        if ours is not None and "latencies" in names:
            await latencies(ours, size)


async def latencies(ours: Carnet, size: Size) -> None:
    """Print how long one event takes to the subscribers of one stream, and of many streams."""
    print("\nOne event in Carnet, from publishing to receiving")
    for count, record in [*((count, ALONE) for count in size.crowds), (size.crowds[1], FAMILY)]:
        crowd = ours.crowd_of_one(record)
        await crowd.grow(count, told=1)
        whose = "a family's" if record == FAMILY else "one"
        for what, act in (("commit elsewhere", ours.commit), ("mutation sent", ours.ask)):
            times = await one_by_one(crowd, partial(act, record), size.told)
            shown(f"{whose} stream, {count} subscribers, from {what}", times)
        await crowd.close()
    for count in size.crowds:
        crowd = ours.crowd_of_many()
        await crowd.grow(count, told=1)
        times = []
        for turn in range(min(size.streams, max(count, size.told))):
            position = turn * max(1, count // size.streams) % count
            crowd.expect(1)
            published_at = await ours.commit(position, 1)
            await crowd.reached()
            times.append((crowd.members[position].arrived_at - published_at) * 1e3)
        shown(f"{count} streams, one subscriber each, from commit elsewhere", times)
        await crowd.close()


def table(found: list[Contestant]) -> None:
    print(
        f"{'':20}{'one event to all':^36}{'many events':^38}{'idle':>8}\n"
        f"{'':20}{'clients/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'µs each':>9}"
        f"{'events':>8}{'deliveries/s':>14}{'µs each':>8}{'clients':>8}{'KiB':>8}"
    )
    for one in found:
        print(
            f"{one.name:20}{statistics.median(one.fans):11,.0f}{quantile(one.times, 0.5):8.1f}"
            f"{quantile(one.times, 0.99):8.1f}{statistics.median(one.costs):9.1f}"
            f"{statistics.median(one.bursts):8.0f}{statistics.median(one.rates):14,.0f}"
            f"{statistics.median(one.burst_costs):8.1f}{statistics.median(one.shares):8.0%}{one.kib:8.1f}"
        )
    for one in found:
        if one.name not in OURS:
            continue
        for other in found:
            if other.name not in OURS:
                print(
                    f"{one.name} to {other.name}:"
                    f" clients/s {ratio(one.fans, other.fans)},"
                    f" deliveries/s {ratio(one.rates, other.rates)},"
                    f" processor {ratio(one.costs, other.costs)},"
                    f" memory {ratio([one.kib], [other.kib])}"
                )


def ratio(these: list[float], those: list[float]) -> str:
    other = statistics.median(those)
    return f"× {statistics.median(these) / other:.2f}" if other > 0 else "—"


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def shown(name: str, times: list[float]) -> None:
    p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
    print(f"{name:62} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms", flush=True)


def say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
