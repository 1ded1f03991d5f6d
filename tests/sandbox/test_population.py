from uuid import UUID

import pytest
from argon2 import Parameters, Type
from sqlalchemy import func, select

from carnet.documents.tables import Document
from carnet.people.actor import Assurance, Operator
from carnet.people.identifiers import key_valid, rpps_valid
from carnet.people.passwords import Passwords
from carnet.people.tables import Account, Person
from carnet.records.tables import Immunization, ProfileEntry
from carnet.sandbox.personas import HOLDERS, PRACTITIONERS, TEST_INS
from carnet.sandbox.population import is_populated, populate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Identifier

CONSOLE = Operator(UUID(int=0), Assurance.CONSOLE)
CHEAP = Parameters(Type.ID, 19, 16, 16, 1, 8, 1)


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: holder.handle)
def test_national_numbers_have_right_keys(holder) -> None:
    assert key_valid(Identifier(TEST_INS, holder.national_number))


@pytest.mark.parametrize("practitioner", PRACTITIONERS, ids=lambda one: one.handle)
def test_rpps_numbers_have_right_keys(practitioner) -> None:
    assert rpps_valid(practitioner.rpps)


async def sizes(database: Database) -> list[int]:
    async with database.read() as work:
        return [
            await work.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Person, Account, Document, Immunization, ProfileEntry)
        ]


async def test_the_sandbox_fills_once(database: Database, blobs: BlobStore) -> None:
    told: list[str] = []
    async with database.read() as work:
        assert not await is_populated(work)
    made = await populate(CONSOLE, database, blobs, Passwords(CHEAP), told.append)
    first = await sizes(database)
    assert first[:2] == [6, 12]
    assert all(count > 5 for count in first[2:])
    assert set(made.secrets) == {"lilas", "boreal", "tilleuls"}
    assert told[-1] == "accounts"
    async with database.read() as work:
        assert await is_populated(work)
    await populate(CONSOLE, database, blobs, Passwords(CHEAP))
    assert await sizes(database) == first
