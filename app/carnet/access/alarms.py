"""Reads of volume alarms and of who was cut off. For operators; no patient is in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, select

from carnet.access.journal_tables import TechnicalEvent
from carnet.access.volume import VOLUME_ALARM
from carnet.people.actor import Actor, Operator, require_operator
from carnet.people.tables import Account
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, paginate

NEWEST = Order("alarms.newest", TechnicalEvent.at.desc(), TechnicalEvent.id.desc())


@dataclass(frozen=True, slots=True)
class AccountState:
    """What operators are shown of an account."""

    id: UUID
    professional_id: UUID | None
    disabled_at: datetime | None


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the filter on technical events that are alarms: operators see them."""
    if not isinstance(actor, Operator):
        return false()
    return TechnicalEvent.kind == VOLUME_ALARM


def account_of(alarm: TechnicalEvent) -> UUID:
    """Return the account that an alarm is about."""
    return UUID(alarm.actor.removeprefix("account:"))


def _alarms(actor: Actor) -> Select[TechnicalEvent]:
    return select(TechnicalEvent).where(visible_to(actor))


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, TechnicalEvent]:
    """Return those of the alarms that the actor sees."""
    statement = _alarms(actor).where(TechnicalEvent.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def page(actor: Actor, work: Work, request: PageRequest) -> Page[TechnicalEvent]:
    """Return a page of all alarms, the newest first.

    Raises:
        AccessDenied: the actor is no operator.
        BadCursor: a cursor of another list.
    """
    require_operator(actor)
    return await paginate(work, _alarms(actor), NEWEST, request)


async def count(actor: Actor, work: Work) -> int:
    """Return how many alarms there are.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    counted = select(func.count()).select_from(TechnicalEvent).where(visible_to(actor))
    return (await work.session.scalars(counted)).one()


async def accounts(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, AccountState]:
    """Return accounts by their ids; operators see them."""
    theirs = Account.id.in_(ids)
    return {row.id: row for row in await _states(actor, work, theirs)}


async def accounts_cut_off(actor: Actor, work: Work, target_id: UUID) -> list[AccountState]:
    """Return the disabled accounts of a professional, or the one with this id.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    theirs = (Account.professional_id == target_id) | (Account.id == target_id)
    return await _states(actor, work, and_(theirs, Account.disabled_at.is_not(None)))


async def _states(actor: Actor, work: Work, theirs: ColumnElement[bool]) -> list[AccountState]:
    if not isinstance(actor, Operator):
        return []
    statement = select(Account.id, Account.professional_id, Account.disabled_at)
    rows = await work.session.execute(statement.where(theirs).order_by(Account.id))
    return [AccountState(*row) for row in rows]
