"""Acting for somebody else: invitation, acceptance, end. Everything done is traced «X for Y»."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_urlsafe
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select

from carnet.access.deciding import Deciding, require
from carnet.access.delegation_rules import (
    EVERYTHING,
    INVITATION_LIFE,
    check_room,
    check_scopes,
    delegation_end,
)
from carnet.access.facts import RECORDS, RecordFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, behalf, write
from carnet.access.lists import delegations_visible_to
from carnet.access.locating import lock_record
from carnet.access.rules import Action, Decision
from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.errors import AccessDenied, Conflict, NotFound
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Patient, require_console
from carnet.people.tables import Person
from carnet.store.database import Work

CODE_BYTES = 20  # 160 random bits
_CODE = re.compile(r"[A-Za-z0-9_-]{27}")


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation and its code, which is shown once and handed over by the holder."""

    delegation_id: UUID
    code: str = field(repr=False)


def code_hash(code: str) -> bytes:
    """Return what is stored of a code; it is random, so a plain hash suffices."""
    return hashlib.sha256(b"carnet delegation\x00" + code.encode()).digest()


async def invite(
    actor: Actor,
    work: Work,
    record_id: UUID,
    kind: DelegationKind,
    scopes: frozenset[DelegationScope],
    expires_at: datetime | None = None,
) -> Invitation:
    """Invite somebody to act for the holder; they accept with the code within a week.

    An adult invites their caregivers; a parent invites the other parent of a minor.

    Args:
        actor: who invites.
        work: the transaction.
        record_id: the holder's record.
        kind: parent or caregiver.
        scopes: what they may do; a parent everything.
        expires_at: when it ends; a parent's at the child's majority at the latest.

    Raises:
        NotFound, AccessDenied: the record is not the actor's, or the kind does not fit.
        QuotaExceeded: there are as many already as there may be.
        ValidationFailed: scopes or end are wrong.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    needed = "holder" if kind is DelegationKind.CAREGIVER else "delegate.parent"
    if granted.decision.rule != needed:
        raise AccessDenied("delegation.not-yours-to-give", "You cannot give this delegation.")
    check_scopes(kind, scopes)
    holder = await work.session.get_one(Person, granted.record.person_id)
    end = delegation_end(kind, holder.birth_date, work.now, expires_at)
    check_room(kind, await _count(work, _of_holder(holder.id, kind, work.now)), 0)
    code = token_urlsafe(CODE_BYTES)
    delegation = Delegation(
        id=work.new_id(),
        holder_person_id=holder.id,
        kind=kind,
        scopes=sorted(scope.value for scope in scopes),
        code_hash=code_hash(code),
        invited_at=work.now,
        invitation_expires_at=work.now + INVITATION_LIFE,
        expires_at=end,
    )
    work.session.add(delegation)
    await work.session.flush()
    await granted.journal(
        JournalAction.INVITE_DELEGATE,
        ObjectKind.DELEGATION,
        delegation.id,
        details={"kind": kind.value},
    )
    return Invitation(delegation.id, code)


async def accept(actor: Actor, work: Work, code: str) -> UUID:
    """Accept an invitation; from the commit on, the actor acts for the holder.

    Returns:
        The id of the delegation.

    Raises:
        NotFound: no such invitation, or it is over.
        Conflict: the actor is the holder, or acts for them already.
        QuotaExceeded: the actor is a caregiver of as many as they may be, or the holder has as
            many as there may be.
    """
    if not isinstance(actor, Patient):
        raise AccessDenied("delegation.only-persons", "Only a person acts for another.")
    if _CODE.fullmatch(code) is None:
        raise NotFound()
    found = await work.session.scalar(
        select(Delegation).where(Delegation.code_hash == code_hash(code))
    )
    if found is None or not _is_open(found, work.now):
        raise NotFound()
    record = await _lock(work, found.holder_person_id, actor.person_id)
    await work.session.refresh(found, with_for_update=True)
    if not _is_open(found, work.now):
        raise NotFound()
    if found.holder_person_id == actor.person_id:
        raise Conflict("Somebody else must accept it.")
    await _take_up(work, found, actor.person_id)
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.ACCEPT_DELEGATION,
        _rule(found.kind),
        ObjectKind.DELEGATION,
        (found.id,),
        found.holder_person_id,
        details={"kind": found.kind.value},
    )
    await write(actor, work, [fact])
    await notify(
        work,
        NotificationKind.DELEGATION_ACCEPTED,
        found.id,
        person_id=found.holder_person_id,
        record_id=record.id,
    )
    return found.id


async def revoke(actor: Actor, work: Work, delegation_id: UUID) -> UUID:
    """End a delegation or an invitation at once: by the holder, or by the delegate.

    A minor does not end what their parents are by law; a parent does so for themself only. The
    holder ends one whatever the record's state: a delegation covers messages of a closed one too.

    Raises:
        NotFound: there is none that is theirs to end, or it has ended.
    """
    seen = Delegation.id == delegation_id, delegations_visible_to(actor, work.now)
    found = await work.session.scalar(select(Delegation).where(*seen))
    if found is None or not isinstance(actor, Patient):
        raise NotFound()
    record = await _lock(work, found.holder_person_id, actor.person_id)
    await work.session.refresh(found, with_for_update=True)
    if found.revoked_at is not None or _is_over(found, work.now):
        raise NotFound()
    decision = Decision(True, "holder")
    if actor.person_id != record.person_id:
        deciding = await Deciding.on(actor, work, [record.id])
        decision = deciding.decide(Action.MANAGE_ACCESS, record.id)
    is_pending_parent = found.kind is DelegationKind.PARENT and found.accepted_at is None
    may = found.kind is DelegationKind.CAREGIVER or is_pending_parent
    own = found.delegate_person_id == actor.person_id
    if not own and not (decision.is_allowed and may):
        raise NotFound()
    found.revoked_at = work.now
    found.code_hash = None
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.REVOKE_DELEGATION,
        _rule(found.kind) if own else decision.rule,
        ObjectKind.DELEGATION,
        (found.id,),
        behalf(actor, record.person_id),
        details={"kind": found.kind.value},
    )
    await write(actor, work, [fact])
    if found.delegate_person_id is not None:
        other = record.person_id if own else found.delegate_person_id
        await notify(work, NotificationKind.DELEGATION_ENDED, found.id, person_id=other)
    return found.id


async def register_parent(actor: Actor, work: Work, child_id: UUID, parent_id: UUID) -> UUID | None:
    """Enter a legal representative of a minor, as civil status has it; at the console.

    Returns:
        The id of the delegation, which may have stood already; None where the child has no
        record yet.

    Raises:
        AccessDenied: the actor is not the console, or the child is of age.
        QuotaExceeded: two are entered already.
    """
    require_console(actor)
    child = await work.session.get(Person, child_id)
    if child is None or child_id == parent_id:
        raise NotFound()
    try:
        record = await _lock(work, child_id, parent_id)
    except NotFound:
        return None
    standing = select(Delegation.id).where(
        Delegation.holder_person_id == child_id,
        Delegation.delegate_person_id == parent_id,
        _in_force(work.now),
    )
    known = await work.session.scalar(standing)
    if known is not None:
        return known
    delegation = Delegation(
        id=work.new_id(),
        holder_person_id=child_id,
        kind=DelegationKind.PARENT,
        scopes=sorted(scope.value for scope in EVERYTHING),
        invited_at=work.now,
        expires_at=delegation_end(DelegationKind.PARENT, child.birth_date, work.now, None),
    )
    await _take_up(work, delegation, parent_id)
    work.session.add(delegation)
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.ACCEPT_DELEGATION,
        "delegate.parent",
        ObjectKind.DELEGATION,
        (delegation.id,),
        details={"kind": DelegationKind.PARENT.value},
    )
    await write(actor, work, [fact])
    return delegation.id


async def _take_up(work: Work, delegation: Delegation, delegate_id: UUID) -> None:
    """Make somebody the delegate, if there is room. Both persons' rows are locked."""
    holder_id, kind = delegation.holder_person_id, delegation.kind
    pair = and_(
        Delegation.holder_person_id == holder_id,
        Delegation.delegate_person_id == delegate_id,
    )
    if await _count(work, and_(pair, _in_force(work.now))):
        raise Conflict("They act for this person already.")
    others = and_(_of_holder(holder_id, kind, work.now), Delegation.id != delegation.id)
    cared_for = and_(
        Delegation.delegate_person_id == delegate_id,
        Delegation.kind == DelegationKind.CAREGIVER,
        _in_force(work.now),
    )
    check_room(kind, await _count(work, others), await _count(work, cared_for))
    # What has run out frees the pair for a new one.
    for old in await work.session.scalars(
        select(Delegation).where(pair, Delegation.revoked_at.is_(None))
    ):
        old.revoked_at = old.expires_at
    await work.session.flush()
    delegation.delegate_person_id = delegate_id
    delegation.accepted_at = work.now
    delegation.code_hash = None


