"""Who is what to whom in the sandbox: parents, a caregiver, care teams, an attending doctor."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select

from carnet.access.care_team import name_member
from carnet.access.delegations import accept, invite, register_parent
from carnet.access.locating import Grantee
from carnet.access.tables import CareTeamRole, DelegationKind, DelegationScope
from carnet.people.actor import Assurance, Operator, Patient
from carnet.people.tables import Account
from carnet.records.tables import Record
from carnet.store.database import Work

DOMAIN = "sandbox.carnet"

PARENTS = (("camille", "lea"), ("camille", "hugo"))
CAREGIVERS = (("jeanne", "andre", frozenset(DelegationScope) - {DelegationScope.MESSAGES}),)
TEAMS = (
    ("camille", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("lea", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("hugo", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("marc", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("jeanne", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("jeanne", "haddad", CareTeamRole.MEMBER),
    ("andre", "bernard", CareTeamRole.ATTENDING_DOCTOR),
    ("andre", "bernard", CareTeamRole.ADMINISTRATOR),
    ("andre", "roche", CareTeamRole.MEMBER),
    ("andre", "haddad", CareTeamRole.MEMBER),
)
"""Holder, professional, role. Nobody has let the radiologist or the regulation centre in: they
are there to try consent and emergencies with."""


def login_of(handle: str) -> str:
    """Return the login of a persona."""
    return f"{handle}@{DOMAIN}"


async def relate(console: Operator, work: Work, professionals: Mapping[str, UUID]) -> None:
    """Make the relations, as the persons themselves would. Once only."""
    for parent, child in PARENTS:
        one, other = await _holder(work, parent), await _holder(work, child)
        await register_parent(console, work, other.person_id, one.person_id)
    for caregiver, holder, scopes in CAREGIVERS:
        theirs = await _holder(work, holder)
        record_id = await _record(work, theirs)
        invitation = await invite(theirs, work, record_id, DelegationKind.CAREGIVER, scopes)
        await accept(await _holder(work, caregiver), work, invitation.code)
    for holder, professional, role in TEAMS:
        theirs = await _holder(work, holder)
        record_id = await _record(work, theirs)
        grantee = Grantee(professional_id=professionals[professional])
        await name_member(theirs, work, record_id, grantee, role)


async def _holder(work: Work, handle: str) -> Patient:
    account = (
        await work.session.scalars(select(Account).where(Account.login == login_of(handle)))
    ).one()
    if account.person_id is None:
        raise LookupError(handle)
    return Patient(account.person_id, account.id, Assurance.SANDBOX)


async def _record(work: Work, patient: Patient) -> UUID:
    statement = select(Record.id).where(Record.person_id == patient.person_id)
    return (await work.session.scalars(statement)).one()
