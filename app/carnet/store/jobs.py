"""A queue of work in PostgreSQL: what is to be done, when, and by whichever process is there.

`ask` puts a job into the transaction of what needs it, so that it is there if and only if that
was committed. A `Worker` takes what is due, one job at a time, under a lease that it renews while
it works; when a process dies, its lease runs out and another takes over. So a handler may run
twice and must be idempotent; it opens its own transactions. After downtime whatever fell due is
done, the oldest first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from carnet.store.database import Database, Work
from carnet.store.tables import Job
from carnet.store.tasks import end

LEASE = timedelta(seconds=60)  # renewed every third of it
BACKOFF = timedelta(seconds=10)  # doubled with each attempt
LONGEST_BACKOFF = timedelta(hours=1)

Handler = Callable[[Database, Mapping[str, Any]], Awaitable[datetime | None]]
"""Does a job of one kind; returns when to do it again, or None when it is done for good."""

_log = logging.getLogger(__name__)


async def ask(
    work: Work,
    kind: str,
    key: str,
    *,
    due_at: datetime | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Have a job done at ``due_at``, or at once. Asked for again, it has the new time."""
    job = {
        "id": work.new_id(),
        "kind": kind,
        "key": key,
        "arguments": dict(arguments or {}),
        "due_at": due_at or work.now,
        "attempts": 0,
        "created_at": work.now,
    }
    statement = insert(Job).values(job)
    renewed = {name: statement.excluded[name] for name in ("arguments", "due_at", "attempts")}
    await work.session.execute(
        statement.on_conflict_do_update(index_elements=[Job.kind, Job.key], set_=renewed)
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One of many jobs of a kind."""

    key: str
    due_at: datetime
    arguments: Mapping[str, Any]


async def ask_all(work: Work, kind: str, wanted: Sequence[Asked]) -> None:
    """Have many jobs of a kind done, each as by `ask`."""
    rows = [
        {
            "id": work.new_id(),
            "kind": kind,
            "key": each.key,
            "arguments": dict(each.arguments),
            "due_at": each.due_at,
            "attempts": 0,
            "created_at": work.now,
        }
        for each in sorted(wanted, key=lambda each: each.key)  # locks in one order
    ]
    if not rows:
        return
    statement = insert(Job)
    renewed = {name: statement.excluded[name] for name in ("arguments", "due_at", "attempts")}
    statement = statement.on_conflict_do_update(index_elements=[Job.kind, Job.key], set_=renewed)
    await work.session.execute(statement, rows)


async def hasten(work: Work, kind: str, keys: Collection[str]) -> None:
    """Have those of the jobs that are in the queue done at once."""
    if keys:
        waiting = select(Job.id).where(Job.kind == kind, Job.key.in_(keys), Job.due_at > work.now)
        found = list(await work.session.scalars(waiting.order_by(Job.key).with_for_update()))
        await work.session.execute(update(Job).where(Job.id.in_(found)).values(due_at=work.now))


async def drop(work: Work, kind: str, key: str) -> bool:
    """Take a job out of the queue; tell whether it was there."""
    statement = delete(Job).where(Job.kind == kind, Job.key == key).returning(Job.id)
    return await work.session.scalar(statement) is not None


async def ensure(work: Work, kind: str, key: str = "") -> None:
    """Have a repeating job in the queue; one that is there keeps its time."""
    statement = insert(Job).values(
        id=work.new_id(), kind=kind, key=key, arguments={}, due_at=work.now, created_at=work.now
    )
    await work.session.execute(statement.on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class _Taken:
    id: UUID
    kind: str
    arguments: Mapping[str, Any]
    attempts: int
    due_at: datetime
    lease: UUID

    def still_ours(self) -> tuple[ColumnElement[bool], ...]:
        """Return the filter on the job while nobody else took it over."""
        return Job.id == self.id, Job.leased_by == self.lease

    def unmoved(self) -> tuple[ColumnElement[bool], ...]:
        """Return the filter on the job while it is ours and was not asked for anew."""
        return *self.still_ours(), Job.due_at == self.due_at


class Worker:
    """Does due jobs of the kinds that it has handlers for, one after the other."""

    def __init__(self, database: Database, handlers: Mapping[str, Handler]) -> None:
        self._database = database
        self._handlers = dict(handlers)

    async def run_due(self, limit: int = 100) -> int:
        """Do what is due, at most ``limit`` jobs, and return how many were done or tried."""
        tried = 0
        while tried < limit:
            lease = uuid4()
            try:
                taken = await self._take(lease)
                if taken is None:
                    break
                await self._run(taken)
            except asyncio.CancelledError:  # the process stops: nobody need wait for the lease
                await asyncio.shield(self._let_go(lease))
                raise
            tried += 1
        return tried

    async def _take(self, lease: UUID) -> _Taken | None:
        """Lease the job that has been due for longest."""
        async with self._database.write() as work:
            free = or_(Job.leased_until.is_(None), Job.leased_until < func.clock_timestamp())
            wanted = (
                select(Job)
                .where(Job.kind.in_(list(self._handlers)), Job.due_at <= work.now, free)
                .order_by(Job.due_at, Job.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            job = await work.session.scalar(wanted)
            if job is None:
                return None
            taken = _Taken(job.id, job.kind, job.arguments, job.attempts + 1, job.due_at, lease)
            await work.session.execute(
                update(Job)
                .where(Job.id == job.id)
                .values(
                    leased_until=func.clock_timestamp() + LEASE,
                    leased_by=lease,
                    attempts=Job.attempts + 1,
                )
            )
            return taken

    async def _run(self, taken: _Taken) -> None:
        renewing = asyncio.create_task(self._renew(taken))
        try:
            again_at = await self._handlers[taken.kind](self._database, taken.arguments)
        except Exception as error:  # the queue goes on, whatever one job does
            _log.warning("job %s failed: %s", taken.kind, type(error).__name__)
            await self._put_back(taken, error)
        else:
            await self._finish(taken, again_at)
        finally:
            await end(renewing)

    async def _renew(self, taken: _Taken) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            try:
                async with self._database.write() as work:
                    await work.session.execute(
                        update(Job)
                        .where(*taken.still_ours())
                        .values(leased_until=func.clock_timestamp() + LEASE)
                    )
            except Exception as error:  # tried again before the lease runs out
                _log.warning("a lease was not renewed: %s", type(error).__name__)

    async def _finish(self, taken: _Taken, again_at: datetime | None) -> None:
        """Drop the job, or put it at its next time; one asked for meanwhile stays as asked."""
        async with self._database.write() as work:
            if again_at is None:
                await work.session.execute(delete(Job).where(*taken.unmoved()))
            else:
                await work.session.execute(
                    update(Job)
                    .where(*taken.unmoved())
                    .values(due_at=again_at, attempts=0, last_error=None)
                )
            await _end_lease(work, taken)

    async def _put_back(self, taken: _Taken, error: Exception) -> None:
        """Have it tried again later; one asked for meanwhile is tried when that was asked."""
        wait = min(BACKOFF * 2 ** min(taken.attempts - 1, 20), LONGEST_BACKOFF)
        async with self._database.write() as work:
            await work.session.execute(
                update(Job).where(*taken.still_ours()).values(last_error=type(error).__name__)
            )
            await work.session.execute(
                update(Job).where(*taken.unmoved()).values(due_at=work.now + wait)
            )
            await _end_lease(work, taken)

    async def _let_go(self, lease: UUID) -> None:
        """Give a job back that was not done; one that was done is not ours any more."""
        async with self._database.write() as work:
            await work.session.execute(
                update(Job)
                .where(Job.leased_by == lease)
                .values(leased_until=None, leased_by=None, attempts=Job.attempts - 1)
            )


async def _end_lease(work: Work, taken: _Taken) -> None:
    await work.session.execute(
        update(Job).where(*taken.still_ours()).values(leased_until=None, leased_by=None)
    )
