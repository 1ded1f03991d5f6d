"""What is in an archive, what is not, and how it is made."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import exporting
import pytest
import world
from sqlalchemy import URL, func, select, update

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.clock import MovableClock
from carnet.documents.tables import Document, DocumentCategory, DocumentContent
from carnet.errors import NotFound, QuotaExceeded, Unauthenticated
from carnet.exports import actions, deletion, jobs, queries
from carnet.exports.rules import ARCHIVE_LIFE, GIVE_UP_AFTER
from carnet.exports.tables import Export, ExportState
from carnet.notifications.tables import Notification
from carnet.people.actor import Anonymous, Assurance, Operator, Patient
from carnet.people.tables import Account
from carnet.records.actions import DoseDraft, add_entry, declare_nothing, report_dose
from carnet.records.sections import EntryDraft
from carnet.records.tables import ProfileEntry, Record, RecordState, Section
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.objects import prefix_of
from carnet.store.sweeping import Sweeper
from carnet.store.tables import Blob, BlobState, Job
from carnet.values import PartialDate
from carnet_crypto.encoding import from_base64url

MARCH = datetime(2024, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
async def holder(database: Database) -> Patient:
    return await world.holder(database)


@pytest.fixture
async def record_id(database: Database, holder: Patient) -> UUID:
    return await world.record_of(database, holder)


async def test_everything_of_a_record_is_in_its_archive(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    first = await exporting.deposit(
        database, blobs, holder, record_id, "Bilan", b"one", started_at=MARCH
    )
    second = await exporting.deposit(
        database, blobs, holder, record_id, "Bilan", b"two", started_at=MARCH, replaces=first
    )
    plan = await exporting.deposit(
        database,
        blobs,
        holder,
        record_id,
        "../../Projet: «été»/2024?.pdf",
        b"%PDF",
        media_type="application/pdf",
        category=DocumentCategory.CARE_PLAN,
        started_at=MARCH + timedelta(days=1),
    )
    async with database.write() as work:
        note = EntryDraft(Section.CONDITIONS, "Asthme", started_on=PartialDate("1999"))
        await add_entry(holder, work, record_id, note)
        await report_dose(holder, work, record_id, DoseDraft("Rappel dTP"))
        await declare_nothing(holder, work, record_id, Section.ALLERGIES)
    zipped = await exporting.exported(database, blobs, holder, record_id)
    two = f"documents/2024-03-01 Bilan ({second.hex[-12:]}).txt"
    pdf = f"documents/2024-03-02 Projet «été» 2024 ({plan.hex[-12:]}).pdf"
    assert zipped.namelist() == [
        "README.txt",
        "summary.json",
        "profile.json",
        two,
        pdf,
        "documents/index.json",
        "journal.json",
    ]
    assert (zipped.read(two), zipped.read(pdf)) == (b"two", b"%PDF")
    assert "Résumé international" in zipped.read("README.txt").decode()
    index = exporting.read(zipped, "documents/index.json")
    assert [(row["id"], row["version"], row["status"]) for row in index] == [
        (str(first), 1, "SUPERSEDED"),
        (str(second), 2, "CURRENT"),
        (str(plan), 1, "CURRENT"),
    ]
    assert [row["contents"][0]["file"] for row in index] == [None, two, pdf]
    digest = hashlib.sha256(b"two").hexdigest()
    assert index[1]["contents"][0]["sha256"] == digest
    profile = exporting.read(zipped, "profile.json")
    assert [row["label"] for row in profile["sections"]["CONDITIONS"]] == ["Asthme"]
    (dose,) = profile["sections"]["IMMUNIZATIONS"]
    assert (dose["vaccineLabel"], len(dose["sources"])) == ("Rappel dTP", 1)
    assert [row["section"] for row in profile["nothingToDeclare"]] == ["ALLERGIES"]
    assert set(profile["sections"]) == {section.value for section in Section}
    summary = exporting.read(zipped, "summary.json")
    (reference,) = (
        item["resource"]
        for item in summary["entry"]
        if item["resource"]["resourceType"] == "DocumentReference"
    )
    url = reference["content"][0]["attachment"]["url"]
    assert url.startswith("documents/2024-03-02%20Projet")
    journal = exporting.read(zipped, "journal.json")
    leaves = [json.loads(from_base64url(entry["leaf"])) for entry in journal["entries"]]
    assert {leaf["action"] for leaf in leaves} >= {"DEPOSIT_DOCUMENT", "ADD_ENTRY", "EXPORT"}


async def test_an_empty_record_makes_an_archive(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID, tmp_path: Path
) -> None:
    export_id = await exporting.ask(database, holder, record_id)
    assert await exporting.work_off(database, blobs) == 1
    zipped = await exporting.archive_of(database, blobs, export_id)
    assert exporting.read(zipped, "documents/index.json") == []
    assert len(exporting.read(zipped, "journal.json")["entries"]) == 1  # the request itself
    export = await exporting.export_of(database, export_id)
    assert (export.state, export.steps_done, export.steps_total) == (ExportState.READY, 4, 4)
    async with database.read() as work:
        told = list(await work.session.scalars(select(Notification)))
        blob = await work.session.get_one(Blob, export.blob_id)
    assert [(row.kind, row.person_id, row.subject_id) for row in told] == [
        ("EXPORT_READY", holder.person_id, export_id)
    ]
    assert await exporting.events(database, record_id) == [
        ("PATIENT", "exports.holder", {"event": "requested"}),
        ("PATIENT", "exports.holder", {"event": "built"}),
    ]
    assert blob.claimed_at is not None
    sealed = [path.read_bytes() for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert sealed and not any(b"README.txt" in data for data in sealed)


async def test_many_documents_with_one_title_keep_apart_in_order(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    blob = await blobs.receive(
        database, f"account:{holder.account_id}", exporting.once(b"x"), media_type="image/png",
        limit_bytes=10,
    )  # fmt: skip
    one = await exporting.deposit(database, blobs, holder, record_id, "Ordonnance", b"0")
    async with database.write() as work:
        await blobs.claim(work, f"account:{holder.account_id}", blob.id)
        row = await work.session.get_one(Document, one)
        content = await work.session.scalar(select(DocumentContent))
        assert content is not None
        columns = {c.name: getattr(row, c.name) for c in Document.__table__.columns}
        for number in range(250):
            id_ = uuid4()
            copy = columns | {"id": id_, "lineage_id": id_, "unique_id": str(number)}
            work.session.add(Document(**copy))
            await work.session.flush()
            work.session.add(
                DocumentContent(
                    id=uuid4(),
                    document_id=id_,
                    part=0,
                    role=content.role,
                    blob_id=content.blob_id,
                    media_type="text/plain",
                    file_name="x",
                )
            )
        work.session.add(
            DocumentContent(
                id=uuid4(),
                document_id=one,
                part=1,
                role="EMBEDDED",
                blob_id=blob.id,
                media_type="image/png",
                file_name="y",
            )
        )
    zipped = await exporting.exported(database, blobs, holder, record_id)
    names = [name for name in zipped.namelist() if name.endswith((".txt", ".png"))][1:]
    assert len(set(names)) == 252
    assert f"({one.hex[-12:]}-1).png" in "".join(names)
    again = await exporting.exported(database, blobs, holder, record_id)
    assert again.namelist() == zipped.namelist()
    assert len(exporting.read(zipped, "documents/index.json")) == 251


async def test_a_hidden_document_and_its_facts_are_absent(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    secret = await exporting.deposit(
        database, blobs, holder, record_id, "SECRET", b"SECRET", category=DocumentCategory.CARE_PLAN
    )
    shown = await exporting.deposit(database, blobs, holder, record_id, "shown", b"shown")
    async with database.write() as work:
        await add_entry(holder, work, record_id, EntryDraft(Section.CONDITIONS, "SECRET"))
        until = {"hidden_from_holder_until": work.now + timedelta(days=30)}
        await work.session.execute(update(Document).where(Document.id == secret).values(until))
        await work.session.execute(update(ProfileEntry).values(until))
        for ids in ((secret,), (secret, shown)):
            kind = ObjectKind.DOCUMENT
            fact = Fact(record_id, JournalAction.READ_DOCUMENT, "test", kind, ids)
            await write(holder, work, [fact])
    zipped = await exporting.exported(database, blobs, holder, record_id)
    for name in zipped.namelist():
        assert "SECRET" not in name
        assert b"SECRET" not in zipped.read(name)
        assert str(secret).encode() not in zipped.read(name)
    entries = exporting.read(zipped, "journal.json")["entries"]
    leaves = [from_base64url(entry["leaf"]) for entry in entries if "leaf" in entry]
    told = [json.loads(leaf)["objectIds"] for leaf in leaves]
    assert [str(shown)] in told
    assert not any(str(secret) in ids for ids in told)


async def test_a_damaged_content_is_listed_and_the_others_are_there(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    bad = await exporting.deposit(database, blobs, holder, record_id, "a", os.urandom(9 * 2**20))
    gone = await exporting.deposit(database, blobs, holder, record_id, "b", b"b")
    good = await exporting.deposit(database, blobs, holder, record_id, "c", b"c")
    folder = blobs.objects.folder
    assert folder is not None
    async with database.read() as work:
        rows = {row.document_id: row for row in await work.session.scalars(select(DocumentContent))}
    last = sorted((folder / prefix_of(rows[bad].blob_id)).iterdir())[-1]
    data = bytearray(last.read_bytes())
    data[-100] ^= 1
    last.write_bytes(data)
    shutil.rmtree(folder / prefix_of(rows[gone].blob_id))
    zipped = await exporting.exported(database, blobs, holder, record_id)
    index = {
        row["id"]: row["contents"][0] for row in exporting.read(zipped, "documents/index.json")
    }
    unreadable = {key: (row["file"], row["isUnreadable"]) for key, row in index.items()}
    assert unreadable[str(bad)] == unreadable[str(gone)] == (None, True)
    assert zipped.read(index[str(good)]["file"]) == b"c"
    assert len(zipped.namelist()) == 6


async def test_asking_again_returns_the_one_under_way(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    first = await exporting.ask(database, holder, record_id)
    assert await exporting.ask(database, holder, record_id) == first
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Job)) == 1
    assert len(await exporting.events(database, record_id)) == 1
    await exporting.work_off(database, blobs)
    assert await exporting.ask(database, holder, record_id) != first


async def test_asking_many_times_at_once_makes_one(
    database: Database, holder: Patient, record_id: UUID
) -> None:
    asked = (exporting.ask(database, holder, record_id) for _ in range(8))
    assert len(set(await asyncio.gather(*asked))) == 1
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Export)) == 1
    assert len(await exporting.events(database, record_id)) == 1


async def test_archives_that_wait_are_few(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    for _ in range(3):
        await exporting.exported(database, blobs, holder, record_id)
    with pytest.raises(QuotaExceeded):
        await exporting.ask(database, holder, record_id)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Export)) == 3


async def test_others_get_no_export(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    stranger = await world.holder(database)
    operator = Operator(uuid4(), Assurance.SANDBOX)
    publisher = await world.publisher(database)
    for actor in (stranger, operator, publisher):
        with pytest.raises(NotFound):
            await exporting.ask(database, actor, record_id)
    with pytest.raises(Unauthenticated):
        await exporting.ask(database, Anonymous(), record_id)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Export)) == 0
        assert await work.session.scalar(select(func.count()).select_from(Job)) == 0
    assert await exporting.events(database, record_id) == []


async def test_another_persons_export_does_not_exist(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    export_id = await exporting.ask(database, holder, record_id)
    await exporting.work_off(database, blobs)
    stranger = await world.holder(database)
    async with database.read() as work:
        assert await queries.by_ids(stranger, work, [export_id]) == {}
        assert await queries.sizes(stranger, work, [export_id]) == {}
        assert set(await queries.by_ids(holder, work, [export_id])) == {export_id}
    for missing in (export_id, uuid4()):
        async with database.write() as work:
            with pytest.raises(NotFound):
                await actions.find_archive(stranger, work, missing)


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


async def test_an_archive_expires_with_its_bytes(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID, clock: MovableClock
) -> None:
    export_id = await exporting.ask(database, holder, record_id)
    await exporting.work_off(database, blobs)
    clock.offset = ARCHIVE_LIFE - timedelta(hours=1)
    assert await exporting.work_off(database, blobs) == 0
    async with database.read() as work:
        assert await queries.archive(holder, work, export_id)
    clock.offset = ARCHIVE_LIFE + timedelta(seconds=5)
    async with database.read() as work:
        with pytest.raises(NotFound):  # at once, even when the queue is late
            await queries.archive(holder, work, export_id)
    assert await exporting.work_off(database, blobs) == 1
    assert await exporting.work_off(database, blobs) == 0
    export = await exporting.export_of(database, export_id)
    assert (export.state, export.blob_id) == (ExportState.EXPIRED, None)
    await Sweeper(blobs).sweep(database, orphan_age=timedelta(0))
    folder = blobs.objects.folder
    assert folder is not None
    assert not [path for path in folder.rglob("*") if path.is_file()]
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Blob)) == 0
    assert (await exporting.events(database, record_id))[-1] == (
        "SYSTEM",
        "exports.system",
        {"event": "expired"},
    )


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


async def test_a_record_is_deleted_with_its_archives(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    await exporting.exported(database, blobs, holder, record_id)
    async with database.write() as work:
        await deletion.erase(work, [record_id])
    swept = await Sweeper(blobs).sweep(database, orphan_age=timedelta(0))
    assert swept.expired_blobs == 1
    assert await exporting.work_off(database, blobs) == 0


async def test_a_parent_takes_the_whole_record_of_a_child(
    database: Database, blobs: BlobStore
) -> None:
    child = await world.holder(database, born="2020-01-01", ins=world.national_number())
    parent = await world.holder(database)
    await world.parent(database, child, parent)
    record_id = await world.record_of(database, child)
    zipped = await exporting.exported(database, blobs, parent, record_id)
    summary = exporting.read(zipped, "summary.json")
    (patient,) = (
        item["resource"]
        for item in summary["entry"]
        if item["resource"]["resourceType"] == "Patient"
    )
    assert patient["birthDate"] == "2020-01-01"
    assert len(patient["identifier"]) == 1
