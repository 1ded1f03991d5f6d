"""What professionals are told without asking is not counted as patients whom they reached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import world
from following import DOCUMENTS, INBOX, Served, serving
from sqlalchemy import delete, func, select

from carnet.access import volume_rules
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import Reach
from carnet.notifications.actions import notify
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.records import Record

PATIENTS = 3


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs) as running:
        yield running


async def patients_of(database: Database, doctor: Professional) -> list[UUID]:
    """Return the ids of records whose care team the doctor is part of."""
    holders = [await world.holder(database) for _ in range(PATIENTS)]
    for holder in holders:
        await world.care_team(database, holder, doctor)
    return [await world.record_of(database, holder) for holder in holders]


async def deposited(database: Database, record_id: UUID) -> None:
    """Have a laboratory send something."""
    id_ = await world.document(database, record_id)
    fact = Fact(
        record_id, JournalAction.DEPOSIT_DOCUMENT, "publisher.feeds", ObjectKind.DOCUMENT, (id_,)
    )
    async with database.write() as work:
        await write(None, work, [fact])


async def reached(database: Database, doctor: Professional) -> set[UUID]:
    async with database.read() as work:
        theirs = select(Reach.record_id).where(Reach.account_id == doctor.account_id)
        return set(await work.session.scalars(theirs))


async def alarms(database: Database) -> int:
    async with database.read() as work:
        told = select(func.count()).where(Notification.kind == NotificationKind.VOLUME_ALARM)
        return (await work.session.scalars(told)).one()


async def read_by(database: Database, doctor: Professional) -> int:
    """Return how many reads of documents holders find in their journals."""
    async with database.read() as work:
        entries = select(func.count()).where(
            JournalEntry.actor_id == doctor.professional_id,
            JournalEntry.action == JournalAction.READ_DOCUMENT,
        )
        return (await work.session.scalars(entries)).one()


async def test_an_inbox_that_tells_of_many_patients_slows_nobody_and_alarms_nobody(
    served: Served, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(volume_rules.volumes(), ("10", "*"), 1)
    monkeypatch.setattr("carnet.access.volume_rules.REFUSED_AT", 2)
    doctor = await world.professional(database)
    records = await patients_of(database, doctor)
    async with served.connected(doctor) as client:
        inbox = await client.subscribe(INBOX)
        _, start = await inbox.until_caught_up()
        for record_id in records:
            await deposited(database, record_id)
        told = await inbox.events(PATIENTS)
        assert {event["__typename"] for event in told} == {"DocumentDeposited"}
        again = await client.subscribe(INBOX, after=start)  # or what was told while they were away
        assert (await again.until_caught_up())[0] == told
    assert await reached(database, doctor) == set()
    assert await alarms(database) == 0
    assert await read_by(database, doctor) == 2 * PATIENTS  # holders see it all the same


async def test_who_follows_a_record_reached_it_then_and_not_with_each_event(
    served: Served, database: Database
) -> None:
    doctor = await world.professional(database)
    record_id, *_ = await patients_of(database, doctor)
    async with served.connected(doctor) as client:
        following = await client.subscribe(DOCUMENTS, record=write_id(Record, record_id))
        await following.until_caught_up()
        assert await reached(database, doctor) == {record_id}
        async with database.write() as work:
            await work.session.execute(delete(Reach))
        await deposited(database, record_id)
        assert (await following.event())["__typename"] == "DocumentDeposited"
        assert await reached(database, doctor) == set()


async def test_what_a_selection_reads_on_from_an_event_counts(
    served: Served, database: Database
) -> None:
    doctor = await world.professional(database)
    records = await patients_of(database, doctor)
    query = INBOX.replace("notification { kind }", "notification { kind record { id } }", 1)
    async with served.connected(doctor) as client:
        inbox = await client.subscribe(query)
        await inbox.until_caught_up()
        for record_id in records:
            async with database.write() as work:
                await notify(
                    work,
                    NotificationKind.EMERGENCY_ACCESS,
                    work.new_id(),
                    professional_id=doctor.professional_id,
                    record_id=record_id,
                )
        told = await inbox.events(PATIENTS)
        assert [event["notification"]["record"]["id"] for event in told] == [
            write_id(Record, record_id) for record_id in records
        ]
    assert await reached(database, doctor) == set(records)
