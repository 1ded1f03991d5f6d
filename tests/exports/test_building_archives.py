"""How an archive is made: by one process at a time, in flat memory, or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import exporting
import pytest
from sqlalchemy import URL, func, select, update

from carnet.clock import MovableClock
from carnet.exports import jobs
from carnet.exports.rules import GIVE_UP_AFTER
from carnet.exports.tables import ExportState
from carnet.notifications.tables import Notification
from carnet.people.actor import Patient
from carnet.people.tables import Account
from carnet.records.tables import Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.sweeping import Sweeper
from carnet.store.tables import Blob, BlobState, Job

HALT = 4711  # the advisory lock that a build waits for


class Halt:
    """Lets builds wait, in the database, before they have done so many steps."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def at(self, steps: int) -> None:
        await self._connection.execute(
            f"""
            CREATE OR REPLACE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock_shared({HALT}); RETURN new; END $$;
            CREATE TRIGGER halt BEFORE UPDATE ON exports FOR EACH ROW
            WHEN (new.steps_done = {steps} AND old.steps_done < {steps}) EXECUTE FUNCTION halt();
            SELECT pg_advisory_lock({HALT});
            """
        )

    async def reached(self) -> None:
        waiting = f"""
            SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND objid = {HALT} AND NOT granted
            """
        async with asyncio.timeout(60):
            while not await self._connection.fetchval(waiting):  # noqa: ASYNC110 — another's
                await asyncio.sleep(0.01)

    async def over(self) -> None:
        await self._connection.execute(f"SELECT pg_advisory_unlock({HALT})")


@pytest.fixture
async def halt(owner_url: URL) -> AsyncIterator[Halt]:
    url = owner_url
    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database=url.database
    )
    yield Halt(connection)
    await connection.close()


async def lose(database: Database, holder: Patient, record_id: UUID, lost: str) -> str:
    """Take the account or the record away, and return the code of what is refused then."""
    async with database.write() as work:
        if lost == "account":
            ids = Account.id == holder.account_id
            await work.session.execute(update(Account).where(ids).values(disabled_at=work.now))
            return "UNAUTHENTICATED"
        closed = {"state": RecordState.SUSPENDED}
        await work.session.execute(update(Record).where(Record.id == record_id).values(closed))
        return "NOT_FOUND"


async def assert_failed(database: Database, record_id: UUID, export_id: UUID, code: str) -> None:
    export = await exporting.export_of(database, export_id)
    assert (export.state, export.error_code, export.blob_id) == (ExportState.FAILED, code, None)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Notification)) == 0
        assert await work.session.scalar(select(func.count()).select_from(Job)) == 0
        archives = select(func.count()).where(Blob.owner.startswith("export:"))
        assert await work.session.scalar(archives) == 0
    last = (await exporting.events(database, record_id))[-1]
    assert last == ("SYSTEM", "exports.system", {"event": "failed", "code": code})


@pytest.mark.parametrize("lost", ["account", "record"])
async def test_rights_lost_before_it_runs_fail_it(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID, lost: str
) -> None:
    export_id = await exporting.ask(database, holder, record_id)
    code = await lose(database, holder, record_id, lost)
    assert await exporting.work_off(database, blobs) == 1
    await assert_failed(database, record_id, export_id, code)


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("lost", ["account", "record"])
async def test_rights_lost_in_the_middle_leave_nothing(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    halt: Halt,
    lost: str,
    steps: int,
) -> None:
    await exporting.deposit(database, blobs, holder, record_id, "a", b"a")
    export_id = await exporting.ask(database, holder, record_id)
    await halt.at(steps)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(exporting.work_off(database, blobs))
        await halt.reached()
        code = await lose(database, holder, record_id, lost)
        await halt.over()
    await assert_failed(database, record_id, export_id, code)
    folder = blobs.objects.folder
    assert folder is not None
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1  # the document's


