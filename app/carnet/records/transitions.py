"""What happens to records when its time has come, whoever notices first.

`run` is the job ``records.transitions``: it takes records that are due in batches, in any number
of processes at once, each batch in one transaction with its journal entries and notifications.
`settle` does the same for one record that somebody acts on before the job came to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import bindparam, or_, select, update

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.tables import Delegation, DelegationKind
from carnet.notifications.actions import Notice, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.people.rules import majority
from carnet.people.tables import Person
from carnet.records.lifecycle import Happening, Life, Step, advance
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database, Work
from carnet.values import PartialDate

JOB = "records.transitions"
INTERVAL = timedelta(seconds=10)  # until the next look; a moved clock makes it due at once
BATCH = 1000  # records in one transaction
DELETIONS = 20  # of them in one transaction: each takes many rows with it

Eraser = Callable[[Work, Sequence[UUID]], Awaitable[None]]
"""Deletes what an area holds of these records, in the transaction that deletes them."""

_RULES = {
    Happening.OPENED: "records.opens-after-notice",
    Happening.DELETED: "records.deleted-in-time",
    Happening.MAJORITY: "records.holder-is-of-age",
}
_TOLD = {
    Happening.OPENED: NotificationKind.RECORD_OPENED,
    Happening.DELETION_DUE: NotificationKind.RECORD_DELETION_DUE,
    Happening.MAJORITY: NotificationKind.MAJORITY,
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A record, its life of now, and what happened to it since it was last looked at."""

    record_id: UUID
    person_id: UUID
    life: Life
    steps: Sequence[Step]

    @property
    def is_deleted(self) -> bool:
        """Whether its time is over."""
        return self.life.state is RecordState.DELETED


def life_of(record: Record, birth_date: PartialDate | None) -> Life:
    """Return what decides of a record."""
    return Life(
        state=record.state,
        notified_at=record.notified_at,
        opens_at=record.opens_at,
        opened_at=record.opened_at,
        activated_at=record.activated_at,
        closed_at=record.closed_at,
        opposed_at=record.opposed_at,
        suspended_at=record.suspended_at,
        deletion_requested_at=record.deletion_requested_at,
        deleted_at=record.deleted_at,
        former_state=record.former_state,
        due_at=record.due_at,
        majority_at=majority_of(birth_date),
    )


def majority_of(birth_date: PartialDate | None) -> datetime | None:
    """Return when the holder is of age, or None where that is not known."""
    return majority(birth_date) if birth_date else None


def columns_of(life: Life) -> dict[str, Any]:
    """Return the columns of a record that a life decides."""
    return {
        "state": life.state,
        "notified_at": life.notified_at,
        "opens_at": life.opens_at,
        "opened_at": life.opened_at,
        "activated_at": life.activated_at,
        "closed_at": life.closed_at,
        "opposed_at": life.opposed_at,
        "suspended_at": life.suspended_at,
        "deletion_requested_at": life.deletion_requested_at,
        "deleted_at": life.deleted_at,
        "former_state": life.former_state,
        "due_at": life.due_at,
    }


def occasion(record_id: UUID, kind: NotificationKind, at: datetime) -> UUID:
    """Return the subject of a notification that may come again: this kind, this time."""
    return uuid5(record_id, f"{kind.value} {at.isoformat()}")


async def run(database: Database, erasers: Sequence[Eraser]) -> datetime:
    """Let happen whatever is due, the oldest first, and return when to look again.

    Args:
        database: opens a transaction for each batch.
        erasers: of all areas, in the order in which rows can go.
    """
    more = True
    while more:
        async with database.write() as work:
            more = await run_batch(work, erasers)
    return database.clock.now() + INTERVAL


async def run_batch(work: Work, erasers: Sequence[Eraser], limit: int = BATCH) -> bool:
    """Let happen what is due to some records; returns whether there may be more.

    Records that another transaction holds are passed over; they stay due.
    """
    statement = (
        select(Record, Person.birth_date)
        .join(Person, Person.id == Record.person_id)
        .where(Record.due_at <= work.now)
        .order_by(Record.due_at)
        .limit(limit)
        .with_for_update(of=Record, skip_locked=True, key_share=True)
    )
    moved: list[Moved] = []
    deletions = 0
    found = (await work.session.execute(statement)).all()
    for record, birth_date in found:
        life, steps = advance(life_of(record, birth_date), work.now)
        one = Moved(record.id, record.person_id, life, steps)
        deletions += one.is_deleted
        if not one.is_deleted or deletions <= DELETIONS:
            moved.append(one)
    ended = [one.record_id for one in moved if one.is_deleted]
    if ended:
        for erase in erasers:
            await erase(work, ended)
    await settle(work, moved)
    return len(found) == limit or deletions > DELETIONS


