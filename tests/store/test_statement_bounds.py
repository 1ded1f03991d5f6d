"""A server's statements end at a bound, and commands and background work have room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import graph
import httpx
import pytest
import world
from sqlalchemy import URL, event, text
from sqlalchemy.exc import DBAPIError

from carnet.cli.workspace import workspace
from carnet.errors import TookTooLong
from carnet.http.app import create_app
from carnet.http.calendar_feeds import ROUTES
from carnet.http.services import Services
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import BACKGROUND, SERVING, Bounds, Database
from carnet.store.outages import is_outage

SHORT = Bounds(statement=timedelta(milliseconds=200), idle=timedelta(seconds=30))
LONG = text("SELECT pg_sleep(30), 'a-secret-value'")


@pytest.fixture
async def bounded(owner_url: URL) -> AsyncIterator[Database]:
    database = Database.connect(owner_url, bounds=SHORT)
    yield database
    await database.close()


async def settings_of(database: Database) -> tuple[str, ...]:
    async with database.read() as work:
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        return tuple([await work.session.scalar(text(f"SHOW {name}")) for name in names])


@pytest.mark.parametrize("way", ["read", "write", "glance"])
async def test_a_statement_is_stopped_and_what_is_told_has_no_values(
    bounded: Database, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TookTooLong) as stopped:
        async with getattr(bounded, way)() as work:
            await work.session.execute(LONG)
    assert (stopped.value.code, stopped.value.__cause__) == ("UNAVAILABLE", None)
    assert stopped.value.message == (
        "This took too long and was stopped: ask for less, or come again later."
    )
    assert "a statement was stopped at its bound" in caplog.text
    assert "secret" not in caplog.text + str(stopped.value)
    async with bounded.read() as work:
        assert await work.session.scalar(text("SELECT 1")) == 1


async def test_what_was_written_before_the_bound_is_undone(bounded: Database) -> None:
    with pytest.raises(TookTooLong):
        async with bounded.write() as work:
            await work.session.execute(text("DELETE FROM jobs"))
            await world_row(work.session)
            await work.session.execute(LONG)
    async with bounded.read() as work:
        assert await work.session.scalar(text("SELECT count(*) FROM jobs")) == 0


async def world_row(session: Any) -> None:
    await session.execute(
        text(
            "INSERT INTO jobs (id, kind, key, arguments, due_at, attempts, created_at)"
            " VALUES (gen_random_uuid(), 'none', 'none', '{}', now(), 0, now())"
        )
    )


async def test_waiting_for_a_lock_counts(bounded: Database, database: Database) -> None:
    async with database.write() as holding:
        await holding.session.execute(text("LOCK TABLE jobs"))
        with pytest.raises(TookTooLong):
            async with bounded.write() as work:
                await world_row(work.session)


async def test_a_transaction_that_stands_idle_is_ended_as_an_outage(owner_url: URL) -> None:
    brief = Bounds(statement=timedelta(seconds=30), idle=timedelta(milliseconds=100))
    database = Database.connect(owner_url, bounds=brief, pool_size=1)
    with pytest.raises(DBAPIError) as ended:
        async with database.write() as work:
            await work.session.execute(text("SELECT 1"))
            connection = await work.session.connection()
            driver = (await connection.get_raw_connection()).driver_connection
            gone = asyncio.Event()
            driver.add_termination_listener(lambda _: gone.set())
            await asyncio.wait_for(gone.wait(), 20)
            await work.session.execute(text("SELECT 1"))
    assert is_outage(ended.value)
    async with database.read() as work:  # the pool has another connection
        assert await work.session.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_work_at_length_has_bounds_of_its_own_and_leaves_none_behind(
    bounded: Database,
) -> None:
    assert await settings_of(bounded) == ("200ms", "30s")
    longer = bounded.at_length()
    assert await settings_of(longer) == ("1h", "1h")
    async with longer.write() as work:
        await work.session.execute(text("SELECT pg_sleep(0.3)"))
    assert await settings_of(bounded) == ("200ms", "30s")


async def test_who_listens_hears_of_what_grew_at_length_too(bounded: Database) -> None:
    longer = bounded.at_length()
    heard: list[object] = []
    bounded.on_grown = heard.append  # set later than the other was made
    async with longer.write() as work:
        work.grown[work.new_id()] = 1
    assert len(heard) == 1


async def test_commands_have_no_bounds_and_a_server_has(
    owner_url: URL, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=owner_url.render_as_string(hide_password=False), data_dir=tmp_path
    )
    async with workspace(settings) as opened:
        assert await settings_of(opened.database) == ("0", "0")
        assert opened.database.at_length() is opened.database
    async with workspace(settings, bounds=SERVING) as opened:
        assert await settings_of(opened.database) == ("30s", "2min")
        assert await settings_of(opened.database.at_length()) == ("1h", "1h")
    assert BACKGROUND.statement > SERVING.statement


async def test_a_query_that_is_stopped_is_answered_without_values(
    bounded: Database, blobs: BlobStore
) -> None:
    actor = await world.holder(bounded)
    event.listen(bounded.engine.sync_engine, "before_cursor_execute", _slowly, retval=True)
    context = graph.context_of(bounded, blobs, actor)
    _, errors = await graph.answer(context, "{ viewer { ... on Patient { record { id } } } }", {})
    assert [error["extensions"]["code"] for error in errors] == ["UNAVAILABLE"]
    assert "SELECT" not in str(errors) and "pg_sleep" not in str(errors)


def _slowly(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    """Let PostgreSQL take its time over every reading of records."""
    slow = statement.replace("FROM records", "FROM (SELECT pg_sleep(30)) slow, records", 1)
    return slow, parameters


async def test_a_route_that_is_stopped_answers_503(bounded: Database, blobs: BlobStore) -> None:
    services = Services(
        Settings(), bounded, blobs, graph.SCHEMA, None, None,  # type: ignore[arg-type]
        graph.SIGNER, graph.CURSORS, graph.FEEDS,
    )  # fmt: skip
    app = create_app(services, ROUTES)

    def slow(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return statement.replace("FROM ", "FROM (SELECT pg_sleep(30)) slow, ", 1), parameters

    event.listen(bounded.engine.sync_engine, "before_cursor_execute", slow, retval=True)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(f"/calendar/{graph.FEEDS.seal(uuid4())}.ics")
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert "pg_sleep" not in answer.text
