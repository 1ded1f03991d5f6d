"""PostgreSQL that cuts its sessions, dies or stops: nobody who follows is sent away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
import scene
from following import DOCUMENTS
from remote import Follower, Place, Writer, eventually, holds
from sqlalchemy import URL

from carnet.store import migrate
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres

NESTED = (
    "subscription Documents($record: ID!, $after: Cursor)"
    " { documentEvents(record: $record, after: $after) { __typename"
    " ... on CaughtUp { cursor }"
    " ... on DocumentDeposited { cursor eventId document { ...D } }"
    " ... on DocumentChanged { cursor eventId document { ...D } } } }"
    " fragment D on Document"
    " { id title contents { fileName } versions { totalCount } permissions { allowedBy { code } } }"
)  # each document asks the database several times while it is rendered
SESSIONS = (
    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'carnet'"
)
OPTIONS = {"fsync": "off"}  # its own death loses nothing, only the machine's would
GONE_FOR_GOOD = {1002, 1003, 1007, 4004, 4005, 4400, 4401, 4403, 4406, 4409, 4429, 4500}
"""Close codes after which the usual clients do not come back."""


async def administer(url: URL) -> asyncpg.Connection:
    return await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)


async def test_sessions_cut_while_events_flow(place: Place, made: scene.Scene) -> None:
    token = await place.token(made.holder)
    administrator = await administer(place.url)
    async with place.serving() as server:
        followers = [
            Follower(token, query, {"record": made.record_id}, [server.port])
            for query in (DOCUMENTS, NESTED)
        ]
        writers = [Writer(token, made.record_id, server.port) for _ in range(2)]

        async def write(name: int) -> None:
            for number in range(15):
                await writers[name].deposit(f"letter {name}-{number}")

        async with followers[0].following(), followers[1].following():
            writing = asyncio.gather(*(write(name) for name in range(2)))
            cut = 0
            for _ in range(10):
                told = len(followers[0].told)
                cut += len(await administrator.fetch(SESSIONS))
                await followers[0].until(lambda told=told: len(followers[0].told) > told)
            await writing
            assert cut >= 10
            acknowledged = [title for writer in writers for title in writer.acknowledged]
            await holds(place, made.record, followers, acknowledged)
            assert sorted(followers[0].titles) == sorted(acknowledged)
            for follower in followers:
                assert (follower.closes, follower.replays) == ([], 1)
    await administrator.close()


async def test_a_session_cut_in_the_middle_of_a_rendering(place: Place, made: scene.Scene) -> None:
    """What a field of an event could not read is read again, and not told as an error."""
    token = await place.token(made.holder)
    administrator, locker = await administer(place.url), await administer(place.url)
    async with place.serving() as server:
        follower = Follower(token, NESTED, {"record": made.record_id}, [server.port])
        writer = Writer(token, made.record_id, server.port)
        id_ = await writer.deposit("letter")
        async with follower.following():
            locked = locker.transaction()
            await locked.start()
            await locker.execute("LOCK TABLE document_contents IN ACCESS EXCLUSIVE MODE")
            await writer.mutate("maskDocument", {"documentId": id_, "masked": True})
            waiting = f"{SESSIONS} AND wait_event_type = 'Lock'"
            await eventually(lambda: administrator.fetch(waiting))
            await locked.rollback()
            await follower.until(lambda: follower.told != [] or follower.errors != [])
            assert follower.errors == []
            assert follower.told[0]["document"]["contents"] != []
            assert (follower.closes, follower.replays) == ([], 1)
    await administrator.close()
    await locker.close()


@pytest.fixture
async def own_postgres(data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may kill; what it acknowledged outlives it."""
    with EmbeddedPostgres.start(data_dir, OPTIONS) as postgres:
        await migrate.upgrade(postgres.owner_url, create=True)
        yield postgres


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_postgres_stops_and_starts_again(
    own_postgres: EmbeddedPostgres, data_dir: Path, number: signal.Signals
) -> None:
    url = own_postgres.owner_url
    database = Database.connect(url)
    place = Place.of(url, data_dir, database)
    made = await place.make()
    token = await place.token(made.holder)
    variables = {"record": made.record_id}
    async with place.serving() as server:
        follower = Follower(token, DOCUMENTS, variables, [server.port])
        late = Follower(token, DOCUMENTS, variables, [server.port])
        writer = Writer(token, made.record_id, server.port)

        async def write() -> None:
            for number in range(20):
                await writer.deposit(f"letter {number}")

        async with follower.following(), AsyncExitStack() as later:
            late.cursor = follower.cursor
            writing = asyncio.create_task(write())
            await follower.until(lambda: len(follower.told) >= 5)
            os.kill(own_postgres.pid, number)
            await eventually(lambda: writer.repeats >= 3)
            coming = asyncio.create_task(later.enter_async_context(late.following()))
            await eventually(lambda: late.closes)
            with EmbeddedPostgres.start(data_dir, OPTIONS):
                await writing
                await coming
                await holds(place, made.record, [follower, late], writer.acknowledged)
                assert follower.titles == writer.acknowledged
                assert (follower.closes, follower.replays) == ([], 1)
                assert not GONE_FOR_GOOD & set(late.closes)
                await database.close()