async def settle(work: Work, moved: Sequence[Moved]) -> None:
    """Write down what happened by itself: the rows, the journal, and whom it is told.

    What a deleted record held is erased by the caller, before.
    """
    if not moved:
        return
    by_key = update(Record).where(Record.id == bindparam("key"))
    values = [{"key": one.record_id, **columns_of(one.life)} for one in moved]
    connection = await work.session.connection()  # the session would look for keys in ``values``
    await connection.execute(by_key, values)
    facts = [
        Fact(
            one.record_id,
            JournalAction.CHANGE_STATE,
            _RULES[step.what],
            details={
                "from": step.before.state.value,
                "to": step.after.state.value,
                "at": step.at.isoformat(),
            },
        )
        for one in moved
        for step in one.steps
        if step.before.state is not step.after.state
    ]
    facts += await _end_parents(work, moved)
    await write(None, work, facts)
    await _tell(work, moved)


async def _tell(work: Work, moved: Sequence[Moved]) -> None:
    """Tell holders and, while they are minors, their parents."""
    living = [one for one in moved if not one.is_deleted]
    told = [(one, step) for one in living for step in one.steps if step.what in _TOLD]
    parents = await parents_of(work, {one.person_id for one, _ in told})
    notices = []
    for one, step in told:
        kind = _TOLD[step.what]
        people = {one.person_id}
        if step.what is not Happening.MAJORITY:
            people |= parents[one.person_id]
        subject = occasion(one.record_id, kind, step.at)
        notices += [Notice(person, kind, subject, one.record_id) for person in sorted(people)]
    await notify_all(work, notices)


async def parents_of(work: Work, person_ids: Collection[UUID]) -> defaultdict[UUID, set[UUID]]:
    """Return who acts as a parent of each of these persons now."""
    found: defaultdict[UUID, set[UUID]] = defaultdict(set)
    if person_ids:
        statement = select(Delegation.holder_person_id, Delegation.delegate_person_id).where(
            Delegation.holder_person_id.in_(person_ids),
            Delegation.kind == DelegationKind.PARENT,
            Delegation.revoked_at.is_(None),
            or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
        )
        for holder_id, parent_id in await work.session.execute(statement):
            if parent_id is not None:
                found[holder_id].add(parent_id)
    return found


async def _end_parents(work: Work, moved: Iterable[Moved]) -> list[Fact]:
    """End the delegations of parents whose child is of age, and tell them."""
    of_age = {
        one.person_id: (one.record_id, step.at)
        for one in moved
        for step in one.steps
        if step.what is Happening.MAJORITY
    }
    if not of_age:
        return []
    statement = (
        select(Delegation)
        .where(
            Delegation.holder_person_id.in_(of_age),
            Delegation.kind == DelegationKind.PARENT,
            Delegation.revoked_at.is_(None),
        )
        .order_by(Delegation.id)
        .with_for_update()
    )
    ended: dict[UUID, list[UUID]] = defaultdict(list)
    notices = []
    for delegation in (await work.session.scalars(statement)).all():
        record_id, at = of_age[delegation.holder_person_id]
        delegation.expires_at = min(delegation.expires_at or at, at)
        ended[record_id].append(delegation.id)
        if delegation.delegate_person_id is not None:
            kind = NotificationKind.DELEGATION_ENDED
            notices.append(Notice(delegation.delegate_person_id, kind, delegation.id))
    await work.session.flush()
    await notify_all(work, notices)
    return [
        Fact(
            record_id,
            JournalAction.REVOKE_DELEGATION,
            _RULES[Happening.MAJORITY],
            ObjectKind.DELEGATION,
            tuple(ids),
        )
        for record_id, ids in ended.items()
    ]


def now_of(record: Record, birth_date: PartialDate | None, now: datetime) -> Life:
    """Return the life of a record as it is now, whether or not the job came to it yet."""
    return advance(life_of(record, birth_date), now)[0]
