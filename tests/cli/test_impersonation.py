"""Becoming somebody of the sandbox: by number or name, and never by guess."""

from uuid import UUID

import pytest
from sqlalchemy import func, select

from carnet.cli.impersonation import account_of_person
from carnet.errors import UserMistake
from carnet.people.identifiers import INS_NIR
from carnet.people.tables import Account, Person, PersonIdentifier, Sex
from carnet.store.database import Database


async def person(
    database: Database, family: str, given: str, number: str | None = None, used: str | None = None
) -> UUID:
    async with database.write() as work:
        row = Person(
            id=work.new_id(),
            birth_family_name=family,
            used_family_name=used,
            given_names=[given],
            sex=Sex.UNKNOWN,
            created_at=work.now,
        )
        work.session.add(row)
        await work.session.flush()
        if number:
            work.session.add(
                PersonIdentifier(
                    id=work.new_id(),
                    person_id=row.id,
                    system=INS_NIR,
                    value=number,
                    is_national=True,
                )
            )
        return row.id


async def become(database: Database, name: str) -> UUID | None:
    async with database.write() as work:
        return (await account_of_person(work, name)).person_id


async def accounts(database: Database) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(Account)) or 0


@pytest.mark.parametrize(
    "name",
    [
        "PAT-TROIS",
        "pat trois",
        "Dominique Pat-Trois",
        "PAT-TROIS DOMINIQUE",
        "Lefèvre",
        "279035121518989",
        "2 79 03 51 215 189 89",
        "2790351215189",
    ],
)
async def test_a_person_is_found(database: Database, name: str) -> None:
    await person(database, "AUTRE", "Dominique", "199035121518900")
    dominique = await person(database, "PAT-TROIS", "DOMINIQUE", "279035121518989", "LEFEVRE")
    assert await become(database, name) == dominique


async def test_a_number_stored_without_its_key_is_found_with_it(database: Database) -> None:
    someone = await person(database, "X", "Y", "2790351215189")
    assert await become(database, "279035121518989") == someone


async def test_the_account_is_made_once(database: Database) -> None:
    await person(database, "SEUL", "Ali")
    assert await become(database, "seul") == await become(database, "Ali Seul")
    assert await accounts(database) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MARTIN", "2 people are called so"),
        ("nobody", "Nobody in the sandbox"),
        ("Claude", "Nobody in the sandbox"),
        ("299999999999999", "Nobody in the sandbox"),
        ("%", "Nobody in the sandbox"),
        ("2%", "Nobody in the sandbox"),
        ("", "Nobody in the sandbox"),
    ],
)
async def test_nobody_is_guessed(database: Database, name: str, says: str) -> None:
    await person(database, "MARTIN", "Claude", "279035121518989")
    await person(database, "MARTIN", "Paul")
    with pytest.raises(UserMistake, match=says):
        await become(database, name)
    assert await accounts(database) == 0


async def test_a_given_name_tells_two_of_a_family_apart(database: Database) -> None:
    await person(database, "MARTIN", "Claude")
    paul = await person(database, "MARTIN", "Paul")
    assert await become(database, "paul martin") == paul
