"""Timed transitions in the database: late is on time, two workers are one, nothing is skipped."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import world
from sqlalchemy import func, select

from carnet.access.journal import Fact, JournalAction, write
from carnet.access.journal_tables import JournalCounter, JournalEntry
from carnet.access.tables import Delegation, DelegationKind
from carnet.clock import MovableClock
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import CONSOLE
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR
from carnet.people.tables import Person, PersonIdentifier, Sex
from carnet.records.enrolment import (
    Enrolment,
    Parentage,
    ParentLink,
    enrol,
    link_parents,
)
from carnet.records.lifecycle import NOTICE
from carnet.records.tables import Record, RecordState
from carnet.records.transitions import INTERVAL, run, run_batch
from carnet.store.database import Database
from carnet.values import Identifier, PartialDate


def claim(number: int, born: str = "1985-05-04") -> Claim:
    return Claim(
        (Identifier(INS_NIR, f"{1850599000000 + number}"),),
        birth_family_name="DUPONT",
        given_names=("Alix",),
        birth_date=PartialDate(born),
        sex=Sex.FEMALE,
    )


async def enrolled(database: Database, count: int, born: str = "1985-05-04") -> list[UUID]:
    async with database.write() as work:
        done = await enrol(CONSOLE, work, [claim(number, born) for number in range(count)])
        assert {one.outcome for one in done} == {Enrolment.ENROLLED}
        return [one.record.id for one in done if one.record]


async def states(database: Database) -> dict[RecordState, int]:
    async with database.read() as work:
        found = await work.session.execute(
            select(Record.state, func.count()).group_by(Record.state)
        )
        return {state: count for state, count in found}


async def test_enrolling_again_changes_nothing(database: Database, clock: MovableClock) -> None:
    ids = await enrolled(database, 5)
    clock.offset += timedelta(days=10)
    async with database.write() as work:
        again = await enrol(CONSOLE, work, [claim(number) for number in range(5)])
    assert {one.outcome for one in again} == {Enrolment.KNOWN}
    assert [one.record.id for one in again if one.record] == ids
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Person)) == 5
        assert await work.session.scalar(select(func.count()).select_from(JournalEntry)) == 5
        assert await work.session.scalar(select(func.count()).select_from(Notification)) == 5


async def test_the_same_person_twice_is_enrolled_once(database: Database) -> None:
    async with database.write() as work:
        done = await enrol(CONSOLE, work, [claim(1), claim(2), claim(1)])
    assert [one.outcome for one in done] == ["ENROLLED", "ENROLLED", "KNOWN"]
    assert done[0].record is done[2].record


async def test_who_fed_first_keeps_the_record_open(database: Database) -> None:
    holder = await world.holder(database)
    async with database.write() as work:
        person = await work.session.get_one(Person, holder.person_id)
        work.session.add(
            PersonIdentifier(
                id=work.new_id(),
                person_id=person.id,
                system=INS_NIR,
                value="1850599000001",
                is_national=True,
            )
        )
    async with database.write() as work:
        (done,) = await enrol(CONSOLE, work, [claim(1, born="1980-05-04")])
    assert done.outcome is Enrolment.KNOWN
    assert done.record and done.record.state is RecordState.OPEN


async def test_after_downtime_all_open_with_their_own_time(
    database: Database, clock: MovableClock
) -> None:
    ids = await enrolled(database, 30)
    clock.offset += timedelta(days=400)
    again_at = await run(database, [])
    assert timedelta() < again_at - clock.now() <= INTERVAL
    async with database.read() as work:
        rows = list(await work.session.scalars(select(Record)))
        entries = list(
            await work.session.scalars(
                select(JournalEntry).where(JournalEntry.rule == "records.opens-after-notice")
            )
        )
        told = await work.session.scalars(
            select(Notification.record_id).where(
                Notification.kind == NotificationKind.RECORD_OPENED
            )
        )
        assert sorted(told) == sorted(ids)
    for row in rows:
        assert row.notified_at is not None
        assert (row.state, row.opened_at) == (RecordState.OPEN, row.notified_at + NOTICE)
        assert row.due_at is None
    assert sorted(entry.record_id for entry in entries) == sorted(ids)
    assert {entry.number for entry in entries} == {2}
    assert {(entry.actor_kind, entry.actor_id) for entry in entries} == {("SYSTEM", None)}
    assert {entry.details["to"] for entry in entries} == {"OPEN"}


async def test_two_workers_do_each_record_once(database: Database, clock: MovableClock) -> None:
    await enrolled(database, 60)
    clock.offset += NOTICE

    async def some() -> int:
        batches = 0
        more = True
        while more:
            async with database.write() as work:
                more = await run_batch(work, [], limit=10)
            batches += 1
        return batches

    await asyncio.gather(some(), some(), some())
    await run(database, [])
    assert await states(database) == {RecordState.OPEN: 60}
    async with database.read() as work:
        counters = await work.session.execute(
            select(JournalCounter.last_main, func.count()).group_by(JournalCounter.last_main)
        )
        assert counters.all() == [(2, 60)]


async def test_a_batch_that_breaks_off_leaves_nothing(
    database: Database, clock: MovableClock
) -> None:
    await enrolled(database, 3)
    clock.offset += NOTICE
    with pytest.raises(ZeroDivisionError):
        async with database.write() as work:
            await run_batch(work, [])
            raise ZeroDivisionError
    assert await states(database) == {RecordState.NOTIFIED: 3}
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(JournalEntry)) == 3


async def test_parents_act_until_the_child_is_of_age(
    database: Database, clock: MovableClock
) -> None:
    born = clock.now().date() - timedelta(days=365 * 10)
    async with database.write() as work:
        await enrol(
            CONSOLE, work, [claim(1, born.isoformat()), claim(2), claim(3), claim(4), claim(5)]
        )

    def number(n: int) -> Identifier:
        return claim(n).identifiers[0]

    asked = [
        Parentage(number(1), number(2)),
        Parentage(number(1), number(3)),
        Parentage(number(1), number(4)),  # a third
        Parentage(number(1), number(2)),  # again
        Parentage(number(1), number(9)),  # nobody
        Parentage(number(5), number(2)),  # of an adult
        Parentage(number(9), number(2)),
    ]
    async with database.write() as work:
        assert await link_parents(CONSOLE, work, asked) == [
            ParentLink.LINKED,
            ParentLink.LINKED,
            ParentLink.KNOWN,
            ParentLink.KNOWN,
            ParentLink.UNKNOWN_PARENT,
            ParentLink.OF_AGE,
            ParentLink.NO_RECORD,
        ]
    clock.offset += timedelta(days=365 * 9)
    await run(database, [])
    async with database.read() as work:
        rows = list(await work.session.scalars(select(Delegation)))
    assert {row.kind for row in rows} == {DelegationKind.PARENT}
    (of_age_at,) = {row.expires_at for row in rows}
    assert of_age_at is not None and of_age_at.date().year == born.year + 18
    clock.offset += of_age_at - clock.now() + timedelta(days=500)
    await run(database, [])
    async with database.read() as work:
        kinds = await work.session.execute(
            select(Notification.kind, func.count())
            .where(
                Notification.kind.in_(
                    [NotificationKind.MAJORITY, NotificationKind.DELEGATION_ENDED]
                )
            )
            .group_by(Notification.kind)
        )
        assert dict(kinds.all()) == {
            NotificationKind.MAJORITY: 1,
            NotificationKind.DELEGATION_ENDED: 2,
        }


async def test_the_journal_numbers_many_facts_without_gaps(database: Database) -> None:
    records = [uuid4() for _ in range(3)]
    facts = [
        Fact(records[n % 3], JournalAction.READ_RECORD, "tests.rule", is_held=n % 4 == 0)
        for n in range(24)
    ]
    for _ in range(2):
        async with database.write() as work:
            await write(None, work, facts)
    async with database.read() as work:
        found = await work.session.execute(
            select(
                JournalEntry.record_id,
                JournalEntry.chain,
                func.array_agg(JournalEntry.number.distinct()),
                func.count(),
            ).group_by(JournalEntry.record_id, JournalEntry.chain)
        )
        for _, _, numbers, count in found:
            assert sorted(numbers) == list(range(1, count + 1))
