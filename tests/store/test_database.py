from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import URL, func, select, text
from sqlalchemy.exc import DBAPIError

from carnet.clock import MovableClock
from carnet.errors import UserMistake
from carnet.people.tables import Organization
from carnet.store.database import Database, Work, asyncpg_url


def add(work: Work, name: str = "Hôpital") -> None:
    work.session.add(Organization(id=work.new_id(), name=name, created_at=work.now))


async def count(database: Database) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(Organization)) or 0


async def value(work: Work, sql: str) -> object:
    return await work.session.scalar(text(sql))


async def test_a_write_commits_when_its_block_ends(database: Database) -> None:
    async with database.write() as work:
        add(work)
    assert await count(database) == 1


async def test_a_write_rolls_back_when_its_block_raises(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as work:
            add(work)
            await work.session.flush()
            assert await value(work, "SELECT count(*) FROM organizations") == 1
            raise ZeroDivisionError
    assert await count(database) == 0


async def test_a_write_rolls_back_when_it_is_cancelled(database: Database) -> None:
    written = asyncio.Event()

    async def write() -> None:
        async with database.write() as work:
            add(work)
            await work.session.flush()
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(database) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO clock_offset VALUES (1, '1 day')",
        "DELETE FROM organizations",
        "CREATE TEMP TABLE t (a int)",
        "SELECT 1 FROM organizations FOR UPDATE",
    ],
)
async def test_a_read_refuses_writes(database: Database, sql: str) -> None:
    async with database.read() as work:
        with pytest.raises(DBAPIError) as refused:
            await work.session.execute(text(sql))
    assert refused.value.orig.sqlstate in {"25006", "42501"}
    if "TEMP" not in sql:  # those are refused for the role already
        assert refused.value.orig.sqlstate == "25006"


async def test_a_read_refuses_what_the_session_flushes(database: Database) -> None:
    async with database.read() as work:
        add(work)
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await work.session.commit()
    assert await count(database) == 0


async def test_a_read_sees_one_snapshot(database: Database) -> None:
    async with database.read() as reader:
        before = await value(reader, "SELECT count(*) FROM organizations")
        async with database.write() as writer:
            add(writer)
        after = await value(reader, "SELECT count(*) FROM organizations")
        assert (before, after) == (0, 0)
        assert await value(reader, "SHOW transaction_isolation") == "repeatable read"
    assert await count(database) == 1


async def test_a_connection_that_was_read_from_can_be_written_to(owner_url: URL) -> None:
    database = Database.connect(owner_url, pool_size=1)
    async with database.read() as work:
        first = await value(work, "SELECT pg_backend_pid()")
    async with database.write() as work:
        assert await value(work, "SELECT pg_backend_pid()") == first
        assert await value(work, "SHOW transaction_isolation") == "read committed"
        add(work)
    assert await count(database) == 1
    await database.close()


async def test_connections_run_as_the_servers_role(database: Database) -> None:
    async with database.write() as work:
        assert await value(work, "SELECT current_user") == "carnet_app"
    async with database.read() as work:
        assert await value(work, "SELECT current_user") == "carnet_app"


@pytest.mark.parametrize("sql", ["RESET ROLE", "RESET ALL", "SELECT 1/0"])
async def test_the_role_survives_resets_rollbacks_and_the_pool(owner_url: URL, sql: str) -> None:
    database = Database.connect(owner_url, pool_size=1)
    async with database.write() as work:
        first = await value(work, "SELECT pg_backend_pid()")
        if "1/0" in sql:
            with pytest.raises(DBAPIError, match="division by zero"):
                await work.session.execute(text(sql))
            await work.session.rollback()
        else:
            await work.session.execute(text(sql))
            assert await value(work, "SELECT current_user") == "carnet_app"
    async with database.write() as work:
        assert await value(work, "SELECT pg_backend_pid()") == first
        assert await value(work, "SELECT current_user") == "carnet_app"
    await database.close()


async def test_work_goes_on_after_the_server_ended_every_connection(
    database: Database, owner_url: URL
) -> None:
    async with database.read() as one, database.read() as two:  # two pooled connections
        pids = {await value(work, "SELECT pg_backend_pid()") for work in (one, two)}
    assert len(pids) == 2
    admin = await asyncpg.connect(
        host=owner_url.query["host"], user=owner_url.username, database=owner_url.database
    )
    ended = await admin.fetch(
        "SELECT pg_terminate_backend(pid, 5000) AS gone FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await admin.close()
    assert [row["gone"] for row in ended] == [True, True]
    async with database.write() as work:
        add(work)
        assert await value(work, "SELECT pg_backend_pid()") not in pids
    assert await count(database) == 1


async def test_the_moment_of_a_work_is_the_clocks(database: Database, clock: MovableClock) -> None:
    clock.offset = timedelta(days=42)
    before = datetime.now(UTC) + clock.offset
    async with database.write() as work:
        assert before <= work.now <= before + timedelta(minutes=1)
        milliseconds = work.new_id().int >> 80
        assert milliseconds == int(work.now.timestamp() * 1000)
        assert work.new_id() != work.new_id()


async def test_without_a_role_the_login_keeps_its_own(owner_url: URL) -> None:
    database = Database.connect(owner_url, role=None)
    async with database.read() as work:
        assert await value(work, "SELECT current_user") == "postgres"
    await database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://u:hunter2@host:port/db"])
def test_a_text_that_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UserMistake, match=r"^CARNET_DATABASE_URL is not a database URL\.$") as e:
        asyncpg_url(url)
    assert e.value.__cause__ is None and e.value.__suppress_context__


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(UserMistake, match="must start with postgresql://"):
        asyncpg_url("mysql://u@host/db")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_driver_is_always_asyncpg(scheme: str) -> None:
    assert asyncpg_url(f"{scheme}://u@host/db").drivername == "postgresql+asyncpg"
