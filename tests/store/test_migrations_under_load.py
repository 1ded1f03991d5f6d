"""A migration that needs a table for itself, while others read and write it without a pause.

The migration and its table are made here; the schema of Carnet stays as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import URL

from carnet.errors import UserMistake
from carnet.store import migrate

ENV = """
from alembic import context

def tell(step, **_):
    context.config.attributes["told"](f"Migration {step.up_revision_id} is run.")

context.configure(
    connection=context.config.attributes["connection"],
    version_table="busy_version",
    transaction_per_migration=True,
    on_version_apply=tell,
)
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
from alembic import op

revision = "{revision}"
down_revision = {down}

def upgrade():
    op.execute({sql!r})
"""
STEPS = (
    "CREATE TABLE beside (id int)",
    "ALTER TABLE busy ADD COLUMN more int",
)
PATIENCE = 0.5  # seconds; stands for the four of LOCK_TIMEOUT
SLACK = 2.0  # seconds for a slow machine, beyond the lock timeout


@asynccontextmanager
async def connected(url: URL) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database=url.database
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two migrations: the second one needs the busy table for itself."""
    (tmp_path / "env.py").write_text(ENV)
    versions = tmp_path / "versions"
    versions.mkdir()
    before = None
    for number, sql in enumerate(STEPS, 1):
        revision = f"{number:04}"
        text = REVISION.format(revision=revision, down=repr(before), sql=sql)
        (versions / f"{revision}_step.py").write_text(text)
        before = revision
    return tmp_path


@pytest.fixture
async def busy(owner_url: URL, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[URL]:
    """A database with a table that is about to be in use."""
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", PATIENCE)
    async with connected(owner_url) as connection:
        await connection.execute("CREATE TABLE busy (id int PRIMARY KEY, n int)")
        await connection.execute("INSERT INTO busy SELECT n, 0 FROM generate_series(1, 9) n")
    yield owner_url


class Users:
    """Those who read and write the table; what the longest of them had to wait."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.longest = 0.0
        self.done = 0

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let them work while the block runs; whatever fails of them fails here."""
        over = asyncio.Event()
        tasks = [
            asyncio.create_task(self._go_on(over, sql))
            for sql in (
                "SELECT sum(n) FROM busy",
                "UPDATE busy SET n = n + 1 WHERE id = 1",
                "UPDATE busy SET n = n + 1 WHERE id = 2",
            )
        ]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*tasks)

    async def _go_on(self, over: asyncio.Event, sql: str) -> None:
        async with connected(self.url) as connection:
            while not over.is_set():
                began = time.monotonic()
                async with connection.transaction():
                    await connection.execute(sql)
                self.longest = max(self.longest, time.monotonic() - began)
                self.done += 1


async def columns(url: URL) -> list[str]:
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'busy'"
            " ORDER BY ordinal_position"
        )
    return [row["column_name"] for row in rows]


async def version(url: URL) -> str | None:
    async with connected(url) as connection:
        found: str | None = await connection.fetchval("SELECT version_num FROM busy_version")
        return found


async def held(url: URL, act: Callable[[], Awaitable[None]]) -> None:
    """Do something while a long transaction has read the table."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute("SELECT * FROM busy")
        await act()


async def test_it_gives_up_with_one_line_and_nothing_is_changed(busy: URL, folder: Path) -> None:
    told: list[str] = []
    users = Users(busy)

    async def upgrade() -> None:
        with pytest.raises(UserMistake) as mistake:
            await migrate.upgrade(busy, folder=folder, told=told.append, pauses=(0.1, 0.2))
        assert mistake.value.message == (
            "The database is busy: a table stayed locked for 0.5 seconds, 3 times."
            " Nothing was left half done; try again."
        )

    async with users.at_work():
        await held(busy, upgrade)
    assert told == [
        "Migration 0001 is run.",  # it needed no lock, and stays
        "A table stayed locked for 0.5 seconds; nothing was changed."
        " Attempt 2 of 3 is in 0.1 seconds.",
        "A table stayed locked for 0.5 seconds; nothing was changed."
        " Attempt 3 of 3 is in 0.2 seconds.",
    ]
    assert await columns(busy) == ["id", "n"]
    assert await version(busy) == "0001"
    assert users.done > 10
    assert users.longest < PATIENCE + SLACK


async def test_it_gets_its_turn_between_and_nobody_fails(busy: URL, folder: Path) -> None:
    told: list[str] = []
    users = Users(busy)
    is_held, is_locked = asyncio.Event(), asyncio.Event()

    def hear(line: str) -> None:
        told.append(line)
        if "stayed locked" in line:
            is_locked.set()

    async def until_it_was_refused_once() -> None:
        is_held.set()
        await asyncio.wait_for(is_locked.wait(), 30)

    async with users.at_work():
        holding = asyncio.create_task(held(busy, until_it_was_refused_once))
        await asyncio.wait_for(is_held.wait(), 30)
        await migrate.upgrade(busy, folder=folder, told=hear, pauses=(0.5, 1, 2, 4))
        await holding
    assert told[0] == "Migration 0001 is run." and told[-1] == "Migration 0002 is run."
    assert await columns(busy) == ["id", "n", "more"]
    assert await version(busy) == "0002"
    assert users.longest < PATIENCE + SLACK


async def test_an_error_that_is_no_lock_is_not_tried_again(busy: URL, folder: Path) -> None:
    (folder / "versions" / "0002_step.py").write_text(
        REVISION.format(revision="0002", down="'0001'", sql="SELECT 1 / 0")
    )
    told: list[str] = []
    with pytest.raises(Exception, match="division by zero"):
        await migrate.upgrade(busy, folder=folder, told=told.append, pauses=(60,))
    assert told == ["Migration 0001 is run."]


def test_pauses_grow_and_are_few() -> None:
    assert migrate.LOCK_TIMEOUT == 4
    assert list(migrate.PAUSES) == sorted(set(migrate.PAUSES))
    assert sum(migrate.PAUSES) + (len(migrate.PAUSES) + 1) * migrate.LOCK_TIMEOUT < 120
