from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from carnet.errors import ValidationFailed
from carnet.store import clock as module
from carnet.store.clock import FURTHEST, SandboxClock, move
from carnet.store.database import Database

WEEK = timedelta(weeks=1)


def ahead(clock: SandboxClock) -> timedelta:
    """How far the clock is ahead, to the second."""
    return timedelta(seconds=round((clock.now() - datetime.now(UTC)).total_seconds()))


class Telling(SandboxClock):
    """A sandbox clock that tells what came of each reading."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: asyncio.Queue[timedelta | str] = asyncio.Queue()

    async def refresh(self, database: Database) -> None:
        try:
            await super().refresh(database)
        except DBAPIError:
            self.readings.put_nowait("failed")
            raise
        self.readings.put_nowait(self.offset)

    async def until(self, wanted: timedelta | str) -> None:
        async with asyncio.timeout(10):
            while await self.readings.get() != wanted:
                pass


async def test_moves_add_up(database: Database) -> None:
    async with database.write() as work:
        assert await move(work, 6 * WEEK) == 6 * WEEK
    async with database.write() as work:
        assert await move(work, timedelta(hours=1)) == 6 * WEEK + timedelta(hours=1)
    clock = SandboxClock()
    assert ahead(clock) == timedelta()
    await clock.refresh(database)
    assert ahead(clock) == 6 * WEEK + timedelta(hours=1)
    assert clock.now().tzinfo is UTC


async def test_moves_at_once_all_count(database: Database) -> None:
    async def advance() -> None:
        async with database.write() as work:
            await move(work, WEEK)

    await asyncio.gather(*(advance() for _ in range(8)))
    clock = SandboxClock()
    await clock.refresh(database)
    assert ahead(clock) == 8 * WEEK


@pytest.mark.parametrize(
    "by", [timedelta(), -WEEK, FURTHEST + timedelta(seconds=1), timedelta.max, timedelta.min]
)
async def test_the_clock_goes_neither_back_nor_out_of_bounds(
    database: Database, by: timedelta
) -> None:
    async with database.write() as work:
        with pytest.raises(ValidationFailed) as refused:
            await move(work, by)
        assert refused.value.path == ("by",)
        assert await work.session.scalar(text("SELECT count(*) FROM clock_offset")) == 0


async def test_steps_do_not_add_up_beyond_the_bound(database: Database) -> None:
    async with database.write() as work:
        await move(work, FURTHEST - WEEK)
        with pytest.raises(ValidationFailed):
            await move(work, 2 * WEEK)
        assert await move(work, WEEK) == FURTHEST


async def test_a_running_server_follows(owner_url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.REFRESH_INTERVAL == 1.0
    monkeypatch.setattr(module, "REFRESH_INTERVAL", 0.02)
    clock = Telling()
    server, command = (Database.connect(owner_url, clock=each) for each in (clock, None))
    async with command.write() as work:
        await move(work, WEEK)
    async with clock.following(server):
        assert ahead(clock) == WEEK  # read before anything is served
        async with command.write() as work:
            await move(work, WEEK)
        await clock.until(2 * WEEK)
        assert ahead(clock) == 2 * WEEK
        async with server.read() as work:
            assert work.now > datetime.now(UTC) + 13 * timedelta(days=1)
    assert asyncio.all_tasks() == {asyncio.current_task()}  # nobody follows any more
    for each in (server, command):
        await each.close()


async def test_a_failed_reading_keeps_the_time(
    owner_url: URL, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "REFRESH_INTERVAL", 0.02)
    clock = Telling()
    owner, server = Database.connect(owner_url, role=None), Database.connect(owner_url)
    async with owner.write() as work:
        await move(work, WEEK)
    async with clock.following(server):
        async with owner.write() as work:
            await work.session.execute(text("REVOKE SELECT ON clock_offset FROM carnet_app"))
        await clock.until("failed")
        assert ahead(clock) == WEEK
        async with owner.write() as work:
            await work.session.execute(text("GRANT SELECT ON clock_offset TO carnet_app"))
            await move(work, WEEK)
        await clock.until(2 * WEEK)
        assert ahead(clock) == 2 * WEEK
    for each in (owner, server):
        await each.close()
