"""The care team: who is deemed authorized because they care for the holder (R1111-46, L1111-17)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, update

from carnet.access.deciding import Granted, require
from carnet.access.events import DocumentEventKind, tell_masked
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.locating import (
    Grantee,
    PatientReference,
    blocked,
    check_grantee,
    locate,
    lock_record,
    require_professional,
)
from carnet.access.rules import Action
from carnet.access.tables import CareTeamBasis, CareTeamMember, CareTeamRole
from carnet.errors import Conflict, NotFound, QuotaExceeded, ValidationFailed
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work

MEMBERS_LIMIT = 200  # of one care team at a time


async def name_member(
    actor: Actor, work: Work, record_id: UUID, grantee: Grantee, role: CareTeamRole
) -> UUID:
    """Name a professional or organization to the care team; a new attending doctor takes the
    place of the former.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or nobody is so named.
        Conflict: they have that role already, or are blocked.
        ValidationFailed: an organization cannot have that role.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    await check_grantee(work, grantee)
    if role is not CareTeamRole.MEMBER and grantee.professional_id is None:
        raise ValidationFailed("Only a professional can have that role.", path=("role",))
    if await blocked(work, record_id, grantee):
        raise Conflict("They are blocked; lift the block first.")
    if role is CareTeamRole.ATTENDING_DOCTOR:
        former = select(CareTeamMember.id).where(
            CareTeamMember.record_id == record_id,
            CareTeamMember.role == role,
            CareTeamMember.ended_at.is_(None),
            CareTeamMember.professional_id != grantee.professional_id,
        )
        await end_members(granted, work, list(await work.session.scalars(former)))
    member_id = await _add(work, record_id, grantee, role, CareTeamBasis.NAMED)
    await granted.journal(
        JournalAction.JOIN_CARE_TEAM,
        ObjectKind.CARE_TEAM_MEMBER,
        member_id,
        details={"role": role.value, "basis": CareTeamBasis.NAMED.value},
    )
    return member_id


async def join_care_team(
    actor: Actor,
    work: Work,
    patient: PatientReference,
    *,
    holder_was_informed: bool,
    with_organization: bool = False,
) -> tuple[UUID, UUID]:
    """Declare oneself, or one's organization, part of a patient's care team.

    The holder was informed by the professional, who states it; Carnet tells them too, and they
    object by ending the membership or by blocking.

    Returns:
        The ids of the record and of the membership, which may have stood already.

    Raises:
        NotFound: see `locate`.
        ValidationFailed: the holder was not informed, or the professional has no organization.
    """
    me = require_professional(actor)
    if not holder_was_informed:
        raise ValidationFailed(
            "The holder must be informed before (R1111-46).", path=("holder_was_informed",)
        )
    grantee = Grantee(professional_id=me.professional_id)
    if with_organization:
        works_at = select(ProfessionalRow.organization_id).where(
            ProfessionalRow.id == me.professional_id
        )
        organization_id = await work.session.scalar(works_at)
        if organization_id is None:
            raise ValidationFailed("You have no organization.", path=("with_organization",))
        grantee = Grantee(organization_id=organization_id)
    record = await locate(actor, work, patient)
    known = await _standing(work, record.id, grantee, CareTeamRole.MEMBER)
    if known is not None:
        return record.id, known
    member_id = await _add(work, record.id, grantee, CareTeamRole.MEMBER, CareTeamBasis.DECLARED)
    fact = Fact(
        record.id,
        JournalAction.JOIN_CARE_TEAM,
        "care-team.declared",
        ObjectKind.CARE_TEAM_MEMBER,
        (member_id,),
        details={"role": CareTeamRole.MEMBER.value, "basis": CareTeamBasis.DECLARED.value},
    )
    await write(actor, work, [fact])
    await notify(
        work,
        NotificationKind.CARE_TEAM_JOINED,
        member_id,
        person_id=record.person_id,
        record_id=record.id,
    )
    return record.id, member_id


async def end_membership(actor: Actor, work: Work, record_id: UUID, member_id: UUID) -> UUID:
    """Take somebody out of the care team: the objection of R1111-46.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or has no such member.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    if not await end_members(granted, work, [member_id]):
        raise NotFound()
    return member_id


async def end_members(granted: Granted, work: Work, member_ids: list[UUID]) -> list[UUID]:
    """End memberships of the record that stand, and write it down."""
    if not member_ids:
        return []
    ended = await work.session.scalars(
        update(CareTeamMember)
        .where(
            CareTeamMember.id.in_(member_ids),
            CareTeamMember.record_id == granted.record.id,
            CareTeamMember.ended_at.is_(None),
        )
        .values(ended_at=work.now)
        .returning(CareTeamMember)
    )
    members = list(ended)
    ids = [member.id for member in members]
    if ids:
        await granted.journal(JournalAction.LEAVE_CARE_TEAM, ObjectKind.CARE_TEAM_MEMBER, *ids)
    administrators = {
        member.professional_id
        for member in members
        if member.role is CareTeamRole.ADMINISTRATOR and member.professional_id is not None
    }
    if administrators:
        kind = DocumentEventKind.CONFINED
        await tell_masked(work, granted.record.id, kind, administrators)
    return ids


async def attending_doctor(work: Work, record_id: UUID) -> UUID | None:
    """Return the holder's attending doctor, if one is named."""
    statement = select(CareTeamMember.professional_id).where(
        CareTeamMember.record_id == record_id,
        CareTeamMember.role == CareTeamRole.ATTENDING_DOCTOR,
        CareTeamMember.ended_at.is_(None),
    )
    return await work.session.scalar(statement)


async def _standing(
    work: Work, record_id: UUID, grantee: Grantee, role: CareTeamRole
) -> UUID | None:
    statement = select(CareTeamMember.id).where(
        CareTeamMember.record_id == record_id,
        CareTeamMember.professional_id.is_not_distinct_from(grantee.professional_id),
        CareTeamMember.organization_id.is_not_distinct_from(grantee.organization_id),
        CareTeamMember.role == role,
        CareTeamMember.ended_at.is_(None),
    )
    return await work.session.scalar(statement)


async def _add(
    work: Work, record_id: UUID, grantee: Grantee, role: CareTeamRole, basis: CareTeamBasis
) -> UUID:
    if await _standing(work, record_id, grantee, role) is not None:
        raise Conflict("They have this role already.")
    standing = (
        select(func.count())
        .select_from(CareTeamMember)
        .where(CareTeamMember.record_id == record_id, CareTeamMember.ended_at.is_(None))
    )
    if (await work.session.scalar(standing) or 0) >= MEMBERS_LIMIT:
        raise QuotaExceeded(f"A care team has at most {MEMBERS_LIMIT} members.")
    member = CareTeamMember(
        id=work.new_id(),
        record_id=record_id,
        role=role,
        basis=basis,
        informed_at=work.now,
        **grantee.columns(),
    )
    work.session.add(member)
    await work.session.flush()
    return member.id
