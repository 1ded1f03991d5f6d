"""The state of records, for those whom it concerns, also where the record itself is closed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select

from carnet.access.filters import speaks_for
from carnet.access.tables import DelegationKind, DelegationScope
from carnet.errors import NotFound
from carnet.people.actor import Actor, require_operator
from carnet.people.tables import Person
from carnet.records.lifecycle import ALLOWED, OPERATORS, Life, LifeAction
from carnet.records.tables import Record, RecordState
from carnet.records.transitions import now_of
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The state of one record as it is now, and what the viewer may do about it."""

    record_id: UUID
    person_id: UUID
    life: Life
    available: tuple[LifeAction, ...]


async def lifecycles(
    actor: Actor, work: Work, person_ids: Collection[UUID]
) -> dict[UUID, Lifecycle]:
    """Return the life cycle of each person's record, for the holder and delegates in force."""
    found = await _read(actor, work, Record.person_id.in_(person_ids))
    return {one.person_id: one for one in found}


async def lifecycles_by_record(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, Lifecycle]:
    """Return the life cycle of each record, for the holder and delegates in force."""
    found = await _read(actor, work, Record.id.in_(record_ids))
    return {one.record_id: one for one in found}


async def lifecycle(actor: Actor, work: Work, record_id: UUID) -> Lifecycle:
    """Return the life cycle of one record.

    Raises:
        NotFound: no such record, or not theirs to know of.
    """
    found = (await lifecycles_by_record(actor, work, [record_id])).get(record_id)
    if found is None:
        raise NotFound()
    return found


async def _read(actor: Actor, work: Work, wanted: ColumnElement[bool]) -> list[Lifecycle]:
    """Return what is wanted, of one person the latest record last."""
    decides = speaks_for(
        actor, work.now, Record.person_id, DelegationScope.ACCESS, DelegationKind.PARENT
    )
    statement = (
        select(Record, Person.birth_date, decides.label("decides"))
        .join(Person, Person.id == Record.person_id)
        .where(wanted, speaks_for(actor, work.now, Record.person_id))
        .order_by(Record.id)
    )
    return [
        _lifecycle(record, now_of(record, birth_date, work.now), may_decide)
        for record, birth_date, may_decide in await work.session.execute(statement)
    ]


def _lifecycle(record: Record, life: Life, may_decide: bool) -> Lifecycle:
    available = tuple(
        action
        for action in LifeAction
        if may_decide and action not in OPERATORS and _leads_on(life, action)
    )
    return Lifecycle(record.id, record.person_id, life, available)


def _leads_on(life: Life, action: LifeAction) -> bool:
    if life.state is RecordState.DELETED:
        return action is LifeAction.REOPEN  # which makes a fresh one
    return life.state in ALLOWED[action]


async def state_of(
    actor: Actor, work: Work, record_id: UUID
) -> tuple[RecordState, datetime | None]:
    """Return a record's state as it is now, and when something is due, for operators.

    Raises:
        AccessDenied, Unauthenticated: the actor is no operator.
        NotFound: no such record.
    """
    require_operator(actor)
    statement = (
        select(Record, Person.birth_date)
        .join(Person, Person.id == Record.person_id)
        .where(Record.id == record_id)
    )
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    record, birth_date = found
    life = now_of(record, birth_date, work.now)
    return life.state, life.due_at
