"""The link between processes, over every kind of broker, and what becomes of it when they die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from uuid import UUID, uuid4

import pytest
from broadcaster import Broadcast
from brokers import RedisServer, proxy_to, redis_server
from redis.asyncio import Redis
from sqlalchemy import text

from carnet.errors import UserMistake
from carnet.settings import Settings
from carnet.store.database import Database
from carnet.store.wakeups import (
    CHANNEL,
    WAITING_LIMIT,
    Wakeups,
    broker_url,
    read_message,
    write_message,
)

SOON = 2.0  # seconds: what the next event after a broken link may take


@dataclass
class Process:
    """One end of the link, and what it heard."""

    heard: dict[UUID, int] = field(default_factory=dict)
    lost: int = 0
    link: Wakeups = None  # type: ignore[assignment]
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, grown: Mapping[UUID, int]) -> None:
        self.heard.update(grown)
        self.more.set()

    def lose(self) -> None:
        self.lost += 1
        self.more.set()

    async def until(self, holds: Callable[[], bool], within: float = SOON) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self.more.clear()
                await self.more.wait()


@asynccontextmanager
async def processes(url: str, count: int = 2) -> AsyncIterator[list[Process]]:
    async with AsyncExitStack() as running:
        ends = []
        for _ in range(count):
            end = Process()
            end.link = Wakeups(url, end.hear, end.lose)
            await running.enter_async_context(end.link.running())
            await end.until(lambda end=end: end.link.links == 1, 10)
            ends.append(end)
        yield ends


@pytest.fixture(scope="module")
def redis() -> RedisServer:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["postgresql", "redis"])
def url(request: pytest.FixtureRequest, database: Database) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis").url)
    return broker_url(Settings(), database.engine.url)


async def cut(url: str, database: Database) -> None:
    """Kill every connection that listens."""
    if url.startswith("redis"):
        async with Redis.from_url(url) as client:
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        return
    async with database.write() as work:
        await work.session.execute(text("SET ROLE NONE"))
        await work.session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = session_user"
                " AND pid <> pg_backend_pid() AND application_name <> 'carnet'"
            )
        )


def _replaced(end: Process, lost: int, links: int) -> bool:
    return end.lost > lost and end.link.links > links


async def test_what_one_announces_the_other_hears(url: str) -> None:
    async with processes(url) as (one, other):
        grown = {uuid4(): number for number in range(1, 1000)}
        one.link.announce(grown)
        await other.until(lambda: other.heard == grown)
        (id_,) = list(grown)[:1]
        for number in range(5, 50):
            other.link.announce({id_: number})
        await one.until(lambda: one.heard.get(id_) == 49)


async def test_of_ten_broken_links_none_costs_more_than_two_seconds(
    url: str, database: Database
) -> None:
    async with processes(url) as (one, other):
        for _ in range(10):
            await one.until(lambda: one.link.is_linked, 10)
            await other.until(lambda: other.link.is_linked, 10)
            missed, links = other.lost, other.link.links
            await cut(url, database)
            await other.until(partial(_replaced, other, missed, links))
            again = uuid4()
            one.link.announce({again: 1})
            began = monotonic()
            while again not in other.heard:
                assert monotonic() - began < SOON
                one.link.announce({again: 1})
                await asyncio.sleep(0.05)
        assert other.link.links >= 10


async def test_a_link_that_says_nothing_is_replaced(redis: RedisServer) -> None:
    async with (
        proxy_to(redis.port) as proxy,
        processes(f"redis://127.0.0.1:{proxy.port}/0") as (one, other),
    ):
        for links in (2, 3):
            proxy.go_silent()
            began = monotonic()
            await other.until(lambda links=links: other.link.links >= links, 5)
            await one.until(lambda links=links: one.link.links >= links, 5)
            assert monotonic() - began < 3
            id_ = uuid4()
            one.link.announce({id_: 1})
            await other.until(lambda id_=id_: id_ in other.heard)


async def test_redis_gone_and_back(caplog: pytest.LogCaptureFixture) -> None:
    with redis_server() as server:
        async with processes(server.url) as (one, other):
            server.kill()
            kept = uuid4()
            one.link.announce({kept: 7})
            await asyncio.sleep(2)
            server.start()
            await other.until(lambda: other.link.links >= 2 and one.link.links >= 2, 15)
            seen = other.lost
            later = uuid4()
            one.link.announce({later: 1})
            await other.until(lambda: later in other.heard)
            assert seen >= 2
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 4, "out of reach, and back, for each process"
        assert not any(str(server.port) in record.getMessage() for record in warnings)


async def test_in_one_process_memory_is_enough() -> None:
    async with processes("memory://", 1) as (one,):
        id_ = uuid4()
        one.link.announce({id_: 3})
        await one.until(lambda: one.heard == {id_: 3})


async def test_what_is_no_message_makes_everybody_look(url: str) -> None:
    async with processes(url) as (_, other), Broadcast(url) as stranger:
        for text_ in ("", "*", "nonsense!", "AAAA", "x" * 5000, "é"):
            before = other.lost
            await stranger.publish(CHANNEL, text_)
            await other.until(lambda before=before: other.lost > before)
        assert other.heard == {} and other.link.links == 1


async def test_a_flood_is_bounded() -> None:
    lost = []
    link = Wakeups("memory://", lambda _grown: None, lambda: lost.append(1))
    for _ in range(100_000):
        link.announce({uuid4(): 1})
        assert len(link._waiting) <= WAITING_LIMIT
    assert link._must_look


async def test_what_was_announced_last_is_still_sent(url: str) -> None:
    async with processes(url, 1) as (other,):
        id_ = uuid4()
        async with processes(url, 1) as (one,):
            one.link.announce({id_: 1})
        await other.until(lambda: id_ in other.heard)


def test_messages() -> None:
    grown = {uuid4(): number for number in (1, 2**40)}
    assert read_message(write_message(grown)) == grown
    assert len(write_message({uuid4(): 2**63 for _ in range(200)})) < 8000


@pytest.mark.parametrize("bad", ["mysql://h/d", "kafka://h", "nonsense", "sqlite:///x", "redis"])
def test_other_brokers_are_refused(bad: str) -> None:
    with pytest.raises(UserMistake, match="CARNET_BROADCAST_URL"):
        broker_url(Settings(broadcast_url=bad), "postgresql://h/d")


def test_the_database_is_the_broker_unless_another_is_named() -> None:
    given = "postgresql+asyncpg://me:p%40ss@/carnet?host=%2Frun%2Fpg"
    assert broker_url(Settings(), given) == "postgresql://me:p%40ss@/carnet?host=%2Frun%2Fpg"
    assert broker_url(Settings(broadcast_url="redis://r:1/2"), given) == "redis://r:1/2"
    settings = Settings(broadcast_url="redis://:secret@r:1/2")
    assert "secret" not in repr(settings)
    link = Wakeups("redis://:secret@r:1/2", lambda _grown: None, lambda: None)
    assert "secret" not in repr(link)
