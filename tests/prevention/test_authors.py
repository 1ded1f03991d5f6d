"""Who said what in a calendar, and who may take it back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import world

from carnet.errors import AccessDenied
from carnet.people.actor import Patient, Professional
from carnet.prevention.appointments import AppointmentDraft, add, cancel, change
from carnet.prevention.importing import import_ics
from carnet.prevention.statements import remove_fact, state_fact, state_pregnancy
from carnet.prevention.tables import Appointment, PregnancyEpisode, PreventionFact
from carnet.records.tables import StatedBy
from carnet.store.database import Database

BEGAN = date(2024, 1, 1)
ENDED = date(2024, 9, 20)
DRAFT = AppointmentDraft("Contrôle", starts_at=datetime(2100, 1, 1, tzinfo=UTC))
MOVED = AppointmentDraft("Autre", starts_at=datetime(2100, 1, 2, tzinfo=UTC))


@pytest.fixture
async def holder(database: Database) -> Patient:
    return await world.holder(database)


@pytest.fixture
async def record_id(database: Database, holder: Patient) -> UUID:
    return await world.record_of(database, holder)


@pytest.fixture
async def doctor(database: Database, holder: Patient) -> Professional:
    found = await world.professional(database)
    await world.care_team(database, holder, found)
    return found


async def set_by(database: Database, actor: Patient | Professional, record_id: UUID) -> UUID:
    async with database.write() as work:
        return await add(actor, work, record_id, DRAFT)


async def titles(database: Database, id_: UUID) -> tuple[str, bool]:
    async with database.read() as work:
        row = await work.session.get_one(Appointment, id_)
        return row.title, row.cancelled_at is not None


async def test_a_professional_moves_no_appointment_of_somebody_else(
    database: Database, holder: Patient, doctor: Professional, record_id: UUID
) -> None:
    other = await world.professional(database)
    await world.care_team(database, holder, other)
    ids = [await set_by(database, actor, record_id) for actor in (holder, other)]
    for id_ in ids:
        for refused in (
            lambda work, id_=id_: cancel(doctor, work, id_),
            lambda work, id_=id_: change(doctor, work, id_, MOVED, 0),
        ):
            with pytest.raises(AccessDenied) as error:
                async with database.write() as work:
                    await refused(work)
            assert error.value.rule == "records.only-author-changes"
        assert await titles(database, id_) == ("Contrôle", False)


async def test_the_holder_moves_any_and_a_professional_their_own(
    database: Database, holder: Patient, doctor: Professional, record_id: UUID
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, holder, caregiver)
    id_ = await set_by(database, doctor, record_id)
    for sequence, actor in enumerate((holder, caregiver, doctor)):
        async with database.write() as work:
            await change(actor, work, id_, MOVED, sequence)
    async with database.write() as work:
        await cancel(doctor, work, id_)
    assert await titles(database, id_) == ("Autre", True)


async def test_a_file_of_a_professional_changes_no_appointment_of_the_holders(
    database: Database, holder: Patient, doctor: Professional, record_id: UUID
) -> None:
    def file(title: str) -> str:
        start = database.clock.now() + timedelta(days=9)
        return (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//FR\r\nBEGIN:VEVENT\r\nUID:a@x\r\n"
            f"DTSTART:{start:%Y%m%dT%H%M%SZ}\r\nSUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )

    async with database.write() as work:
        assert (
            await import_ics(holder, work, record_id, file("Mien"), "Europe/Paris")
        ).created == 1
    async with database.write() as work:
        outcome = await import_ics(doctor, work, record_id, file("Pris"), "Europe/Paris")
    assert (outcome.created, outcome.changed, outcome.unchanged) == (0, 0, 1)
    async with database.write() as work:
        assert (
            await import_ics(holder, work, record_id, file("Autre"), "Europe/Paris")
        ).changed == 1


async def test_a_fact_is_stated_by_whoever_gave_it_its_end(
    database: Database, holder: Patient, doctor: Professional, record_id: UUID
) -> None:
    async def state(actor: Patient | Professional, until: date | None) -> tuple[UUID, StatedBy]:
        async with database.write() as work:
            id_ = await state_fact(actor, work, record_id, "CHRONIC_RESPIRATORY", BEGAN, until)
        async with database.read() as work:
            row = await work.session.get_one(PreventionFact, id_)
            assert (row.until, row.stated_by_id) == (until, actor.account_id) or until is None
            return id_, row.stated_by

    id_, by = await state(holder, None)
    assert by is StatedBy.HOLDER
    assert await state(doctor, None) == (id_, StatedBy.HOLDER), "nothing was changed"
    assert await state(doctor, ENDED) == (id_, StatedBy.PROFESSIONAL)
    with pytest.raises(AccessDenied):
        async with database.write() as work:
            await remove_fact(holder, work, id_)
    assert await state(holder, None) == (id_, StatedBy.HOLDER)
    async with database.write() as work:
        await remove_fact(holder, work, id_)


async def test_a_pregnancy_is_stated_by_whoever_said_how_it_ended(
    database: Database, holder: Patient, doctor: Professional, record_id: UUID
) -> None:
    async def state(actor: Patient | Professional, ended_on: date | None) -> StatedBy:
        async with database.write() as work:
            id_ = await state_pregnancy(
                actor, work, record_id, BEGAN, ended_on, is_delivered=ended_on is not None
            )
        async with database.read() as work:
            return (await work.session.get_one(PregnancyEpisode, id_)).stated_by

    assert await state(holder, None) is StatedBy.HOLDER
    assert await state(doctor, None) is StatedBy.HOLDER
    assert await state(doctor, ENDED) is StatedBy.PROFESSIONAL
