"""The guide to the sandbox: who lives there, what they see, and what its operations answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import graph
import pytest
from sqlalchemy import select

from carnet.people import rules
from carnet.people.actor import Actor, Assurance, Operator, Patient, Professional
from carnet.people.passwords import Passwords
from carnet.people.tables import Account
from carnet.sandbox.personas import HANDLES, HOLDERS, SOFTWARE, TEST_INS
from carnet.sandbox.population import PASSWORD, populate
from carnet.sandbox.relations import DOMAIN, login_of
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/sandbox.md").read_text()
SEES = re.compile(r"^\| `(\w+)` \| .+? \| ((?:`\w+` \d+(?:, )?)*) ?\| .+ \|$", re.MULTILINE)
OWN = "{ viewer { ... on Patient { record { id } } } }"
RECORD = "query($id: ID!) { record(id: $id) { documents { totalCount } } }"


@pytest.fixture
async def people(database: Database, blobs: BlobStore) -> dict[str, Actor]:
    """Everybody with an account, by handle."""
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))
    async with database.read() as work:
        accounts = list(await work.session.scalars(select(Account)))
    return {account.login.partition("@")[0]: actor_of(account) for account in accounts}


def actor_of(account: Account) -> Actor:
    if account.person_id is not None:
        return Patient(account.person_id, account.id, Assurance.SANDBOX)
    if account.professional_id is not None:
        return Professional(account.professional_id, account.id, Assurance.SANDBOX)
    return Operator(account.id, Assurance.SANDBOX)


async def test_everybody_is_listed_with_what_they_see(
    database: Database, blobs: BlobStore, people: dict[str, Actor]
) -> None:
    listed = {
        handle: {name: int(count) for name, count in re.findall(r"`(\w+)` (\d+)", sees)}
        for handle, sees in SEES.findall(GUIDE)
    }
    publishers = {software.handle for software in SOFTWARE}
    assert set(listed) == set(people) == set(HANDLES) - publishers
    assert publishers == set(re.findall(r"^\| `(\w+)` \| (?:the|a) .*software", GUIDE, re.M))
    records: dict[str, str] = {}
    for holder in HOLDERS:
        found = await graph.data(database, blobs, people[holder.handle], OWN)
        records[holder.handle] = found["viewer"]["record"]["id"]
    for handle, actor in people.items():
        seen: dict[str, int] = {}
        for name, id_ in records.items():
            record = (await graph.data(database, blobs, actor, RECORD, id=id_))["record"]
            if record is not None:
                seen[name] = record["documents"]["totalCount"]
        assert seen == listed[handle], handle


def test_numbers_logins_and_limits_are_as_they_are() -> None:
    numbers = re.findall(r"^\| `(\w+)` \| `(\d+)` \| ([\d-]+) \|$", GUIDE, re.MULTILINE)
    assert numbers == [(each.handle, each.national_number, each.birth_date) for each in HOLDERS]
    assert f"`{TEST_INS}`" in GUIDE and f"`@{DOMAIN}`" in GUIDE and f"`{PASSWORD}`" in GUIDE
    assert rules.FREE_ATTEMPTS == 5
    for link in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link


async def test_the_operations_work_in_their_order(
    database: Database, blobs: BlobStore, people: dict[str, Actor]
) -> None:
    sign_in, emergency = re.findall(r"```graphql\n(.*?)```", GUIDE, re.DOTALL)
    signed_in: Any = await graph.data(database, blobs, people["girard"], sign_in)
    assert signed_in["signIn"]["token"]
    assert login_of("girard") in sign_in
    opened = await graph.data(database, blobs, people["girard"], emergency)
    record = opened["openEmergencyAccess"]["record"]
    assert record["allowedBy"] == {"code": "emergency.regulation-centre"}
    assert record["documents"]["totalCount"] > 0
