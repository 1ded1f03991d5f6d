"""Reads that a decision is made from: facts of records and documents, and grants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from carnet.access.facts import (
    DOCUMENTS,
    RECORDS,
    BlockGrant,
    ConsentGrant,
    DelegationGrant,
    DocumentFacts,
    EmergencyGrant,
    Grants,
    Membership,
    Practice,
    RecordFacts,
    SettingsFacts,
)
from carnet.access.tables import (
    AccessSettings,
    Block,
    CareTeamMember,
    Consent,
    Delegation,
    DelegationScope,
    EmergencyAccess,
    Habilitation,
    HabilitationLevel,
)
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work


async def records(work: Work, record_ids: Collection[UUID]) -> dict[UUID, RecordFacts]:
    """Return what of the records decides. Whoever calls it answers with a decision only."""
    found = select(RECORDS).where(RECORDS.c.id.in_(record_ids))
    rows = (await work.session.execute(found)).all()
    chosen = await settings(work, record_ids)
    return {
        row.id: RecordFacts(row.id, row.person_id, row.state, chosen.get(row.id, SettingsFacts()))
        for row in rows
    }


async def settings(work: Work, record_ids: Collection[UUID]) -> dict[UUID, SettingsFacts]:
    """Return the settings of those records that have other than the defaults."""
    rows = await work.session.scalars(
        select(AccessSettings).where(AccessSettings.record_id.in_(record_ids))
    )
    return {row.record_id: settings_facts(row) for row in rows}


def settings_facts(row: AccessSettings) -> SettingsFacts:
    """Return the row as facts."""
    return SettingsFacts(
        is_masked_by_default=row.is_masked_by_default,
        hide_results_days=row.hide_results_days,
        allows_regulation_centre=row.allows_regulation_centre,
        allows_break_glass=row.allows_break_glass,
        shows_masked_in_emergency=row.shows_masked_in_emergency,
        allows_attested_consent=row.allows_attested_consent,
    )


async def documents(work: Work, document_ids: Collection[UUID]) -> dict[UUID, DocumentFacts]:
    """Return what of the documents decides. Whoever calls it answers with a decision only."""
    rows = await work.session.execute(select(DOCUMENTS).where(DOCUMENTS.c.id.in_(document_ids)))
    return {row.id: document_facts(row) for row in rows}


def document_facts(row: Any) -> DocumentFacts:
    """Return a document's row, of whatever select, as facts."""
    return DocumentFacts(
        id=row.id,
        status=str(row.status),
        category=str(row.category),
        type_code=row.type_code,
        is_masked=row.is_masked,
        hidden_from_holder_until=row.hidden_from_holder_until,
        is_hidden_from_representatives=row.is_hidden_from_representatives,
        author_rpps=tuple(row.author_rpps),
        depositor=str(row.depositor),
        depositor_account_id=row.depositor_account_id,
        deposited_at=row.deposited_at,
    )


async def grants(actor: Actor, work: Work, facts: Mapping[UUID, RecordFacts]) -> dict[UUID, Grants]:
    """Return what the actor was granted on each of the records, in a few reads for all."""
    match actor:
        case Patient(person_id=person_id):
            return await _of_delegate(work, person_id, facts)
        case Professional(professional_id=professional_id):
            return await _of_professional(work, professional_id, facts)
    return {record_id: Grants() for record_id in facts}


async def _of_delegate(
    work: Work, person_id: UUID, facts: Mapping[UUID, RecordFacts]
) -> dict[UUID, Grants]:
    holders = {fact.person_id for fact in facts.values()} - {person_id}
    held: dict[UUID, list[DelegationGrant]] = defaultdict(list)
    statement = select(Delegation).where(
        Delegation.holder_person_id.in_(holders), Delegation.delegate_person_id == person_id
    )
    for row in await work.session.scalars(statement):
        if row.accepted_at is not None:
            scopes = frozenset(DelegationScope(scope) for scope in row.scopes)
            held[row.holder_person_id].append(
                DelegationGrant(row.kind, scopes, row.accepted_at, row.expires_at, row.revoked_at)
            )
    return {
        record_id: Grants(delegations=tuple(held[fact.person_id]))
        for record_id, fact in facts.items()
    }


async def _of_professional(
    work: Work, professional_id: UUID, facts: Mapping[UUID, RecordFacts]
) -> dict[UUID, Grants]:
    known = await work.session.get(ProfessionalRow, professional_id)
    if known is None:
        return {record_id: Grants() for record_id in facts}
    practice = Practice(known.rpps, await levels(work, known.profession_code))
    organization_id = known.organization_id

    def granted(table: Any) -> ColumnElement[bool]:
        theirs: ColumnElement[bool] = table.professional_id == professional_id
        return or_(theirs, table.organization_id == organization_id) if organization_id else theirs

    async def rows(statement: Select[Any]) -> dict[UUID, list[Any]]:
        found: dict[UUID, list[Any]] = defaultdict(list)
        for row in await work.session.scalars(statement):
            found[row.record_id].append(row)
        return found

    ids = list(facts)
    teams = await rows(
        select(CareTeamMember).where(CareTeamMember.record_id.in_(ids), granted(CareTeamMember))
    )
    consents = await rows(select(Consent).where(Consent.record_id.in_(ids), granted(Consent)))
    blocks = await rows(select(Block).where(Block.record_id.in_(ids), granted(Block)))
    emergencies = await rows(
        select(EmergencyAccess).where(
            EmergencyAccess.record_id.in_(ids), EmergencyAccess.professional_id == professional_id
        )
    )
    return {
        id_: Grants(
            memberships=tuple(Membership(row.role, row.ended_at) for row in teams[id_]),
            consents=tuple(
                ConsentGrant(row.basis, row.expires_at, row.revoked_at) for row in consents[id_]
            ),
            blocks=tuple(BlockGrant(row.lifted_at) for row in blocks[id_]),
            emergencies=tuple(
                EmergencyGrant(row.kind, row.ends_at, row.closed_at) for row in emergencies[id_]
            ),
            practice=practice,
        )
        for id_ in ids
    }


async def levels(work: Work, profession_code: str) -> dict[str, HabilitationLevel]:
    """Return the row of the habilitation matrix for a profession."""
    statement = select(Habilitation.type_code, Habilitation.level).where(
        Habilitation.profession_code == profession_code
    )
    return {type_code: level for type_code, level in await work.session.execute(statement)}
