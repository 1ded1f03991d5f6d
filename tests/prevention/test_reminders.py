"""Reminders go out at the right moments, once, in one message, and never of what was done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import world
from sqlalchemy import func, select, update

from carnet.calendar.rules import Kind
from carnet.calendar.tree import BrokenSchedule
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Patient
from carnet.prevention import appointments, books, reminders, statements
from carnet.prevention.appointments import AppointmentDraft
from carnet.prevention.tables import (
    Choice,
    Moment,
    PreventionChange,
    PreventionLook,
    PreventionReminder,
)
from carnet.records.actions import DoseDraft, report_dose
from carnet.records.tables import Record
from carnet.store.database import Database
from carnet.values import Coding, PartialDate

K = NotificationKind


def born(database: Database, years: int, days: int = 0) -> str:
    """Return the birth date of one who turns so many years old in so many days."""
    on = database.clock.now().date() + timedelta(days=days)
    return on.replace(year=on.year - years).isoformat()


async def told(database: Database, kind: NotificationKind) -> list[UUID | None]:
    async with database.read() as work:
        statement = select(Notification.person_id).where(Notification.kind == kind)
        return list(await work.session.scalars(statement))


async def keys(database: Database) -> set[tuple[str, Moment]]:
    async with database.read() as work:
        statement = select(PreventionReminder.item_key, PreventionReminder.moment)
        return {(key, moment) for key, moment in await work.session.execute(statement)}


async def test_one_message_for_all_that_is_due_and_no_second(database: Database) -> None:
    holder = await world.holder(database, born=born(database, 66))
    await reminders.run(database, {})
    assert await told(database, K.PREVENTION_DUE) == [holder.person_id]
    found = await keys(database)
    assert {("VAC_ZONA", Moment.OPENS), ("VAC_PNEUMO_65", Moment.OPENS)} <= found
    assert ("VAC_ZONA", Moment.BEFORE_OVERDUE) in found
    assert not any(key.startswith("BILAN_70_75") for key, _ in found)
    async with database.write() as work:
        await work.session.execute(update(Record).values(calendar_due_at=work.now))
    await reminders.run(database, {})
    assert await told(database, K.PREVENTION_DUE) == [holder.person_id]


async def test_the_day_it_opens_and_two_weeks_before_it_is_late(database: Database) -> None:
    holder = await world.holder(database, born=born(database, 65, days=3))
    await reminders.run(database, {})
    assert ("VAC_ZONA", Moment.OPENS) not in await keys(database)
    before = len(await told(database, K.PREVENTION_DUE))
    async with database.read() as work:
        due_at = await work.session.scalar(select(Record.calendar_due_at))
    assert due_at is not None
    assert due_at.date() == database.clock.now().date() + timedelta(days=3)
    database.clock.offset += timedelta(days=4)
    await reminders.run(database, {})
    assert ("VAC_ZONA", Moment.OPENS) in await keys(database)
    assert len(await told(database, K.PREVENTION_DUE)) == before + 1
    async with database.write() as work:
        draft = DoseDraft(
            vaccine_label="Shingrix",
            codings=(Coding("http://hl7.org/fhir/sid/cvx", "187"),),
            given_on=PartialDate.of(work.now.date()),
        )
        await report_dose(holder, work, await world.record_of(database, holder), draft)
    database.clock.offset += timedelta(days=360)
    await reminders.run(database, {})
    async with database.read() as work:
        statement = select(PreventionReminder.moment, PreventionReminder.due_on).where(
            PreventionReminder.item_key == "VAC_ZONA"
        )
        zona = [(moment, due_on) for moment, due_on in await work.session.execute(statement)]
    first = [moment for moment, due_on in zona if due_on == min(on for _, on in zona)]
    assert first == [Moment.OPENS]  # the first dose was done before it was late


async def test_silence_is_kept(database: Database) -> None:
    holder = await world.holder(database, born=born(database, 66))
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        kinds = [kind for kind in Kind if kind is not Kind.VACCINATION]
        await statements.refuse_messages(holder, work, record_id, kinds)
        for key in ("VAC_ZONA", "VAC_PNEUMO_65"):
            await statements.decide(holder, work, record_id, key, Choice.REFUSED)
        draft = AppointmentDraft(
            title="Rappel",
            starts_on=work.now.date() + timedelta(days=9),
            item_key="VAC_DTP_65",
            remind_minutes=60,
        )
        await appointments.add(holder, work, record_id, draft)
    await reminders.run(database, {})
    remaining = {key.split("/")[0] for key, _ in await keys(database)}
    assert remaining <= {"VAC_FLU", "VAC_COVID_AUTUMN", "VAC_RSV_SENIOR"}
    assert await told(database, K.APPOINTMENT_SOON) == []
    database.clock.offset += timedelta(days=8, hours=22)
    await reminders.run(database, {})
    await reminders.run(database, {})
    assert len(await told(database, K.APPOINTMENT_SOON)) <= 1
    database.clock.offset += timedelta(days=2)
    await reminders.run(database, {})
    async with database.read() as work:
        waiting = select(func.count()).select_from(Record).where(Record.calendar_due_at.is_(None))
        assert await work.session.scalar(waiting) == 0


async def test_parents_are_told_of_their_child(database: Database) -> None:
    child = await world.holder(database, born=born(database, 7))
    mother = await world.holder(database, born=born(database, 30))
    await world.parent(database, child, mother)
    await reminders.run(database, {})
    async with database.read() as work:
        record_id = await world.record_of(database, child)
        statement = select(Notification.person_id).where(
            Notification.kind == K.PREVENTION_DUE, Notification.record_id == record_id
        )
        people = set(await work.session.scalars(statement))
    assert people == {child.person_id, mother.person_id}


def edited(old: str, new: str) -> dict[str, str]:
    files = books.shipped_files()
    assert old in files["vaccines-adults.yaml"]
    return files | {"vaccines-adults.yaml": files["vaccines-adults.yaml"].replace(old, new, 1)}


async def test_a_new_schedule_tells_everybody_what_changed_for_them(database: Database) -> None:
    concerned = await world.holder(database, born=born(database, 55))
    child = await world.holder(database, born=born(database, 70))
    await reminders.run(database, {})
    files = edited("min: 65 years, due: 65 years, late: 66 years", "min: 60 years, due: 60 years, late: 66 years")  # fmt: skip
    async with database.write() as work:
        digest, _, is_new = await books.load(work, files)
        assert is_new
    async with database.write() as work:
        assert (await books.load(work, files))[2] is False
    database.clock.offset += timedelta(minutes=1)
    await reminders.run(database, {})
    assert set(await told(database, K.PREVENTION_CHANGED)) == {
        concerned.person_id,
        child.person_id,
    }
    async with database.read() as work:
        rows = list(await work.session.scalars(select(PreventionChange)))
        assert {row.item_key for row in rows} == {"VAC_PNEUMO_65"}
        mine = await world.record_of(database, concerned)
        (change,) = [row for row in rows if row.record_id == mine]
        assert change.was is not None and change.is_now is not None
        assert int(change.is_now["due"][:4]) == int(change.was["due"][:4]) - 5
        assert set(await work.session.scalars(select(PreventionLook.digest))) == {digest}


async def test_a_broken_schedule_changes_nothing(database: Database) -> None:
    async with database.read() as work:
        before, _ = await books.in_force(work)
    with pytest.raises(BrokenSchedule, match=r"vaccines-adults\.yaml:\d+: min: 'soon' is no age"):
        async with database.write() as work:
            await books.load(work, edited("min: 65 years", "min: soon"))
    async with database.read() as work:
        assert (await books.in_force(work))[0] == before


async def test_a_recomputation_is_resumed_where_it_was_interrupted(database: Database) -> None:
    people = [await world.holder(database, born=born(database, 20 + n)) for n in range(7)]
    async with database.write() as work:
        assert await reminders.look(work, 3) == 3
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            assert await reminders.look(work, 3) == 3
            raise RuntimeError
    async with database.read() as work:
        assert await work.session.scalar(select(func.count(PreventionLook.record_id))) == 3
    await reminders.run(database, {})
    async with database.read() as work:
        assert await work.session.scalar(select(func.count(PreventionLook.record_id))) == len(
            people
        )


async def test_histories_that_cannot_be_are_no_obstacle(database: Database) -> None:
    holder = await world.holder(database, born=born(database, 66))
    nobody = await world.holder(database, born="1960")
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        for given_on in (None, "1900", "1900-01-01", "2020-05"):
            draft = DoseDraft(
                vaccine_label="Shingrix",
                codings=(Coding("http://hl7.org/fhir/sid/cvx", "187"),),
                given_on=PartialDate(given_on) if given_on else None,
            )
            await report_dose(holder, work, record_id, draft)
    await reminders.run(database, {})
    assert await told(database, K.PREVENTION_DUE) == [holder.person_id]
    assert isinstance(nobody, Patient)


def test_the_shipped_schedule_is_what_is_in_the_package() -> None:
    assert set(books.shipped_files()) == {
        path.name for path in (Path(books.SHIPPED) / "fr").glob("*.yaml")
    }
