"""Whose an account is, or will be: who may begin one, and what it is found by."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select

from carnet.access.facts import RECORDS
from carnet.access.filters import delegated, speaks_for
from carnet.access.tables import DelegationKind, DelegationScope
from carnet.errors import NotFound, QuotaExceeded, ValidationFailed
from carnet.messaging.rules import denied
from carnet.messaging.tables import MessagingAccount, MessagingAccountKind
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Organization, Person
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet_crypto.directory import professional_label
from carnet_crypto.values import Label32

MOST_TEAMS = 50  # of one organization
MOST_TEAM_NAME = 100  # characters


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an account will be: the actor's own where nothing is said."""

    person_id: UUID | None = None  # somebody the actor acts for
    organization_id: UUID | None = None  # where the actor works
    team: str | None = None  # a team of that organization


@dataclass(frozen=True, slots=True)
class Owned:
    """An owner that the actor may begin an account for."""

    kind: MessagingAccountKind
    columns: dict[str, Any]  # of `MessagingAccount`
    may_replace: bool  # an account that is there already

    @property
    def theirs(self) -> tuple[ColumnElement[bool], ...]:
        """What picks all accounts that this owner has or had."""
        same = [getattr(MessagingAccount, name) == value for name, value in self.columns.items()]
        return (MessagingAccount.kind == self.kind, *same)


async def person_of(actor: Actor, work: Work, record_id: UUID) -> UUID:
    """Return whose record it is, where the actor is they or acts for them in messages.

    Raises:
        NotFound: it is not theirs to act for.
    """
    record = RECORDS.alias()
    speaks = speaks_for(actor, work.now, record.c.person_id, DelegationScope.MESSAGES)
    found = select(record.c.person_id).where(record.c.id == record_id, speaks)
    person_id: UUID | None = await work.session.scalar(found)
    if person_id is None:
        raise NotFound()
    return person_id


async def find(actor: Actor, work: Work, owner: Owner) -> Owned:
    """Return the owner, with their row locked: of two beginnings for one owner, one is first.

    Raises:
        AccessDenied: such an owner is not for such an actor.
        NotFound: the owner is not the actor's to act for.
        ValidationFailed: a team's name is empty or too long.
        QuotaExceeded: the organization has as many teams as there may be.
    """
    match actor:
        case Patient(person_id=own) if owner.organization_id is None and owner.team is None:
            return await _person(work, own, owner.person_id or own)
        case Professional(professional_id=own) if owner.person_id is None:
            if owner.organization_id is None and owner.team is None:
                await _lock(work, ProfessionalRow, own)
                kind = MessagingAccountKind.PROFESSIONAL
                return Owned(kind, {"professional_id": own}, True)
            return await _organization(work, own, owner)
    raise denied("messaging.no-owner")


async def label_of(work: Work, owned: Owned) -> Label32:
    """Return what the owner's bindings are found by: public for who is in a public register.

    An organization's number goes with the name of the register that gave it: else whoever is
    registered as an organization with somebody's number would share their label.
    """
    if owned.kind is MessagingAccountKind.PROFESSIONAL:
        row = await work.session.get_one(ProfessionalRow, owned.columns["professional_id"])
        return professional_label(row.rpps)
    if owned.kind is MessagingAccountKind.ORGANIZATION:
        found = await work.session.get_one(Organization, owned.columns["organization_id"])
        if found.identifier_value is not None:
            return professional_label(f"{found.identifier_system}|{found.identifier_value}")
    former = select(MessagingAccount.label).where(*owned.theirs).limit(1)
    return Label32(await work.session.scalar(former) or token_bytes(Label32.SIZE))


async def _person(work: Work, own: UUID, person_id: UUID) -> Owned:
    if person_id != own:
        acts = delegated(own, work.now, Person.id, DelegationScope.MESSAGES)
        if not await work.session.scalar(select(exists().where(Person.id == person_id, acts))):
            raise NotFound()
    await _lock(work, Person, person_id)
    is_parent = delegated(own, work.now, Person.id, kind=DelegationKind.PARENT)
    may = person_id == own or await work.session.scalar(
        select(exists().where(Person.id == person_id, is_parent))
    )
    return Owned(MessagingAccountKind.PERSON, {"person_id": person_id}, bool(may))


async def _organization(work: Work, professional_id: UUID, owner: Owner) -> Owned:
    works_at = select(ProfessionalRow.organization_id).where(ProfessionalRow.id == professional_id)
    organization_id = await work.session.scalar(works_at)
    if organization_id is None or owner.organization_id not in (None, organization_id):
        raise NotFound()
    await _lock(work, Organization, organization_id)
    columns: dict[str, Any] = {"organization_id": organization_id}
    if owner.team is None:
        return Owned(MessagingAccountKind.ORGANIZATION, columns, True)
    name = owner.team.strip()
    if not 1 <= len(name) <= MOST_TEAM_NAME or "\x00" in name:
        raise ValidationFailed(
            f"A team's name has 1 to {MOST_TEAM_NAME} characters.", path=("team",)
        )
    teams = select(func.count()).where(
        MessagingAccount.organization_id == organization_id,
        MessagingAccount.kind == MessagingAccountKind.TEAM,
        MessagingAccount.name != name,
        MessagingAccount.ended_at.is_(None),
    )
    if (await work.session.scalar(teams) or 0) >= MOST_TEAMS:
        raise QuotaExceeded(f"An organization has at most {MOST_TEAMS} teams.")
    return Owned(MessagingAccountKind.TEAM, {**columns, "name": name}, True)


async def _lock(
    work: Work, table: type[Person | ProfessionalRow | Organization], id_: UUID
) -> None:
    await work.session.execute(
        select(table.id).where(table.id == id_).with_for_update(key_share=True)
    )
