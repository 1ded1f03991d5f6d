"""A server does what is due by itself: after downtime, and when the sandbox's clock moves."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import uuid4

import graph
import pytest
import world
from sqlalchemy import select

from carnet.access import sealing
from carnet.access.journal import Fact, JournalAction, write
from carnet.access.journal_tables import UnsealedEntry
from carnet.cli import upkeep as upkeep_module
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
from carnet.store.jobs import ask
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


async def test_the_journal_is_sealed_whatever_else_takes_long(
    database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, finish = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_database: Database, _arguments: Mapping[str, object]) -> None:
        running.release()
        await finish.wait()

    opened = Workspace(Settings(), database, blobs, graph.SIGNER, b"k" * 32)
    every = {sealing.JOB: handlers(opened)[sealing.JOB], "slow": slow}
    monkeypatch.setattr(upkeep_module, "handlers", lambda _: dict(every))
    async with database.write() as work:
        for number in range(upkeep_module.WORKERS):
            await ask(work, "slow", str(number))

    async def is_sealed() -> bool:
        async with database.read() as work:
            return await work.session.scalar(select(UnsealedEntry).limit(1)) is None

    async with upkeep(opened):
        for _ in range(upkeep_module.WORKERS):
            await running.acquire()
        async with database.write() as work:
            fact = Fact(uuid4(), JournalAction.READ_RECORD, "holder")
            await write(world.a_patient(), work, [fact])
        await until(is_sealed)
        finish.set()
