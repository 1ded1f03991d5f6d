"""What is in an archive, what is not, who is given one and how long it is kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import exporting
import pytest
import world
from sqlalchemy import func, select, update

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.clock import MovableClock
from carnet.documents.tables import Document, DocumentCategory, DocumentContent
from carnet.errors import NotFound, QuotaExceeded, Unauthenticated
from carnet.exports import actions, deletion, queries
from carnet.exports.rules import ARCHIVE_LIFE
from carnet.exports.tables import Export, ExportState
from carnet.notifications.tables import Notification
from carnet.people.actor import Anonymous, Assurance, Operator, Patient
from carnet.records.actions import DoseDraft, add_entry, declare_nothing, report_dose
from carnet.records.sections import EntryDraft
from carnet.records.tables import ProfileEntry, Section
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.objects import prefix_of
from carnet.store.sweeping import Sweeper
from carnet.store.tables import Blob, Job
from carnet.values import PartialDate
from carnet_crypto.encoding import from_base64url

MARCH = datetime(2024, 3, 1, 8, tzinfo=UTC)


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
