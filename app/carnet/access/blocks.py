"""Shutting a professional or an organization out of a record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update

from carnet.access.care_team import end_members
from carnet.access.consents import revoke_consents
from carnet.access.deciding import Granted, require
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.locating import Grantee, check_grantee, lock_record
from carnet.access.rules import Action
from carnet.access.tables import Block, CareTeamMember, Consent, EmergencyAccess
from carnet.errors import Conflict, NotFound, QuotaExceeded
from carnet.people.actor import Actor
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work

BLOCKS_LIMIT = 500  # standing at a time


async def block(actor: Actor, work: Work, record_id: UUID, grantee: Grantee) -> UUID:
    """Shut somebody out, and end what they were granted or took in an emergency: lifting the
    block gives nothing back.

    Blocking an organization shuts out all who work there.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or nobody is so named.
        Conflict: they are blocked already.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    await check_grantee(work, grantee)
    standing = select(Block.professional_id, Block.organization_id).where(
        Block.record_id == record_id, Block.lifted_at.is_(None)
    )
    known = [tuple(row) for row in await work.session.execute(standing)]
    if (grantee.professional_id, grantee.organization_id) in known:
        raise Conflict("They are blocked already.")
    if len(known) >= BLOCKS_LIMIT:
        raise QuotaExceeded(f"At most {BLOCKS_LIMIT} are blocked at a time.")
    row = Block(id=work.new_id(), record_id=record_id, blocked_at=work.now, **grantee.columns())
    work.session.add(row)
    await work.session.flush()
    members = select(CareTeamMember.id).where(
        CareTeamMember.record_id == record_id, _of(CareTeamMember, grantee)
    )
    await end_members(granted, work, list(await work.session.scalars(members)))
    consents = select(Consent.id).where(Consent.record_id == record_id, _of(Consent, grantee))
    await revoke_consents(granted, work, list(await work.session.scalars(consents)))
    await _close_emergencies(granted, work, grantee)
    await granted.journal(JournalAction.BLOCK, ObjectKind.BLOCK, row.id)
    return row.id


async def lift_block(actor: Actor, work: Work, record_id: UUID, block_id: UUID) -> UUID:
    """Let somebody be granted access again; they have none until then.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or has no such block.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    lifted = await work.session.scalar(
        update(Block)
        .where(Block.id == block_id, Block.record_id == record_id, Block.lifted_at.is_(None))
        .values(lifted_at=work.now)
        .returning(Block.id)
    )
    if lifted is None:
        raise NotFound()
    await granted.journal(JournalAction.UNBLOCK, ObjectKind.BLOCK, block_id)
    return block_id


async def _close_emergencies(granted: Granted, work: Work, grantee: Grantee) -> None:
    closed = await work.session.scalars(
        update(EmergencyAccess)
        .where(
            EmergencyAccess.record_id == granted.record.id,
            _personal(EmergencyAccess, grantee),
            EmergencyAccess.closed_at.is_(None),
            EmergencyAccess.ends_at > work.now,
        )
        .values(closed_at=work.now)
        .returning(EmergencyAccess.id)
    )
    ids = list(closed)
    if ids:
        await granted.journal(JournalAction.CLOSE_EMERGENCY, ObjectKind.EMERGENCY_ACCESS, *ids)


def _of(table: Any, grantee: Grantee) -> ColumnElement[bool]:
    """Return whether a grant is theirs, or that of one who works for them."""
    personal = _personal(table, grantee)
    if grantee.organization_id is None:
        return personal
    return or_(table.organization_id == grantee.organization_id, personal)


def _personal(table: Any, grantee: Grantee) -> ColumnElement[bool]:
    """Return whether a grant to one professional is theirs, or of one who works for them."""
    theirs: ColumnElement[bool] = table.professional_id == grantee.professional_id
    if grantee.professional_id is None:
        staff = select(ProfessionalRow.id).where(
            ProfessionalRow.organization_id == grantee.organization_id
        )
        theirs = table.professional_id.in_(staff)
    return theirs
