"""Pages of what was granted on a record, for those who manage access to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, false, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.facts import RECORDS, SettingsFacts
from carnet.access.filters import record_visible, speaks_for
from carnet.access.queries import settings_facts
from carnet.access.tables import (
    AccessSettings,
    Block,
    CareTeamMember,
    Consent,
    Delegation,
    DelegationScope,
    EmergencyAccess,
)
from carnet.people.actor import Actor, Patient
from carnet.people.tables import Person
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many

Row = TypeVar("Row", CareTeamMember, Consent, Block, EmergencyAccess)


def managed_by(
    actor: Actor, now: datetime, record_id: InstrumentedAttribute[UUID]
) -> ColumnElement[bool]:
    """Return the one filter on grants: of a record that the actor manages access to."""
    record = RECORDS.alias()
    if not isinstance(actor, Patient):  # professionals see records, and manage none
        return false()
    return exists().where(
        record.c.id == record_id, record_visible(actor, now, record.c, DelegationScope.ACCESS)
    )


def delegations_visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the one filter on delegations: the delegate's own, and those of a holder whose
    access the actor manages."""
    managed = speaks_for(actor, now, Delegation.holder_person_id, DelegationScope.ACCESS)
    if isinstance(actor, Patient):
        return or_(managed, Delegation.delegate_person_id == actor.person_id)
    return managed


MEMBERS = Order("care-team.newest", CareTeamMember.informed_at.desc(), CareTeamMember.id.desc())
CONSENTS = Order("consents.newest", Consent.given_at.desc(), Consent.id.desc())
BLOCKS = Order("blocks.newest", Block.blocked_at.desc(), Block.id.desc())
EMERGENCIES = Order(
    "emergencies.newest", EmergencyAccess.started_at.desc(), EmergencyAccess.id.desc()
)
DELEGATIONS = Order("delegations.newest", Delegation.invited_at.desc(), Delegation.id.desc())


@dataclass(frozen=True, slots=True)
class SettingsView:
    """The settings of a record, and how often they were changed."""

    record_id: UUID
    facts: SettingsFacts
    revision: int


async def settings_of(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, SettingsView]:
    """Return the settings of those records that the actor manages access to."""
    record = RECORDS.alias()
    managed = select(record.c.id).where(
        record.c.id.in_(record_ids),
        record_visible(actor, work.now, record.c, DelegationScope.ACCESS),
        literal(isinstance(actor, Patient)),
    )
    ids = list(await work.session.scalars(managed))
    rows = await work.session.scalars(
        select(AccessSettings).where(AccessSettings.record_id.in_(ids))
    )
    chosen = {row.record_id: row for row in rows}
    return {
        id_: SettingsView(id_, settings_facts(chosen[id_]), chosen[id_].revision)
        if id_ in chosen
        else SettingsView(id_, SettingsFacts(), 0)
        for id_ in ids
    }


def _rows(actor: Actor, work: Work, table: type[Row], in_force: bool) -> Select[Row]:
    statement = select(table).where(managed_by(actor, work.now, table.record_id))
    if in_force:
        statement = statement.where(*_standing(table, work.now))
    return statement


def _standing(table: Any, now: datetime) -> list[ColumnElement[bool]]:
    if table is CareTeamMember:
        return [table.ended_at.is_(None)]
    if table is Block:
        return [table.lifted_at.is_(None)]
    if table is Consent:
        return [table.revoked_at.is_(None), table.expires_at > now]
    return [table.closed_at.is_(None), table.ends_at > now]


async def grant_pages(
    actor: Actor,
    work: Work,
    record_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    table: type[Row],
    in_force: bool,
) -> dict[UUID, Page[Row]]:
    """Return a page of one kind of grant for each record; only those in force, or all ever."""
    return await paginate_many(
        work,
        _rows(actor, work, table, in_force),
        order,
        request,
        parent=table.record_id,
        parents=record_ids,
    )


async def grant_counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID], table: type[Row], in_force: bool
) -> dict[UUID, int]:
    """Return how many grants of one kind each record has."""
    rows = _rows(actor, work, table, in_force)
    return await count_many(work, rows, parent=table.record_id, parents=record_ids)


async def _by_ids(
    actor: Actor, work: Work, ids: Collection[UUID], table: type[Row]
) -> dict[UUID, Row]:
    statement = _rows(actor, work, table, False).where(table.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def members(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, CareTeamMember]:
    """Return those of the memberships that the actor manages."""
    return await _by_ids(actor, work, ids, CareTeamMember)


async def consents(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Consent]:
    """Return those of the consents that the actor manages."""
    return await _by_ids(actor, work, ids, Consent)


async def blocks(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Block]:
    """Return those of the blocks that the actor manages."""
    return await _by_ids(actor, work, ids, Block)


async def emergencies(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, EmergencyAccess]:
    """Return those of the emergency accesses that the actor manages."""
    return await _by_ids(actor, work, ids, EmergencyAccess)


def _delegations(actor: Actor, work: Work, in_force: bool) -> Select[Delegation]:
    statement = select(Delegation).where(delegations_visible_to(actor, work.now))
    if in_force:
        statement = statement.where(
            Delegation.revoked_at.is_(None),
            or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
            or_(Delegation.accepted_at.is_not(None), Delegation.invitation_expires_at > work.now),
        )
    return statement


async def delegations(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Delegation]:
    """Return those of the delegations that the actor sees."""
    statement = _delegations(actor, work, False).where(Delegation.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def delegation_pages(
    actor: Actor,
    work: Work,
    person_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    side: str,
    in_force: bool,
) -> dict[UUID, Page[Delegation]]:
    """Return a page of delegations by each holder (side ``holder``) or to each delegate."""
    return await paginate_many(
        work,
        _delegations(actor, work, in_force),
        order,
        request,
        parent=_side(side),
        parents=person_ids,
    )


async def delegation_counts(
    actor: Actor, work: Work, person_ids: Sequence[UUID], side: str, in_force: bool
) -> dict[UUID, int]:
    """Return how many delegations each person gave or took."""
    rows = _delegations(actor, work, in_force)
    return await count_many(work, rows, parent=_side(side), parents=person_ids)


def _side(side: str) -> InstrumentedAttribute[Any]:
    return Delegation.holder_person_id if side == "holder" else Delegation.delegate_person_id


async def delegate_names(
    actor: Actor, work: Work, delegation_ids: Collection[UUID]
) -> dict[UUID, str]:
    """Return the names of the delegates in those of the delegations that the actor sees."""
    statement = (
        select(Delegation.id, Person)
        .join(Person, Person.id == Delegation.delegate_person_id)
        .where(Delegation.id.in_(delegation_ids), delegations_visible_to(actor, work.now))
    )
    return {
        id_: f"{' '.join(person.given_names[:1])} "
        f"{person.used_family_name or person.birth_family_name}".strip()
        for id_, person in await work.session.execute(statement)
    }
