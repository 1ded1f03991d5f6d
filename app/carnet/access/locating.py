"""How a professional names a patient whose record they do not see yet, and how rows are locked."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import exists, func, or_, select

from carnet.access.deciding import Deciding
from carnet.access.facts import READABLE_STATES, RECORDS, RecordFacts
from carnet.access.rules import Action
from carnet.access.tables import Block
from carnet.errors import AccessDenied, NotFound, Unauthenticated, ValidationFailed
from carnet.people.actor import Actor, Anonymous, Professional
from carnet.people.identifiers import is_national, normalize, spellings
from carnet.people.tables import Organization, Person, PersonIdentifier
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.values import Identifier, PartialDate

NOBODY = UUID(int=0)  # the id of no record


@dataclass(frozen=True, slots=True)
class PatientReference:
    """The national number and the date of birth that a patient gave to a professional."""

    identifier: Identifier = field(repr=False)
    birth_date: PartialDate = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grantee:
    """A professional, or all of an organization: exactly one of the two."""

    professional_id: UUID | None = None
    organization_id: UUID | None = None

    def columns(self) -> dict[str, UUID | None]:
        """Return the pair of columns that the tables of grants have."""
        return {"professional_id": self.professional_id, "organization_id": self.organization_id}


async def lock_record(work: Work, record_id: UUID) -> None:
    """Make this transaction the only one that changes the record, as all writers do."""
    locked = select(RECORDS.c.id).where(RECORDS.c.id == record_id)
    await work.session.execute(locked.with_for_update(key_share=True))


async def locate(actor: Actor, work: Work, patient: PatientReference) -> RecordFacts:
    """Return the record of the patient before the professional, locked.

    Number and date of birth must both be right; who is blocked finds nothing.

    Raises:
        AccessDenied: the actor is no professional.
        NotFound: no such patient, no open record, or the professional is blocked.
    """
    require_professional(actor)
    number = normalize(patient.identifier)
    if not is_national(number.system):
        raise ValidationFailed("A national number is needed.", path=("patient", "identifier"))
    same = or_(
        *(
            (PersonIdentifier.system == spelt.system) & (PersonIdentifier.value == spelt.value)
            for spelt in spellings(number)
        )
    )
    theirs = exists().where(
        PersonIdentifier.person_id == RECORDS.c.person_id, PersonIdentifier.is_national, same
    )
    born = exists().where(Person.id == RECORDS.c.person_id, Person.birth_date == patient.birth_date)
    found = select(RECORDS.c.id).where(theirs, born, RECORDS.c.state.in_(READABLE_STATES))
    # Whom nobody knows takes the same statements as who shut the professional out.
    record_id = await work.session.scalar(found) or NOBODY
    await lock_record(work, record_id)
    deciding = await Deciding.on(actor, work, [record_id])
    rule = deciding.decide(Action.SEE_RECORD, record_id).rule
    if record_id not in deciding.records or rule in ("access.blocked", "record.state"):
        raise NotFound()
    return deciding.records[record_id]


def require_professional(actor: Actor) -> Professional:
    """Return the actor when they are a professional.

    Raises:
        AccessDenied: they are not.
        Unauthenticated: nobody has signed in.
    """
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    if not isinstance(actor, Professional):
        raise AccessDenied("access.only-professionals")
    return actor


async def check_grantee(work: Work, grantee: Grantee) -> None:
    """Check that who is granted something is in the directory.

    Raises:
        NotFound: they are not.
        ValidationFailed: it is not exactly one professional or organization.
    """
    if (grantee.professional_id is None) is (grantee.organization_id is None):
        raise ValidationFailed("Name either a professional or an organization.")
    table = ProfessionalRow if grantee.professional_id is not None else Organization
    wanted = grantee.professional_id or grantee.organization_id
    known = select(func.count()).select_from(table).where(table.id == wanted)
    if not await work.session.scalar(known):
        raise NotFound()


async def blocked(work: Work, record_id: UUID, grantee: Grantee) -> bool:
    """Tell whether somebody, or the organization they work for, is shut out."""
    if grantee.professional_id is not None:
        works_at = select(ProfessionalRow.organization_id).where(
            ProfessionalRow.id == grantee.professional_id
        )
        theirs = or_(
            Block.professional_id == grantee.professional_id,
            Block.organization_id == works_at.scalar_subquery(),
        )
    else:
        theirs = Block.organization_id == grantee.organization_id
    standing = select(Block.id).where(
        Block.record_id == record_id, Block.lifted_at.is_(None), theirs
    )
    return await work.session.scalar(standing.limit(1)) is not None