async def _lock(work: Work, holder_id: UUID, delegate_id: UUID) -> RecordFacts:
    """Lock the holder's record and both persons, so that no count is passed by two at once."""
    statement = select(RECORDS).where(
        RECORDS.c.person_id == holder_id, RECORDS.c.state != "DELETED"
    )
    row = (await work.session.execute(statement.with_for_update(key_share=True))).first()
    if row is None:
        raise NotFound()
    persons = select(Person.id).where(Person.id.in_([holder_id, delegate_id])).order_by(Person.id)
    await work.session.execute(persons.with_for_update(key_share=True))
    return RecordFacts(row.id, row.person_id, row.state)


async def _count(work: Work, condition: ColumnElement[bool]) -> int:
    found = select(func.count()).select_from(Delegation).where(condition)
    return await work.session.scalar(found) or 0


def _in_force(now: datetime) -> ColumnElement[bool]:
    return and_(
        Delegation.accepted_at.is_not(None),
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > now),
    )


def _of_holder(holder_id: UUID, kind: DelegationKind, now: datetime) -> ColumnElement[bool]:
    pending = and_(
        Delegation.accepted_at.is_(None),
        Delegation.revoked_at.is_(None),
        Delegation.invitation_expires_at > now,
    )
    return and_(
        Delegation.holder_person_id == holder_id,
        Delegation.kind == kind,
        or_(pending, _in_force(now)),
    )


def _is_open(delegation: Delegation, now: datetime) -> bool:
    """Tell whether an invitation can still be accepted."""
    expires = delegation.invitation_expires_at
    return (
        delegation.accepted_at is None
        and delegation.revoked_at is None
        and expires is not None
        and expires > now
        and not _is_over(delegation, now)
    )


def _is_over(delegation: Delegation, now: datetime) -> bool:
    return delegation.expires_at is not None and delegation.expires_at <= now


def _rule(kind: DelegationKind) -> str:
    return "delegate.parent" if kind is DelegationKind.PARENT else "delegate.caregiver"
