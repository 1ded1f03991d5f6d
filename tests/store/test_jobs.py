"""The queue: what is asked for is done, once at a time, whatever becomes of who does it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from carnet.clock import MovableClock
from carnet.store import jobs
from carnet.store.database import Database
from carnet.store.jobs import BACKOFF, LONGEST_BACKOFF, Worker, ask, ensure
from carnet.store.tables import Job

KIND = "tests.job"


class Handler:
    """Notes what it was called with, and does as it is told."""

    def __init__(self, again_after: timedelta | None = None) -> None:
        self.calls: list[Mapping[str, Any]] = []
        self.again_after = again_after
        self.error: Exception | None = None
        self.started = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, database: Database, arguments: Mapping[str, Any]) -> datetime | None:
        self.calls.append(dict(arguments))
        self.started.set()
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return database.clock.now() + self.again_after if self.again_after else None


async def asked(database: Database, key: str = "", **options: Any) -> None:
    async with database.write() as work:
        await ask(work, KIND, key, **options)


async def rows(database: Database) -> list[Job]:
    async with database.read() as work:
        return list(await work.session.scalars(select(Job).order_by(Job.key)))


async def lease_runs_out(database: Database) -> None:
    async with database.write() as work:
        await work.session.execute(
            update(Job).values(leased_until=func.clock_timestamp() - timedelta(seconds=1))
        )


async def test_a_job_is_done_once_and_gone(database: Database) -> None:
    handler = Handler()
    worker = Worker(database, {KIND: handler})
    await asked(database, "a", arguments={"number": 1})
    assert await worker.run_due() == 1
    assert await worker.run_due() == 0
    assert handler.calls == [{"number": 1}]
    assert await rows(database) == []


async def test_a_job_is_there_only_if_its_cause_was_committed(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as work:
            await ask(work, KIND, "a")
            raise ZeroDivisionError
    assert await rows(database) == []


async def test_what_is_due_later_waits_for_the_clock(
    database: Database, clock: MovableClock
) -> None:
    handler = Handler()
    worker = Worker(database, {KIND: handler})
    await asked(database, "later", due_at=clock.now() + timedelta(weeks=6))
    assert await worker.run_due() == 0
    clock.offset += timedelta(weeks=6)
    assert await worker.run_due() == 1


async def test_after_downtime_the_oldest_comes_first(
    database: Database, clock: MovableClock
) -> None:
    handler = Handler()
    for days in (3, 1, 2):
        await asked(
            database,
            str(days),
            due_at=clock.now() + timedelta(days=days),
            arguments={"day": days},
        )
    clock.offset += timedelta(days=30)
    assert await Worker(database, {KIND: handler}).run_due() == 3
    assert handler.calls == [{"day": 1}, {"day": 2}, {"day": 3}]


async def test_asking_again_moves_a_job_and_ensuring_does_not(
    database: Database, clock: MovableClock
) -> None:
    later = clock.now() + timedelta(days=1)
    await asked(database, "a", due_at=later, arguments={"number": 1})
    async with database.write() as work:
        await ensure(work, KIND, "a")
    (job,) = await rows(database)
    assert (job.due_at, job.arguments) == (later, {"number": 1})
    await asked(database, "a", due_at=later + timedelta(days=1), arguments={"number": 2})
    (job,) = await rows(database)
    assert (job.due_at, job.arguments) == (later + timedelta(days=1), {"number": 2})


async def test_a_repeating_job_comes_again_at_its_time(
    database: Database, clock: MovableClock
) -> None:
    handler = Handler(again_after=timedelta(hours=1))
    worker = Worker(database, {KIND: handler})
    async with database.write() as work:
        await ensure(work, KIND)
    assert [await worker.run_due(), await worker.run_due()] == [1, 0]
    clock.offset += timedelta(hours=5)  # five times late is once
    assert [await worker.run_due(), await worker.run_due()] == [1, 0]


async def test_other_kinds_are_left_to_others(database: Database) -> None:
    await asked(database)
    assert await Worker(database, {"tests.other": Handler()}).run_due() == 0
    assert await Worker(database, {}).run_due() == 0
    assert len(await rows(database)) == 1


async def test_a_failing_job_waits_longer_each_time_and_holds_nobody_up(
    database: Database, clock: MovableClock
) -> None:
    failing, other = Handler(), Handler()
    failing.error = ValueError("what a person said")
    worker = Worker(database, {KIND: failing, "tests.other": other})
    await asked(database, "a")
    async with database.write() as work:
        await ask(work, "tests.other", "b")
    assert await worker.run_due() == 2
    assert len(other.calls) == 1
    waits = []
    for _ in range(12):
        (job,) = await rows(database)
        assert (job.last_error, job.leased_until, job.leased_by) == ("ValueError", None, None)
        waits.append(job.due_at - clock.now())
        clock.offset += waits[-1]
        assert await worker.run_due() == 1
    expected = [min(BACKOFF * 2**number, LONGEST_BACKOFF) for number in range(12)]
    for wait, most in zip(waits, expected, strict=True):
        assert most - timedelta(seconds=5) < wait <= most
    failing.error = None
    clock.offset += LONGEST_BACKOFF
    assert await worker.run_due() == 1
    assert await rows(database) == []


async def test_many_workers_share_the_jobs_and_do_each_once(database: Database) -> None:
    handler = Handler()
    for number in range(40):
        await asked(database, f"{number:02}", arguments={"number": number})
    workers = [Worker(database, {KIND: handler}) for _ in range(4)]
    done = await asyncio.gather(*(worker.run_due() for worker in workers))
    assert sum(done) == 40
    assert sorted(call["number"] for call in handler.calls) == list(range(40))
    assert await rows(database) == []


async def test_a_job_that_is_being_done_is_nobody_elses(database: Database) -> None:
    handler = Handler()
    handler.may_end.clear()
    await asked(database)
    running = asyncio.create_task(Worker(database, {KIND: handler}).run_due())
    await handler.started.wait()
    assert await Worker(database, {KIND: Handler()}).run_due() == 0
    handler.may_end.set()
    assert await running == 1


async def test_a_lease_is_by_the_databases_clock(database: Database, clock: MovableClock) -> None:
    """A sandbox that moves on by weeks does not take running jobs from who does them."""
    handler = Handler()
    handler.may_end.clear()
    await asked(database)
    running = asyncio.create_task(Worker(database, {KIND: handler}).run_due())
    await handler.started.wait()
    clock.offset += timedelta(weeks=52)
    assert await Worker(database, {KIND: Handler()}).run_due() == 0
    handler.may_end.set()
    await running


async def test_a_dead_workers_job_is_taken_over_and_the_dead_say_nothing(
    database: Database,
) -> None:
    dead, heir = Handler(), Handler()
    dead.may_end.clear()
    heir.may_end.clear()
    await asked(database)
    one = asyncio.create_task(Worker(database, {KIND: dead}).run_due())
    await dead.started.wait()
    await lease_runs_out(database)  # as when it hangs, or its machine is cut off
    two = asyncio.create_task(Worker(database, {KIND: heir}).run_due())
    await heir.started.wait()
    dead.may_end.set()
    assert await one == 1
    (job,) = await rows(database)
    assert job.leased_by is not None and job.leased_until is not None  # still the heir's
    assert await Worker(database, {KIND: Handler()}).run_due() == 0
    heir.may_end.set()
    assert await two == 1
    assert await rows(database) == []


async def test_a_lost_job_that_fails_is_not_put_back(database: Database) -> None:
    dead, heir = Handler(), Handler(again_after=timedelta(hours=1))
    dead.error = ValueError()
    dead.may_end.clear()
    await asked(database)
    one = asyncio.create_task(Worker(database, {KIND: dead}).run_due())
    await dead.started.wait()
    await lease_runs_out(database)
    assert await Worker(database, {KIND: heir}).run_due() == 1
    (before,) = await rows(database)
    dead.may_end.set()
    await one
    (after,) = await rows(database)
    assert (after.due_at, after.last_error) == (before.due_at, None)


async def test_a_lease_is_renewed_while_the_work_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Handler()
    handler.may_end.clear()
    monkeypatch.setattr(jobs, "LEASE", timedelta(milliseconds=150))
    await asked(database)
    running = asyncio.create_task(Worker(database, {KIND: handler}).run_due())
    await handler.started.wait()
    (first,) = await rows(database)
    async with asyncio.timeout(30):
        while True:
            (job,) = await rows(database)
            assert job.leased_until is not None and first.leased_until is not None
            if job.leased_until > first.leased_until + 3 * jobs.LEASE:
                break
    handler.may_end.set()
    assert await running == 1


async def test_who_is_stopped_gives_the_job_back_at_once(database: Database) -> None:
    stopped, heir = Handler(), Handler()
    stopped.may_end.clear()
    await asked(database)
    running = asyncio.create_task(Worker(database, {KIND: stopped}).run_due())
    await stopped.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (job,) = await rows(database)
    assert (job.leased_until, job.leased_by, job.attempts) == (None, None, 0)
    assert await Worker(database, {KIND: heir}).run_due() == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_asked_for_meanwhile_is_done_as_asked(
    database: Database, clock: MovableClock, fails: bool
) -> None:
    handler = Handler()
    handler.may_end.clear()
    handler.error = ValueError() if fails else None
    worker = Worker(database, {KIND: handler})
    await asked(database, "a", arguments={"number": 1})
    running = asyncio.create_task(worker.run_due(limit=1))
    await handler.started.wait()
    await asked(database, "a", arguments={"number": 2})
    handler.may_end.set()
    await running
    handler.error = None
    assert await worker.run_due() == 1
    assert handler.calls == [{"number": 1}, {"number": 2}]
    assert await rows(database) == []


async def test_a_worker_stops_at_its_limit(database: Database) -> None:
    for number in range(5):
        await asked(database, str(number))
    worker = Worker(database, {KIND: Handler()})
    assert [await worker.run_due(limit=3), await worker.run_due(limit=3)] == [3, 2]
