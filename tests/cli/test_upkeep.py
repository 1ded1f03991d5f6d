"""A server does what is due by itself: after downtime, and when the sandbox's clock moves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import graph
from sqlalchemy import select

from carnet.cli.jobs import RECURRING, handlers
from carnet.cli.upkeep import upkeep
from carnet.cli.workspace import Workspace
from carnet.clock import MovableClock
from carnet.people.actor import CONSOLE
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR
from carnet.records.enrolment import enrol
from carnet.records.tables import Record, RecordState
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Job
from carnet.values import Identifier, PartialDate


async def enrolled(database: Database, number: str) -> None:
    claim = Claim(
        (Identifier(INS_NIR, number),),
        birth_family_name="DUPONT",
        given_names=("Alix",),
        birth_date=PartialDate("1985-05-04"),
    )
    async with database.write() as work:
        await enrol(CONSOLE, work, [claim])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            pass


async def test_what_is_due_happens_by_itself(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    async def all_open() -> bool:
        async with database.read() as work:
            states = await work.session.scalars(select(Record.state))
            return set(states) == {RecordState.OPEN}

    opened = Workspace(Settings(), database, blobs, graph.SIGNER, b"k" * 32)
    await enrolled(database, "1850599000001")
    clock.offset += timedelta(weeks=6)  # nothing runs meanwhile
    async with upkeep(opened):
        await until(all_open)
        await enrolled(database, "1850599000002")
        assert not await all_open()
        clock.offset += timedelta(weeks=6)
        await until(all_open)
    async with database.read() as work:
        jobs = list(await work.session.scalars(select(Job)))
    assert {job.kind for job in jobs} == set(RECURRING)
    assert {job.leased_by for job in jobs} == {None}  # a server that stops holds nothing


async def test_every_repeating_job_has_a_handler(database: Database, blobs: BlobStore) -> None:
    opened = Workspace(Settings(), database, blobs, graph.SIGNER, b"k" * 32)
    assert set(RECURRING) <= set(handlers(opened))
