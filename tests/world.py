"""Small worlds for tests: rows of people and records, made the shortest way."""

from __future__ import annotations

from secrets import token_bytes
from uuid import UUID, uuid4

from sqlalchemy import select

from carnet.people import tables as people
from carnet.people.actor import Assurance, Patient, Publisher
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database
from carnet.values import PartialDate


def a_patient() -> Patient:
    """Return a patient who exists nowhere."""
    return Patient(uuid4(), uuid4(), Assurance.SANDBOX)


async def holder(database: Database, state: RecordState = RecordState.OPEN) -> Patient:
    """Return a patient with an account and a record in this state."""
    async with database.write() as work:
        person = people.Person(
            id=work.new_id(),
            birth_family_name="DUPONT",
            given_names=["Alix"],
            birth_date=PartialDate("1980-05-04"),
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
