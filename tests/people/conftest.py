"""A gate with cheap hashing, and people with accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from argon2 import Parameters, Type

from carnet.people.accounts import create_account
from carnet.people.actions import Gate
from carnet.people.actor import CONSOLE
from carnet.people.attempts import Attempts
from carnet.people.passwords import Passwords
from carnet.people.tables import AccountKind, Person, Sex
from carnet.store.database import Database
from carnet.values import PartialDate

CHEAP = Parameters(
    type=Type.ID, version=19, salt_len=8, hash_len=16, time_cost=1, memory_cost=64, parallelism=1
)
LOGIN = "dominique@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
async def gate(database: Database) -> AsyncIterator[Gate]:
    passwords = Passwords(CHEAP, workers=2, line=100)
    yield Gate(database, passwords, Attempts(database, b"k" * 32))
    passwords.close()


@pytest.fixture
async def person_id(database: Database) -> UUID:
    async with database.write() as work:
        person = Person(
            id=work.new_id(),
            birth_family_name="PAT-TROIS",
            given_names=["Dominique"],
            birth_date=PartialDate("1979-03-28"),
            sex=Sex.FEMALE,
            created_at=work.now,
        )
        work.session.add(person)
        return person.id


@pytest.fixture
async def account_id(database: Database, gate: Gate, person_id: UUID) -> UUID:
    password = await gate.passwords.hash(PASSWORD, login=LOGIN)
    async with database.write() as work:
        return await create_account(
            CONSOLE, work, AccountKind.PATIENT, person_id, login=LOGIN, password=password
        )
