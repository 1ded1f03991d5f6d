"""Reads of notifications. Everything passes `visible_to`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, select

from carnet.notifications.tables import Notification
from carnet.people.actor import Actor, Operator, Patient, Professional
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, paginate

OPERATORS = UUID(int=0)  # stands for the operators, who are told together
NEWEST = Order("notifications.newest", Notification.created_at.desc(), Notification.id.desc())


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the one filter on notifications: each sees what they were told themselves."""
    match actor:
        case Patient(person_id=person_id):
            return Notification.person_id == person_id
        case Professional(professional_id=professional_id):
            return Notification.professional_id == professional_id
        case Operator():
            return and_(Notification.person_id.is_(None), Notification.professional_id.is_(None))
    return false()


def recipient_of(actor: Actor) -> UUID | None:
    """Return whom the actor's notifications are for: themself, or all operators."""
    match actor:
        case Patient(person_id=id_) | Professional(professional_id=id_):
            return id_
        case Operator():
            return OPERATORS
    return None


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Notification]:
    """Return those of the notifications that the actor sees."""
    statement = select(Notification).where(Notification.id.in_(ids), visible_to(actor))
    return {row.id: row for row in await work.session.scalars(statement)}


async def pages(
    actor: Actor,
    work: Work,
    recipient_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    unread_only: bool,
) -> dict[UUID, Page[Notification]]:
    """Return a page of what the actor was told; nothing for other recipients.

    Raises:
        BadCursor: a cursor of another list.
    """
    own = recipient_of(actor)
    if own is None or own not in recipient_ids:
        return {}
    return {own: await paginate(work, _told(actor, unread_only), order, request)}


async def counts(
    actor: Actor, work: Work, recipient_ids: Sequence[UUID], unread_only: bool
) -> dict[UUID, int]:
    """Return how much the actor was told; nothing for other recipients."""
    own = recipient_of(actor)
    if own is None or own not in recipient_ids:
        return {}
    counted = _told(actor, unread_only).with_only_columns(func.count())
    return {own: (await work.session.scalars(counted)).one()}


def _told(actor: Actor, unread_only: bool) -> Select[Notification]:
    statement = select(Notification).where(visible_to(actor))
    return statement.where(Notification.read_at.is_(None)) if unread_only else statement
