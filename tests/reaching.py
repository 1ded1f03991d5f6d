"""Professionals with accounts, and records for them to reach."""

from __future__ import annotations

from itertools import count
from uuid import UUID, uuid4

from sqlalchemy import insert

from carnet.people import tables as people
from carnet.people.actor import Assurance, Professional
from carnet.records.tables import Record, RecordState
from carnet.store.database import Database

_numbers = count(10_200_000_000)


async def professional(
    database: Database,
    profession: str = "10",
    speciality: str | None = "SM26",
    *,
    regulates: bool = False,
) -> Professional:
    """Return a professional with an account, of an organization of their own."""
    async with database.write() as work:
        organization = people.Organization(
            id=work.new_id(),
            name="organization",
            is_regulation_centre=regulates,
            created_at=work.now,
        )
        row = people.Professional(
            id=work.new_id(),
            rpps=str(next(_numbers)),
            family_name="BERNARD",
            given_name="Sophie",
            profession_code=profession,
            speciality_code=speciality,
            organization_id=organization.id,
            created_at=work.now,
        )
        account = people.Account(
            id=work.new_id(),
            kind=people.AccountKind.PROFESSIONAL,
            professional_id=row.id,
            login=f"{uuid4()}@example.org",
            created_at=work.now,
        )
        for added in (organization, row, account):
            work.session.add(added)
            await work.session.flush()
        return Professional(row.id, account.id, Assurance.SANDBOX)


async def records(database: Database, number: int) -> list[UUID]:
    """Return the ids of this many open records, each of a person of their own."""
    async with database.write() as work:
        ids = [work.new_id() for _ in range(number)]
        await work.session.execute(
            insert(people.Person),
            [
                {
                    "id": id_,
                    "birth_family_name": "DUPONT",
                    "given_names": ["Alix"],
                    "sex": people.Sex.OTHER,
                    "created_at": work.now,
                }
                for id_ in ids
            ],
        )
        await work.session.execute(
            insert(Record),
            [
                {"id": id_, "person_id": id_, "state": RecordState.OPEN, "created_at": work.now}
                for id_ in ids
            ],
        )
        return ids