WORKER = """
import asyncio, re, sys
from pathlib import Path
from carnet.exports.jobs import handlers
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.jobs import Worker
from carnet.store.keys import FileKeyProvider

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

async def main(url, folder):
    database = Database.connect(url)
    blobs = BlobStore.open(None, folder, FileKeyProvider.open(None, folder, may_create=True))
    before = peak()
    done = await Worker(database, handlers(blobs, bytes(32))).run_due()
    print(done, before, peak())
    await database.close()

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


def worker(owner_url: URL, folder: Path) -> subprocess.Popen[str]:
    """Start a process that does what is due."""
    url = owner_url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", WORKER, url, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_a_build_that_was_killed_is_taken_over_from_the_beginning(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    halt: Halt,
    owner_url: URL,
    tmp_path: Path,
    clock: MovableClock,
) -> None:
    for number in range(3):
        await exporting.deposit(
            database, blobs, holder, record_id, f"{number}", os.urandom(9 * 2**20)
        )
    export_id = await exporting.ask(database, holder, record_id)
    await halt.at(5)
    with worker(owner_url, tmp_path) as process:
        await halt.reached()
        process.kill()
    await halt.over()
    export = await exporting.export_of(database, export_id)
    assert (export.state, export.steps_done, export.steps_total) == (ExportState.RUNNING, 4, 7)
    assert await exporting.work_off(database, blobs) == 0  # its lease runs
    await exporting.end_leases(database)
    assert await exporting.work_off(database, blobs) == 1
    zipped = await exporting.archive_of(database, blobs, export_id)
    assert len(zipped.namelist()) == 8
    async with database.read() as work:
        archives = select(Blob.state).where(Blob.owner.startswith("export:")).order_by(Blob.state)
        assert list(await work.session.scalars(archives)) == [BlobState.PENDING, BlobState.READY]
    clock.offset = timedelta(minutes=20)
    swept = await Sweeper(blobs).sweep(database, orphan_age=timedelta(0))
    assert swept.expired_blobs == 1
    folder = blobs.objects.folder
    assert folder is not None
    prefixes = {path.parent for path in folder.rglob("*") if path.is_file()}
    assert len(prefixes) == 3 + 1
    assert (await exporting.archive_of(database, blobs, export_id)).testzip() is None


async def test_two_processes_build_one_archive(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID, halt: Halt
) -> None:
    """The first was thought dead; it finds the archive made, and leaves nothing."""
    export_id = await exporting.ask(database, holder, record_id)
    await halt.at(4)
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(exporting.work_off(database, blobs))
        await halt.reached()
        await exporting.end_leases(database)
        fast = tasks.create_task(exporting.work_off(database, blobs))
        await halt.over()
    assert slow.result() + fast.result() >= 2
    export = await exporting.export_of(database, export_id)
    assert export.state is ExportState.READY
    clock_events = [event[2]["event"] for event in await exporting.events(database, record_id)]
    assert clock_events == ["requested", "built"]
    async with database.read() as work:
        claimed = select(Blob.id).where(Blob.claimed_at.is_not(None))
        assert list(await work.session.scalars(claimed)) == [export.blob_id]
        assert await work.session.scalar(select(func.count()).select_from(Notification)) == 1


async def test_a_big_record_takes_flat_memory(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    owner_url: URL,
    tmp_path: Path,
) -> None:
    async def random(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 2**20):
            yield os.urandom(2**20)

    peaks = []
    for size in (2**20, 100 * 2**20, 99 * 2**20):
        title = f"{size}"
        await exporting.deposit(
            database, blobs, holder, record_id, title, random(size), media_type="application/pdf"
        )
        if size == 100 * 2**20:
            continue
        export_id = await exporting.ask(database, holder, record_id)
        with worker(owner_url, tmp_path) as process:
            said, _ = process.communicate(timeout=120)
        done, _, peak = map(int, said.split())
        assert done == 1
        peaks.append(peak)
    small, large = peaks
    assert large - small < 64 * 1024  # kB, for 200 MiB
    export = await exporting.export_of(database, export_id)
    async with database.read() as work:
        blob = await work.session.get_one(Blob, export.blob_id)
    path = tmp_path / "archive.zip"
    with path.open("wb") as file:
        async for piece in blobs.read(blob):
            file.write(piece)
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("no unzip here")
    tested = await asyncio.create_subprocess_exec(unzip, "-tq", str(path), stdout=PIPE, stderr=PIPE)
    _, complaints = await tested.communicate()
    assert (tested.returncode, complaints) == (0, b"")


async def test_what_may_pass_is_tried_for_a_day_and_then_given_up(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    clock: MovableClock,
    tmp_path: Path,
) -> None:
    """A key-encryption key that is not here may come back."""
    await exporting.deposit(database, blobs, holder, record_id, "a", b"a")
    export_id = await exporting.ask(database, holder, record_id)
    keyless = BlobStore.open(None, tmp_path, FileKeyProvider([bytes(32)]))
    assert await exporting.work_off(database, keyless) == 1
    export = await exporting.export_of(database, export_id)
    assert export.state is ExportState.RUNNING
    async with database.read() as work:
        (job,) = await work.session.scalars(select(Job))
        assert (job.attempts, job.last_error) == (1, "ContentUnavailable")
    clock.offset = GIVE_UP_AFTER
    assert await exporting.work_off(database, keyless) == 1
    await assert_failed(database, record_id, export_id, "CONTENT_UNAVAILABLE")


async def test_a_record_that_is_too_large_fails_and_leaves_nothing(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await exporting.deposit(
        database, blobs, holder, record_id, "a", os.urandom(20 * 2**20), media_type="image/png"
    )
    export_id = await exporting.ask(database, holder, record_id)
    monkeypatch.setattr(jobs, "ARCHIVE_LIMIT", 10 * 2**20)
    assert await exporting.work_off(database, blobs) == 1
    await assert_failed(database, record_id, export_id, "PAYLOAD_TOO_LARGE")
