"""Who takes part in a thread, as SQL: what every path to a thread shares.

A person takes part through their own account: as the thread's patient, or as somebody who acts for
the patient, for as long as they do. Through the patient's account, whoever acts for them in
messages does, where the thread's policy allows delegates. A professional takes part through their
own account and those of the organization they work at, unless the patient shut them out. And whom
an account's own chain delegates to takes part through it, where the policy allows that; through a
person's account only while they act for that person in messages, whatever its chain says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from carnet.access.facts import READABLE_STATES, RECORDS
from carnet.access.filters import delegated
from carnet.access.tables import Block, DelegationScope
from carnet.messaging.tables import MessagingAccount, MessagingMandate, Thread, ThreadMember
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Professional as ProfessionalRow

Columns = Any  # a mapped class, or an alias of one
Expression = SQLColumnExpression[Any]
Moment = datetime | SQLColumnExpression[datetime]

# Made once: an alias costs more than all else in a filter, and each subquery has its own FROM.
_MEMBER, _ACCOUNT = aliased(ThreadMember), aliased(MessagingAccount)
_OWN, _MANDATE = aliased(MessagingAccount), aliased(MessagingMandate)
_STAFF, _RECORD, _BLOCK = aliased(ProfessionalRow), RECORDS.alias(), aliased(Block)
_OPEN_RECORD = RECORDS.alias()


def visible_to(actor: Actor, now: Moment, thread: Columns = Thread) -> ColumnElement[bool]:
    """Return the one filter on threads: whether the actor takes part in it."""
    return _part(actor, now, thread)


def readable_by(
    actor: Actor, now: Moment, thread: Columns, epoch: Expression
) -> ColumnElement[bool]:
    """Return whether the actor takes part in the thread, and may read messages of an epoch: whoever
    joins without what was written before is told none of it."""
    return _part(actor, now, thread, epoch)


def _part(
    actor: Actor, now: Moment, thread: Columns, epoch: Expression | None = None
) -> ColumnElement[bool]:
    member, account = _MEMBER, _ACCOUNT
    part = (
        select(literal(1))
        .select_from(member)
        .join(account, account.id == member.account_id)
        .where(member.thread_id == thread.id, takes_part(actor, now, thread, member, account))
    )
    if epoch is not None:
        part = part.where(member.history_from <= epoch)
    return part.correlate_except(member, account).exists()


def takes_part(
    actor: Actor, now: Moment, thread: Columns, member: Columns, account: Columns
) -> ColumnElement[bool]:
    """Return whether the actor takes part in the thread through this member's account."""
    match actor:
        case Patient(person_id=own):
            speaks = or_(
                thread.person_id == own,
                delegated(own, now, thread.person_id, DelegationScope.MESSAGES),
            )
            through_patient = and_(
                thread.is_delegation_allowed,
                account.person_id == thread.person_id,
                delegated(own, now, account.person_id, DelegationScope.MESSAGES),
            )
            # A person's chain names whom that person let act for them, for as long as they do.
            acts = or_(
                account.person_id.is_(None),
                delegated(own, now, account.person_id, DelegationScope.MESSAGES),
            )
            named = and_(mandated(_OWN.person_id == own, now, thread, account), acts)
            theirs = or_(and_(account.person_id == own, speaks), through_patient, named)
        case Professional(professional_id=own):
            named = mandated(_OWN.professional_id == own, now, thread, account)
            theirs = and_(
                or_(
                    account.professional_id == own,
                    account.organization_id == works_at(own),
                    named,
                ),
                ~shut_out(thread.person_id, own, works_at(own)),
            )
        case _:
            return false()
    return and_(member.left_at.is_(None), theirs)


def mandated(
    is_own: ColumnElement[bool], now: Moment, thread: Columns, account: Columns
) -> ColumnElement[bool]:
    """Return whether an account's chain delegates to one of the actor's own accounts."""
    mandate = _MANDATE
    own = select(_OWN.account_id).where(is_own, _OWN.ended_at.is_(None))
    given = exists().where(
        mandate.account_id == account.id,
        mandate.is_delegation,
        holds(mandate, now),
        mandate.who.in_(own.correlate_except(_OWN)),
    )
    return and_(thread.is_delegation_allowed, given.correlate_except(mandate))


def holds(mandate: Columns, now: Moment) -> ColumnElement[bool]:
    """Return whether a mandate holds now."""
    return and_(
        or_(mandate.not_before.is_(None), mandate.not_before <= now),
        or_(mandate.not_after.is_(None), mandate.not_after > now),
    )


def works_at(professional_id: UUID | Expression) -> ColumnElement[UUID | None]:
    """Return the organization that a professional works at."""
    row = _STAFF
    found = select(row.organization_id).where(row.id == professional_id)
    return found.correlate_except(row).scalar_subquery()


def shut_out(
    person_id: Expression,
    professional_id: UUID | Expression,
    organization_id: Expression,
) -> ColumnElement[bool]:
    """Return whether a patient has shut out a professional, or the organization."""
    record, block = _RECORD, _BLOCK
    out = (
        select(literal(1))
        .select_from(record)
        .join(block, block.record_id == record.c.id)
        .where(
            record.c.person_id == person_id,
            block.lifted_at.is_(None),
            or_(block.professional_id == professional_id, block.organization_id == organization_id),
        )
    )
    return out.correlate_except(record, block).exists()


def account_shut_out(person_id: Expression, account: Columns) -> ColumnElement[bool]:
    """Return whether a patient has shut out whose account it is, or where they work."""
    works = func.coalesce(account.organization_id, works_at(account.professional_id))
    return shut_out(person_id, account.professional_id, works)


def has_open_record(person_id: Expression) -> ColumnElement[bool]:
    """Return whether a person has a record that can be read."""
    record = _OPEN_RECORD
    found = exists().where(record.c.person_id == person_id, record.c.state.in_(READABLE_STATES))
    return found.correlate_except(record)
