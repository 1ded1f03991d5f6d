"""Reaching a record in an emergency: for a time, with a reason, and told afterwards (R1111-48)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select

from carnet.access.care_team import attending_doctor
from carnet.access.deciding import Deciding
from carnet.access.facts import RecordFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, salted_digest, write
from carnet.access.lists import managed_by
from carnet.access.locating import PatientReference, locate, lock_record, require_professional
from carnet.access.rules import Action
from carnet.access.tables import Delegation, DelegationScope, EmergencyAccess, EmergencyKind
from carnet.errors import AccessDenied, NotFound, ValidationFailed
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Professional
from carnet.people.tables import Organization
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work

DURATION = timedelta(hours=4)
SHORTEST_REASON, LONGEST_REASON = 10, 1000  # characters

RULES = {
    EmergencyKind.REGULATION_CENTRE: "emergency.regulation-centre",
    EmergencyKind.BREAK_GLASS: "emergency.break-glass",
}


async def open_emergency(
    actor: Actor, work: Work, patient: PatientReference, kind: EmergencyKind, reason: str
) -> tuple[UUID, UUID]:
    """Open a record for four hours because of an emergency.

    The holder, those who manage access for them and the attending doctor are told; the journal
    flags it and holds a digest of the reason. An access of that kind that is open already, by the
    same professional, is the answer to a second call.

    Returns:
        The ids of the record and of the access.

    Raises:
        NotFound: see `locate`.
        AccessDenied: the holder wants no such access, or the professional is of no centre.
        ValidationFailed: the reason has less than 10 characters.
    """
    me = require_professional(actor)
    words = " ".join(reason.split())
    if not SHORTEST_REASON <= len(words) <= LONGEST_REASON:
        raise ValidationFailed(
            f"Give a reason of {SHORTEST_REASON} to {LONGEST_REASON} characters.",
            path=("reason",),
        )
    await _check_place(me, work, kind)  # first: a refusal here tells nothing of any patient
    record = await locate(actor, work, patient)
    _check_allowed(record, kind)
    known = await work.session.scalar(
        select(EmergencyAccess.id).where(
            EmergencyAccess.record_id == record.id,
            EmergencyAccess.professional_id == me.professional_id,
            EmergencyAccess.kind == kind,
            EmergencyAccess.closed_at.is_(None),
            EmergencyAccess.ends_at > work.now,
        )
    )
    if known is not None:
        return record.id, known
    salt, digest = salted_digest(words)
    access = EmergencyAccess(
        id=work.new_id(),
        record_id=record.id,
        professional_id=me.professional_id,
        kind=kind,
        reason=words,
        reason_salt=salt,
        started_at=work.now,
        ends_at=work.now + DURATION,
    )
    work.session.add(access)
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.OPEN_EMERGENCY,
        RULES[kind],
        ObjectKind.EMERGENCY_ACCESS,
        (access.id,),
        is_emergency=True,
        text_digest=digest,
    )
    await write(actor, work, [fact])
    await _report(work, record, access)
    return record.id, access.id


async def close_emergency(actor: Actor, work: Work, access_id: UUID) -> UUID:
    """End an emergency access before its time: by its professional, or by who manages access.

    Returns:
        The id of the access.

    Raises:
        NotFound: there is none, or it is not theirs; or it is over.
    """
    theirs = managed_by(actor, work.now, EmergencyAccess.record_id)
    if isinstance(actor, Professional):
        theirs = EmergencyAccess.professional_id == actor.professional_id
    open_ = EmergencyAccess.closed_at.is_(None), EmergencyAccess.ends_at > work.now
    seen = select(EmergencyAccess).where(EmergencyAccess.id == access_id, theirs, *open_)
    access = await work.session.scalar(seen)
    if access is None:
        raise NotFound()
    await lock_record(work, access.record_id)
    deciding = await Deciding.on(actor, work, [access.record_id])
    decision = deciding.decide(Action.MANAGE_ACCESS, access.record_id)
    own = isinstance(actor, Professional)
    await work.session.refresh(access, with_for_update=True)
    if access.closed_at is not None or not (decision.is_allowed or own):
        raise NotFound()
    access.closed_at = work.now
    await work.session.flush()
    fact = Fact(
        access.record_id,
        JournalAction.CLOSE_EMERGENCY,
        decision.rule if decision.is_allowed else RULES[access.kind],
        ObjectKind.EMERGENCY_ACCESS,
        (access.id,),
        deciding.behalf(access.record_id),
        is_emergency=own,
    )
    await write(actor, work, [fact])
    return access.id


async def _check_place(me: Professional, work: Work, kind: EmergencyKind) -> None:
    if kind is not EmergencyKind.REGULATION_CENTRE:
        return
    centre = (
        select(Organization.is_regulation_centre)
        .join(ProfessionalRow, ProfessionalRow.organization_id == Organization.id)
        .where(ProfessionalRow.id == me.professional_id)
    )
    if not await work.session.scalar(centre):
        raise AccessDenied("emergency.not-a-centre", "You do not work at a regulation centre.")


def _check_allowed(record: RecordFacts, kind: EmergencyKind) -> None:
    settings = record.settings
    if kind is EmergencyKind.REGULATION_CENTRE:
        if not settings.allows_regulation_centre:
            raise AccessDenied("settings.no-regulation-centre", "The holder does not wish it.")
    elif not settings.allows_break_glass:
        raise AccessDenied("settings.no-break-glass", "The holder does not wish it.")


async def _report(work: Work, record: RecordFacts, access: EmergencyAccess) -> None:
    managers = select(Delegation.delegate_person_id).where(
        Delegation.holder_person_id == record.person_id,
        Delegation.accepted_at.is_not(None),
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
        Delegation.scopes.contains([DelegationScope.ACCESS.value]),
    )
    for person_id in [record.person_id, *(await work.session.scalars(managers))]:
        await notify(
            work,
            NotificationKind.EMERGENCY_ACCESS,
            access.id,
            person_id=person_id,
            record_id=record.id,
        )
    doctor = await attending_doctor(work, record.id)
    if doctor is not None and doctor != access.professional_id:
        await notify(
            work,
            NotificationKind.EMERGENCY_ACCESS,
            access.id,
            professional_id=doctor,
            record_id=record.id,
        )


async def record_of(actor: Actor, work: Work, access_id: UUID) -> UUID:
    """Return the record of an emergency access of the actor's own.

    Raises:
        NotFound: it is not theirs.
    """
    me = require_professional(actor)
    statement = select(EmergencyAccess.record_id).where(
        EmergencyAccess.id == access_id, EmergencyAccess.professional_id == me.professional_id
    )
    record_id = await work.session.scalar(statement)
    if record_id is None:
        raise NotFound()
    return record_id
