"""A deleted record: nothing of it is left, and its contents cannot be read, files or not."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import world
from sqlalchemy import func, select

import carnet.documents.deletion
import carnet.exports.deletion
import carnet.intake.deletion
import carnet.messaging.deletion
import carnet.prevention.deletion
import carnet.records.deletion
from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import (
    AccessSettings,
    Block,
    CareTeamBasis,
    CareTeamMember,
    CareTeamRole,
    Delegation,
    DelegationKind,
)
from carnet.cli.jobs import ERASERS
from carnet.clock import MovableClock
from carnet.documents.tables import Document, DocumentContent, DocumentWithdrawal
from carnet.errors import ContentUnavailable
from carnet.exports.tables import Export, ExportState
from carnet.intake.actions import take_in
from carnet.intake.tables import IntakeItem
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Assurance, Patient
from carnet.people.tables import Account, AccountKind, PersonIdentifier
from carnet.people.tables import Professional as ProfessionalRow
from carnet.records import transitions
from carnet.records.lifecycle import LifeAction
from carnet.records.lifecycle_actions import change
from carnet.records.tables import (
    Immunization,
    NothingToDeclare,
    ProfileEntry,
    Record,
    RecordState,
    Section,
    StatedBy,
)
from carnet.sandbox.bundles import bundles
from carnet.sandbox.personas import HOLDERS
from carnet.store.base import Base
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.migrations import everything  # noqa: F401 — all tables
from carnet.store.objects import path_of
from carnet.store.sweeping import Sweeper
from carnet.store.tables import Blob

AREAS: list[Any] = [
    carnet.records.deletion,
    carnet.documents.deletion,
    carnet.exports.deletion,
    carnet.intake.deletion,
    carnet.prevention.deletion,
]


def test_every_table_of_a_record_is_erased() -> None:
    hanging = {
        table.name
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "records"
    }
    erased = {table.__tablename__ for area in AREAS for table in area.TABLES}
    assert erased == hanging
    assert {area.erase for area in (*AREAS, carnet.messaging.deletion)} == set(ERASERS)


async def fed(database: Database, blobs: BlobStore) -> Patient:
    publisher = await world.publisher(database)
    number = HOLDERS[0].national_number
    for _, body in bundles():
        if number.encode() in body:
            await take_in(publisher, database, blobs, body, "application/fhir+json")
    async with database.write() as work:
        person_id = await work.session.scalar(
            select(PersonIdentifier.person_id).where(PersonIdentifier.value == number)
        )
        account = Account(
            id=work.new_id(), kind=AccountKind.PATIENT, person_id=person_id, created_at=work.now
        )
        work.session.add(account)
        assert person_id is not None
        return Patient(person_id, account.id, Assurance.SANDBOX)


async def fill(database: Database, patient: Patient, record_id: UUID) -> None:
    """Add what no publisher feeds."""
    other = await world.holder(database)
    feeder = await world.publisher(database)
    async with database.write() as work:
        doctor = ProfessionalRow(
            id=work.new_id(),
            rpps="10101234564",
            family_name="BERNARD",
            given_name="Sophie",
            profession_code="10",
            created_at=work.now,
        )
        work.session.add(doctor)
        await work.session.flush()
        work.session.add_all(
            [
                AccessSettings(record_id=record_id, updated_at=work.now),
                CareTeamMember(
                    id=work.new_id(),
                    record_id=record_id,
                    professional_id=doctor.id,
                    role=CareTeamRole.MEMBER,
                    basis=CareTeamBasis.NAMED,
                    informed_at=work.now,
                ),
                Block(
                    id=work.new_id(),
                    record_id=record_id,
                    professional_id=doctor.id,
                    blocked_at=work.now,
                ),
                NothingToDeclare(
                    id=work.new_id(),
                    record_id=record_id,
                    section=Section.DISABILITIES,
                    stated_by=StatedBy.HOLDER,
                    stated_at=work.now,
                ),
                DocumentWithdrawal(
                    id=work.new_id(),
                    record_id=record_id,
                    publisher_id=feeder.publisher_id,
                    unique_id="1.2.3",
                    withdrawn_at=work.now,
                ),
                Export(
                    id=work.new_id(),
                    record_id=record_id,
                    account_id=patient.account_id,
                    state=ExportState.QUEUED,
                    requested_at=work.now,
                ),
                *(
                    Delegation(
                        id=work.new_id(),
                        holder_person_id=patient.person_id,
                        delegate_person_id=delegate_id,
                        kind=kind,
                        scopes=[],
                        invited_at=work.now,
                        accepted_at=work.now,
                    )
                    for kind, delegate_id in [
                        (DelegationKind.CAREGIVER, other.person_id),
                        (DelegationKind.PARENT, (await world.holder(database)).person_id),
                    ]
                ),
            ]
        )
        await notify(
            work,
            NotificationKind.RECORD_OPENED,
            record_id,
            person_id=patient.person_id,
            record_id=record_id,
        )


async def counts(database: Database, record_id: UUID) -> dict[str, int]:
    found = {}
    async with database.read() as work:
        for area in AREAS:
            for table in area.TABLES:
                statement = select(func.count()).where(table.record_id == record_id)
                found[table.__tablename__] = await work.session.scalar(statement) or 0
    return found


async def test_after_the_deletion_nothing_is_left_and_nothing_readable(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    patient = await fed(database, blobs)
    record_id = await world.record_of(database, patient)
    await fill(database, patient, record_id)
    stranger = await world.holder(database)
    before = await counts(database, record_id)
    for table in (
        Document,
        ProfileEntry,
        Immunization,
        IntakeItem,
        Export,
        Block,
        NothingToDeclare,
    ):
        assert before[table.__tablename__] > 0, table
    async with database.read() as work:
        contents = list(
            await work.session.scalars(
                select(Blob)
                .join(DocumentContent, DocumentContent.blob_id == Blob.id)
                .join(Document, Document.id == DocumentContent.document_id)
                .where(Document.record_id == record_id)
            )
        )
    assert contents
    readable = [blob async for blob in blobs.read(contents[0])]
    assert readable
    async with database.write() as work:
        await change(patient, work, record_id, LifeAction.REQUEST_DELETION)
    clock.offset += timedelta(days=29)
    await transitions.run(database, ERASERS)
    assert (await counts(database, record_id))["documents"] == before["documents"]
    clock.offset += timedelta(days=1)
    await transitions.run(database, ERASERS)
    assert set((await counts(database, record_id)).values()) == {0}
    async with database.read() as work:
        row = await work.session.get_one(Record, record_id)
        kinds = await work.session.scalars(
            select(Delegation.kind).where(Delegation.holder_person_id == patient.person_id)
        )
        assert list(kinds) == [DelegationKind.PARENT]
        assert await work.session.scalar(select(func.count()).select_from(DocumentContent)) == 0
        left = await work.session.get_one(Blob, contents[0].id)
        assert left.wrapped_key == b""
        journal = select(func.count()).where(JournalEntry.record_id == record_id)
        assert (await work.session.scalar(journal) or 0) >= 2
    assert (row.state, row.due_at, row.former_state) == (RecordState.DELETED, None, None)
    assert await world.record_of(database, stranger)
    assert len(blobs.objects.get(path_of(contents[0].id, 0), 0, 10)) == 10  # the file is there
    with pytest.raises(ContentUnavailable):
        [chunk async for chunk in blobs.read(left)]
    await Sweeper(blobs).sweep(database)
    async with database.read() as work:
        assert await work.session.get(Blob, contents[0].id) is None


async def test_publishers_do_not_bring_a_deleted_record_back(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    patient = await fed(database, blobs)
    record_id = await world.record_of(database, patient)
    async with database.write() as work:
        await change(patient, work, record_id, LifeAction.REQUEST_DELETION)
    clock.offset += timedelta(days=30)
    await transitions.run(database, ERASERS)
    number = HOLDERS[0].national_number
    publisher = await world.publisher(database)
    for _, body in bundles():
        if number.encode() in body:
            receipt = await take_in(publisher, database, blobs, body, "application/fhir+json")
            assert {item.reason for item in receipt.items} == {"RECORD_CLOSED"}
    async with database.read() as work:
        statement = select(func.count()).where(Record.person_id == patient.person_id)
        assert await work.session.scalar(statement) == 1
    assert set((await counts(database, record_id)).values()) == {0}


async def test_many_deletions_are_done_a_few_at_a_time(
    database: Database, clock: MovableClock
) -> None:
    for _ in range(transitions.DELETIONS + 5):
        patient = await world.holder(database)
        async with database.write() as work:
            record_id = await work.session.scalar(
                select(Record.id).where(Record.person_id == patient.person_id)
            )
            assert record_id is not None
            await change(patient, work, record_id, LifeAction.REQUEST_DELETION)
    clock.offset += timedelta(days=31)
    async with database.write() as work:
        assert await transitions.run_batch(work, ERASERS)
    async with database.read() as work:
        statement = select(func.count()).where(Record.state == RecordState.DELETED)
        assert await work.session.scalar(statement) == transitions.DELETIONS
    await transitions.run(database, ERASERS)
    async with database.read() as work:
        assert await work.session.scalar(statement) == transitions.DELETIONS + 5
