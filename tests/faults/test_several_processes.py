"""Several processes on one database tell one another's subscribers, whatever links them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import scene
from brokers import RedisServer, redis_server
from following import DOCUMENTS, INBOX
from remote import SERVE, Follower, Place, Server, Writer, eventually, holds

CROWD = 12  # followers: enough that no worker is without


@pytest.fixture(scope="module")
def redis() -> RedisServer:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def all_following(
    token: str, record_id: str, ports: list[int], count: int
) -> AsyncIterator[list[Follower]]:
    async with AsyncExitStack() as open_:
        followers = []
        for number in range(count):
            own = ports[number % len(ports) :] + ports[: number % len(ports)]
            follower = Follower(token, DOCUMENTS, {"record": record_id}, own)
            followers.append(await open_.enter_async_context(follower.following()))
        yield followers


@pytest.mark.parametrize("broker", ["postgresql", "redis"])
async def test_separate_processes_tell_one_another_at_once(
    place: Place, made: scene.Scene, redis: RedisServer, broker: str
) -> None:
    given = {"broadcast_url": redis.url} if broker == "redis" else {}
    async with place.serving(**given) as one, place.serving(**given) as other:
        token = await place.token(made.holder)
        ports = [one.port, other.port]
        async with all_following(token, made.record_id, ports, 4) as followers:
            writers = [Writer(token, made.record_id, port) for port in ports]
            waited = []
            for number in range(6):
                title = f"letter {number}"
                await writers[number % 2].deposit(title)
                acknowledged_at = time.monotonic()
                for follower in followers:
                    await follower.until(lambda f=follower, t=title: t in f.at)
                    waited.append(follower.at[title] - acknowledged_at)
            acknowledged = [title for writer in writers for title in writer.acknowledged]
            await holds(place, made.record, followers, acknowledged)
            # The wake-up carried it: looking would take a quarter of a second on average.
            assert sorted(waited)[len(waited) // 2] < 0.2


def workers_of(server: Server) -> set[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(pid) for pid in children.read_text().split()}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_workers_serve_one_port_and_tell_one_another(place: Place, made: scene.Scene) -> None:
    async with place.serving(workers=2) as server:
        token = await place.token(made.holder)
        async with all_following(token, made.record_id, [server.port], CROWD) as followers:
            writer = Writer(token, made.record_id, server.port)
            for number in range(4):
                await writer.deposit(f"before {number}")
            before = workers_of(server)
            assert len(before) == 2
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            for number in range(4):
                await writer.deposit(f"after {number}")
            await holds(place, made.record, followers, writer.acknowledged)
            await eventually(lambda: _replaced(server, killed))
            async with httpx.AsyncClient() as client:
                for _ in range(10):
                    answer = await client.get(f"{server.url}/health/ready")
                    assert answer.status_code == 200
            await writer.deposit("last")
            await holds(place, made.record, followers, writer.acknowledged)
        workers = workers_of(server)
        assert await server.stop(signal.SIGTERM) == 0
        assert not [pid for pid in workers if is_alive(pid)]
        assert "Carnet has stopped." in server.log.read_text()


async def _replaced(server: Server, killed: int) -> bool:
    now = workers_of(server)
    return len(now) == 2 and killed not in now


async def test_workers_end_with_a_supervisor_that_was_killed(place: Place) -> None:
    async with place.serving(workers=2) as server:
        workers = workers_of(server)
        server.process.kill()
        await server.process.wait()
        await eventually(lambda: not any(is_alive(pid) for pid in workers))


async def test_workers_that_cannot_start_are_given_up(place: Place) -> None:
    process = await asyncio.create_subprocess_exec(
        *SERVE,
        "--workers",
        "2",
        env=place.env(port=1, broadcast_url="memory://"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode not in (0, None)
    assert "one process only" in errors.decode()


async def test_an_inbox_is_told_by_whichever_process(place: Place, made: scene.Scene) -> None:
    async with place.serving() as one, place.serving() as other:
        token = await place.token(made.holder)
        inbox = Follower(token, INBOX, {}, [other.port])
        async with inbox.following():
            writer = Writer(token, made.record_id, one.port)
            for number in range(3):
                await writer.deposit(f"letter {number}")
            await inbox.until(lambda: len(inbox.told) >= 3)
            assert inbox.titles == writer.acknowledged
