"""Consent to one consultation, for those outside the care team (L1111-17, R1111-46)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from carnet.access.deciding import Granted, require
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
from carnet.access.tables import Consent, ConsentBasis
from carnet.errors import AccessDenied, Conflict, NotFound, QuotaExceeded, ValidationFailed
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor
from carnet.store.database import Work

USUAL = timedelta(hours=24)
LONGEST = timedelta(days=30)
ATTESTED = timedelta(hours=24)  # what a professional attests is for one consultation
CONSENTS_LIMIT = 200  # in force at a time


async def give_consent(
    actor: Actor,
    work: Work,
    record_id: UUID,
    grantee: Grantee,
    expires_at: datetime | None = None,
) -> UUID:
    """Consent to a consultation by somebody outside the care team.

    Args:
        actor: the holder, or a delegate whose delegation covers access.
        work: the transaction.
        record_id: the record.
        grantee: who may read it.
        expires_at: until when; 24 hours, at most 30 days.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or nobody is so named.
        Conflict: they are blocked.
        ValidationFailed: the end is past or too far.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    await check_grantee(work, grantee)
    if await blocked(work, record_id, grantee):
        raise Conflict("They are blocked; lift the block first.")
    end = expires_at or work.now + USUAL
    if not work.now < end <= work.now + LONGEST:
        raise ValidationFailed("A consent ends within 30 days.", path=("expires_at",))
    consent_id = await _add(work, record_id, grantee, ConsentBasis.GIVEN, end)
    await granted.journal(
        JournalAction.GIVE_CONSENT,
        ObjectKind.CONSENT,
        consent_id,
        details={"basis": ConsentBasis.GIVEN.value},
    )
    return consent_id


async def attest_consent(actor: Actor, work: Work, patient: PatientReference) -> tuple[UUID, UUID]:
    """Attest that the patient consents to this consultation; it lasts 24 hours, and the holder
    is told.

    Returns:
        The ids of the record and of the consent.

    Raises:
        NotFound: see `locate`.
        AccessDenied: the holder accepts no attested consent.
    """
    me = require_professional(actor)
    record = await locate(actor, work, patient)
    if not record.settings.allows_attested_consent:
        raise AccessDenied("settings.no-attested-consent", "The holder consents in Carnet only.")
    grantee = Grantee(professional_id=me.professional_id)
    consent_id = await _add(work, record.id, grantee, ConsentBasis.ATTESTED, work.now + ATTESTED)
    fact = Fact(
        record.id,
        JournalAction.GIVE_CONSENT,
        "consent.attested",
        ObjectKind.CONSENT,
        (consent_id,),
        details={"basis": ConsentBasis.ATTESTED.value},
    )
    await write(actor, work, [fact])
    await notify(
        work,
        NotificationKind.CONSENT_ATTESTED,
        consent_id,
        person_id=record.person_id,
        record_id=record.id,
    )
    return record.id, consent_id


async def revoke_consent(actor: Actor, work: Work, record_id: UUID, consent_id: UUID) -> UUID:
    """Take a consent back before its end.

    Raises:
        NotFound, AccessDenied: the record is not the actor's to manage, or has no such consent
            in force.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    if not await revoke_consents(granted, work, [consent_id]):
        raise NotFound()
    return consent_id


async def revoke_consents(granted: Granted, work: Work, consent_ids: list[UUID]) -> list[UUID]:
    """Revoke consents of the record that are in force, and write it down."""
    if not consent_ids:
        return []
    revoked = await work.session.scalars(
        update(Consent)
        .where(
            Consent.id.in_(consent_ids),
            Consent.record_id == granted.record.id,
            Consent.revoked_at.is_(None),
            Consent.expires_at > work.now,
        )
        .values(revoked_at=work.now)
        .returning(Consent.id)
    )
    ids = list(revoked)
    if ids:
        await granted.journal(JournalAction.REVOKE_CONSENT, ObjectKind.CONSENT, *ids)
    return ids


async def _add(
    work: Work, record_id: UUID, grantee: Grantee, basis: ConsentBasis, expires_at: datetime
) -> UUID:
    in_force = (
        select(func.count())
        .select_from(Consent)
        .where(
            Consent.record_id == record_id,
            Consent.revoked_at.is_(None),
            Consent.expires_at > work.now,
        )
    )
    if (await work.session.scalar(in_force) or 0) >= CONSENTS_LIMIT:
        raise QuotaExceeded(f"At most {CONSENTS_LIMIT} consents are in force at a time.")
    consent = Consent(
        id=work.new_id(),
        record_id=record_id,
        basis=basis,
        given_at=work.now,
        expires_at=expires_at,
        **grantee.columns(),
    )
    work.session.add(consent)
    await work.session.flush()
    return consent.id
