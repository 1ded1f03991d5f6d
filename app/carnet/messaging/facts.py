"""Reading what a decision about a thread is made from: the patient, and what they allow."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, any_, exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from carnet.access.facts import RECORDS
from carnet.access.filters import record_visible
from carnet.access.tables import Block, Delegation, DelegationScope
from carnet.messaging.rules import Facts
from carnet.messaging.tables import (
    Message,
    MessagingAccount,
    MessagingAccountKind,
    Thread,
    ThreadMember,
)
from carnet.people.actor import Actor, Professional
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work


async def about(
    actor: Actor,
    work: Work,
    person_id: UUID | None,
    accounts: Collection[MessagingAccount],
) -> Facts:
    """Return the facts about a thread of these accounts with this patient, or with none."""
    if person_id is None:
        return Facts()
    professionals = [row for row in accounts if row.kind is not MessagingAccountKind.PERSON]
    persons = [row for row in accounts if row.person_id not in (None, person_id)]
    return Facts(
        guardians=await _guardians(work, person_id, persons),
        reachable=await _reachable(actor, work, person_id, professionals),
        blocked=await blocked(work, person_id, professionals),
        **await _history(work, person_id, professionals),
    )


async def _guardians(
    work: Work, person_id: UUID, persons: Collection[MessagingAccount]
) -> set[UUID]:
    if not persons:
        return set()
    candidate = aliased(MessagingAccount)
    statement = (
        select(candidate.id)
        .join(Delegation, Delegation.delegate_person_id == candidate.person_id)
        .where(
            candidate.id.in_([row.id for row in persons]),
            Delegation.holder_person_id == person_id,
            Delegation.revoked_at.is_(None),
            or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
            literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        )
    )
    return set(await work.session.scalars(statement))


async def _reachable(
    actor: Actor, work: Work, person_id: UUID, professionals: Collection[MessagingAccount]
) -> set[UUID]:
    """Return the accounts that the actor may write to the patient with: if they may at all."""
    if not isinstance(actor, Professional):
        return set()
    record = RECORDS.alias()
    seen = select(
        exists().where(record.c.person_id == person_id, record_visible(actor, work.now, record.c))
    )
    if not await work.session.scalar(seen):
        return set()
    return {row.id for row in professionals}


async def blocked(
    work: Work, person_id: UUID, professionals: Collection[MessagingAccount]
) -> set[UUID]:
    """Return which of these accounts the patient has shut out, or the organization of."""
    if not professionals:
        return set()
    record, account = RECORDS.alias(), aliased(MessagingAccount)
    works_at = (
        select(ProfessionalRow.organization_id)
        .where(ProfessionalRow.id == account.professional_id)
        .correlate(account)
        .scalar_subquery()
    )
    theirs: ColumnElement[bool] = or_(
        Block.professional_id == account.professional_id,
        Block.organization_id == account.organization_id,
        Block.organization_id == works_at,
    )
    statement = select(account.id).where(
        account.id.in_([row.id for row in professionals]),
        exists().where(
            record.c.person_id == person_id,
            Block.record_id == record.c.id,
            Block.lifted_at.is_(None),
            theirs,
        ),
    )
    return set(await work.session.scalars(statement))


async def _written_for(
    work: Work, person_id: UUID, professionals: Collection[MessagingAccount]
) -> dict[UUID, datetime]:
    """Return when professionals last wrote for an organization or team: with their own devices."""
    shared = [row.id for row in professionals if row.organization_id is not None]
    if not shared:
        return {}
    author = aliased(MessagingAccount)
    statement = (
        select(ThreadMember.account_id, func.max(Message.received_at))
        .join(Thread, Thread.id == ThreadMember.thread_id)
        .join(Message, Message.thread_id == Thread.id)
        .join(author, author.id == Message.account_id)
        .where(
            Thread.person_id == person_id,
            ThreadMember.account_id.in_(shared),
            author.kind != MessagingAccountKind.PERSON,
        )
        .group_by(ThreadMember.account_id)
    )
    return {id_: at for id_, at in await work.session.execute(statement)}


async def _history(
    work: Work, person_id: UUID, professionals: Collection[MessagingAccount]
) -> dict[str, set[UUID]]:
    """Return who has written to the patient, and who of them has ended it since."""
    ids = [row.id for row in professionals]
    if not ids:
        return {"wrote": set(), "ended": set()}
    written = (
        select(Message.member_id, func.max(Message.received_at))
        .join(Thread, Thread.id == Message.thread_id)
        .where(Thread.person_id == person_id, Message.member_id.in_(ids))
        .group_by(Message.member_id)
    )
    last = {id_: at for id_, at in await work.session.execute(written)}
    last |= await _written_for(work, person_id, professionals)
    closed = (
        select(Thread.closed_by, func.max(Thread.closed_at))
        .where(Thread.person_id == person_id, Thread.closed_by.in_(ids))
        .group_by(Thread.closed_by)
    )
    ends = {id_: at for id_, at in await work.session.execute(closed) if at is not None}
    ended = {id_ for id_, at in last.items() if id_ in ends and ends[id_] >= at}
    return {"wrote": set(last), "ended": ended}
