"""Small worlds for tests: rows of people and records, made the shortest way."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from carnet.access.care_team import name_member
from carnet.access.delegations import register_parent
from carnet.access.locating import Grantee
from carnet.access.tables import CareTeamRole, Delegation, DelegationKind, DelegationScope
from carnet.documents.tables import DepositorKind, Document, DocumentCategory, DocumentStatus
from carnet.people import tables as people
from carnet.people.actor import CONSOLE, Assurance, Patient, Professional, Publisher
from carnet.people.identifiers import INS_NIR
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database
from carnet.values import PartialDate

_numbers = count(1)


def national_number() -> str:
    """Return a national number that nobody has yet; its key is left out."""
    return f"28005{next(_numbers):08d}"


def a_patient() -> Patient:
    """Return a patient who exists nowhere."""
    return Patient(uuid4(), uuid4(), Assurance.SANDBOX)


async def holder(
    database: Database,
    state: RecordState = RecordState.OPEN,
    *,
    born: str = "1980-05-04",
    ins: str | None = None,
) -> Patient:
    """Return a patient with an account, a record in this state and, if given, this number."""
    async with database.write() as work:
        person = people.Person(
            id=work.new_id(),
            birth_family_name="DUPONT",
            given_names=["Alix"],
            birth_date=PartialDate(born),
            sex=people.Sex.FEMALE,
            created_at=work.now,
        )
        work.session.add(person)
        await work.session.flush()
        account = people.Account(
            id=work.new_id(),
            kind=people.AccountKind.PATIENT,
            person_id=person.id,
            login=f"{uuid4()}@example.org",
            created_at=work.now,
        )
        record = Record(id=work.new_id(), person_id=person.id, state=state, created_at=work.now)
        work.session.add_all([account, record])
        if ins is not None:
            number = people.PersonIdentifier(
                id=work.new_id(), person_id=person.id, system=INS_NIR, value=ins, is_national=True
            )
            work.session.add(number)
        return Patient(person.id, account.id, Assurance.SANDBOX)


async def record_of(database: Database, patient: Patient) -> UUID:
    """Return the id of the patient's record."""
    async with database.read() as work:
        found = await work.session.scalar(
            select(Record.id).where(Record.person_id == patient.person_id)
        )
    assert found is not None
    return found


async def publisher(database: Database, *, may_register: bool = True) -> Publisher:
    """Return a publisher."""
    async with database.write() as work:
        row = people.Publisher(
            id=work.new_id(),
            name=f"publisher {uuid4()}",
            secret_hash=token_bytes(32),
            may_register_persons=may_register,
            created_at=work.now,
        )
        work.session.add(row)
        return Publisher(row.id)


async def organization(database: Database, *, is_regulation_centre: bool = False) -> UUID:
    """Return the id of an organization."""
    async with database.write() as work:
        row = people.Organization(
            id=work.new_id(),
            name=f"organization {uuid4()}",
            is_regulation_centre=is_regulation_centre,
            created_at=work.now,
        )
        work.session.add(row)
        return row.id


async def professional(
    database: Database, organization_id: UUID | None = None, *, profession: str = "10"
) -> Professional:
    """Return a professional with an account; a doctor unless said otherwise."""
    async with database.write() as work:
        row = people.Professional(
            id=work.new_id(),
            rpps=f"{10_000_000_000 + next(_numbers)}",
            family_name="FAURE",
            given_name="Lou",
            profession_code=profession,
            organization_id=organization_id,
            created_at=work.now,
        )
        work.session.add(row)
        await work.session.flush()
        account = people.Account(
            id=work.new_id(),
            kind=people.AccountKind.PROFESSIONAL,
            professional_id=row.id,
            login=f"{uuid4()}@example.org",
            created_at=work.now,
        )
        work.session.add(account)
        return Professional(row.id, account.id, Assurance.SANDBOX)


async def delegation(
    database: Database,
    holder: Patient,
    delegate: Patient,
    scopes: frozenset[DelegationScope] = frozenset(DelegationScope),
    *,
    expires_at: datetime | None = None,
) -> UUID:
    """Make one person the caregiver of another, and return the delegation's id."""
    async with database.write() as work:
        row = Delegation(
            id=work.new_id(),
            holder_person_id=holder.person_id,
            delegate_person_id=delegate.person_id,
            kind=DelegationKind.CAREGIVER,
            scopes=sorted(scope.value for scope in scopes),
            invited_at=work.now,
            accepted_at=work.now,
            expires_at=expires_at,
        )
        work.session.add(row)
        return row.id


async def parent(database: Database, child: Patient, parent: Patient) -> UUID:
    """Make one person the parent of a minor, and return the delegation's id."""
    async with database.write() as work:
        made = await register_parent(CONSOLE, work, child.person_id, parent.person_id)
        assert made is not None
        return made


async def care_team(
    database: Database,
    holder: Patient,
    professional: Professional,
    role: CareTeamRole = CareTeamRole.MEMBER,
) -> UUID:
    """Let the holder name a professional to the care team."""
    record_id = await record_of(database, holder)
    async with database.write() as work:
        grantee = Grantee(professional_id=professional.professional_id)
        return await name_member(holder, work, record_id, grantee, role)


async def document(
    database: Database, record_id: UUID, *, title: str = "Bilan", **values: Any
) -> UUID:
    """Store a document of a publisher, without content, and return its id."""
    sender = await publisher(database)
    async with database.write() as work:
        id_ = work.new_id()
        row = Document(
            **{
                "id": id_,
                "record_id": record_id,
                "lineage_id": id_,
                "status": DocumentStatus.CURRENT,
                "depositor": DepositorKind.PUBLISHER,
                "publisher_id": sender.publisher_id,
                "unique_id": str(id_),
                "content_key": id_.bytes * 2,
                "category": DocumentCategory.REPORT,
                "type_code": "34105-7",
                "title": title,
                "confidentiality_codes": [],
                "author_text": "",
                "flags": [],
                "sort_at": work.now,
                "deposited_at": work.now,
                "updated_at": work.now,
                **values,
            }
        )
        work.session.add(row)
        return id_
