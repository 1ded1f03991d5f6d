"""The volume alarm on real rows, with a clock that is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import reaching
import world
from sqlalchemy import func, select

from carnet.access import volume
from carnet.access.journal_tables import TechnicalEvent
from carnet.access.tables import Reach
from carnet.access.volume_rules import FREE, Pace
from carnet.clock import MovableClock
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import CONSOLE, Actor, Professional
from carnet.store.database import Database
from carnet.store.jobs import Worker, ensure

PLAUSIBLE = 60  # for a general practitioner
MOST = 300


async def reach(
    database: Database, actor: Actor, ids: Sequence[UUID], *, is_emergency: bool = False
) -> Pace:
    async with database.write() as work:
        return await volume.reached(actor, work, ids, is_emergency=is_emergency)


async def reaches(database: Database) -> int:
    async with database.read() as work:
        return (await work.session.scalars(select(func.count()).select_from(Reach))).one()


async def alarms(database: Database) -> list[TechnicalEvent]:
    async with database.read() as work:
        told = await work.session.scalars(select(Notification).order_by(Notification.id))
        rows = [(row.kind, row.person_id, row.professional_id, row.record_id) for row in told]
        events = await work.session.scalars(select(TechnicalEvent).order_by(TechnicalEvent.id))
        found = list(events)
    assert rows == [(NotificationKind.VOLUME_ALARM, None, None, None)] * len(found)
    return found


async def at_the_full_hour(database: Database, clock: MovableClock) -> None:
    """Move the clock to the start of an hour, so that minutes later it is the same hour."""
    now = clock.now()
    clock.offset += timedelta(hours=1) - (now - now.replace(minute=0, second=0, microsecond=0))


async def test_up_to_what_is_plausible_a_doctor_reaches_records_freely(database: Database):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, PLAUSIBLE)
    for id_ in ids[:3]:
        assert await reach(database, doctor, [id_]) == FREE
    assert await reach(database, doctor, ids) == FREE
    assert await reaches(database) == PLAUSIBLE
    assert await alarms(database) == []


async def test_one_record_too_many_costs_time_and_is_reported_without_the_patient(
    database: Database,
):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, PLAUSIBLE + 1)
    await reach(database, doctor, ids[:-1])
    assert await reach(database, doctor, ids[-1:]) == Pace(1.0, is_alarm=True)
    (alarm,) = await alarms(database)
    assert alarm.kind == "VOLUME_ALARM"
    assert alarm.actor == f"account:{doctor.account_id}"
    assert alarm.details == {"count": PLAUSIBLE + 1, "plausible": PLAUSIBLE}


async def test_reading_on_in_records_reached_before_is_free_even_when_more_are_refused(
    database: Database,
):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, MOST + 1)
    await reach(database, doctor, ids[:MOST])
    assert (await reach(database, doctor, ids[MOST:])).is_refused
    again = await reach(database, doctor, ids[:100])
    assert (again.delay_seconds, again.is_refused) == (0, False)


async def test_an_account_is_reported_once_an_hour(database: Database, clock: MovableClock):
    await at_the_full_hour(database, clock)
    doctor, other = [await reaching.professional(database) for _ in range(2)]
    ids = await reaching.records(database, PLAUSIBLE + 4)
    await reach(database, doctor, ids[: PLAUSIBLE + 1])
    await reach(database, doctor, ids[PLAUSIBLE + 1 : PLAUSIBLE + 2])
    await reach(database, doctor, ids[:5])
    assert len(await alarms(database)) == 1
    await reach(database, other, ids)
    assert len(await alarms(database)) == 2
    clock.offset += timedelta(minutes=59, seconds=30)
    await reach(database, doctor, ids[PLAUSIBLE + 2 : PLAUSIBLE + 3])
    assert len(await alarms(database)) == 2
    clock.offset += timedelta(seconds=40)  # another hour of the clock, and a few records left it
    await reach(database, doctor, ids)
    assert len(await alarms(database)) == 3


async def test_beyond_five_times_the_plausible_all_is_refused_until_the_hour_moves_on(
    database: Database, clock: MovableClock
):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, MOST + 2)
    await reach(database, doctor, ids[:10])
    clock.offset += timedelta(minutes=30)
    await reach(database, doctor, ids[10:MOST])
    refused = await reach(database, doctor, ids[MOST:])
    assert refused.is_refused
    assert 29 * 60 <= refused.retry_after <= 30 * 60 + 1
    assert await reaches(database) == MOST  # what was refused was not reached
    clock.offset += timedelta(seconds=refused.retry_after)
    allowed = await reach(database, doctor, ids[MOST:])
    assert not allowed.is_refused
    assert 1 <= allowed.delay_seconds <= 10


async def test_asking_on_while_refused_does_not_hold_the_hour_up(
    database: Database, clock: MovableClock
):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, MOST + 1)
    await reach(database, doctor, ids[:MOST])
    for _ in range(3):
        clock.offset += timedelta(minutes=15)
        assert (await reach(database, doctor, ids[MOST:])).is_refused
    clock.offset += timedelta(minutes=16)
    assert await reach(database, doctor, ids[MOST:]) == FREE


async def test_a_record_read_on_and_on_stays_in_the_hour(database: Database, clock: MovableClock):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, PLAUSIBLE + 1)
    await reach(database, doctor, ids[:PLAUSIBLE])
    clock.offset += timedelta(minutes=50)
    await reach(database, doctor, ids[:PLAUSIBLE])
    clock.offset += timedelta(minutes=50)
    assert (await reach(database, doctor, ids[PLAUSIBLE:])).is_alarm


async def test_emergencies_count_but_are_neither_slowed_nor_refused(database: Database):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, MOST + 3)
    found = await reach(database, doctor, ids[: MOST + 1], is_emergency=True)
    assert found == Pace(is_alarm=True)
    assert await reaches(database) == MOST + 1
    assert len(await alarms(database)) == 1
    assert await reach(database, doctor, ids[MOST + 1 : MOST + 2], is_emergency=True) == found
    assert (await reach(database, doctor, ids[MOST + 2 :])).is_refused


async def test_a_pharmacist_and_a_regulation_centre_need_more(database: Database):
    pharmacist = await reaching.professional(database, "21", None)
    regulator = await reaching.professional(database, regulates=True)
    ids = await reaching.records(database, 151)
    assert await reach(database, pharmacist, ids[:150]) == FREE
    assert (await reach(database, pharmacist, ids[150:])).is_alarm
    assert await reach(database, regulator, ids[:120]) == FREE
    assert (await reach(database, regulator, ids[120:121])).is_alarm


async def test_only_professionals_are_counted(database: Database):
    patient = await world.holder(database)
    ids = await reaching.records(database, PLAUSIBLE * 6)
    for actor in (patient, await world.publisher(database), CONSOLE):
        assert await reach(database, actor, ids) == FREE
    assert await reach(database, await reaching.professional(database), []) == FREE
    assert await reaches(database) == 0


async def test_parallel_requests_do_not_hide_each_other(database: Database):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, PLAUSIBLE + 20)
    await reach(database, doctor, ids[:PLAUSIBLE])
    paces = await asyncio.gather(
        *(reach(database, doctor, [id_]) for id_ in ids[PLAUSIBLE:]),
    )
    delays = sorted(found.delay_seconds for found in paces)
    assert len(set(delays)) == 20  # each saw all that went before it
    (alarm,) = await alarms(database)
    assert alarm.details["count"] == PLAUSIBLE + 1


async def test_parallel_requests_for_the_same_records_in_any_order_do_not_block_each_other(
    database: Database,
):
    doctors: list[Professional] = [await reaching.professional(database) for _ in range(3)]
    ids = await reaching.records(database, 20)
    async with asyncio.timeout(20):
        await asyncio.gather(
            *(reach(database, doctor, turn) for doctor in doctors for turn in (ids, ids[::-1]))
        )
    assert await reaches(database) == 60


async def test_an_answer_that_is_rolled_back_reached_nothing(database: Database):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, PLAUSIBLE + 1)
    try:
        async with database.write() as work:
            assert (await volume.reached(doctor, work, ids)).is_alarm
            raise RuntimeError("the answer was not given")
    except RuntimeError:
        pass
    assert await reaches(database) == 0
    assert await alarms(database) == []


async def test_what_is_over_an_hour_old_is_forgotten(database: Database, clock: MovableClock):
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, 5)
    await reach(database, doctor, ids[:3])
    clock.offset += timedelta(minutes=59)
    await reach(database, doctor, ids[3:])
    async with database.write() as work:
        await ensure(work, volume.PRUNE_JOB)
    worker = Worker(database, {volume.PRUNE_JOB: volume.prune})
    await worker.run_due()
    assert await reaches(database) == 5
    clock.offset += volume.PRUNE_EVERY
    assert await worker.run_due() == 1
    assert await reaches(database) == 2
