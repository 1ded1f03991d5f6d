"""The README's example is run as it stands, and answers what the README says."""

import json
import re
from pathlib import Path
from uuid import UUID

import graph
import pytest
from sqlalchemy import select

from carnet.http.operations.budget import Budgets
from carnet.people.actor import Assurance, Operator, Patient, Professional
from carnet.people.passwords import Passwords
from carnet.people.tables import Account
from carnet.sandbox.population import login_of, populate
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.operations.operation import Operation

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
async def camille(database: Database, blobs: BlobStore) -> Patient:
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))
    async with database.read() as work:
        account = await work.session.scalar(
            select(Account).where(Account.login == login_of("camille"))
        )
        assert account is not None
        assert account.person_id is not None
        return Patient(account.person_id, account.id, Assurance.SANDBOX)


async def test_the_example_answers_what_the_readme_says(
    database: Database, blobs: BlobStore, camille: Patient
) -> None:
    operation = graph.SCHEMA.operations.read(block("graphql"), None)
    assert isinstance(operation, Operation)
    cost = graph.SCHEMA.costs.of(operation, None)
    spent = Budgets(Settings()).spend(camille, "127.0.0.1", cost)
    data = await graph.data(database, blobs, camille, block("graphql"))
    answer = {"data": data, "extensions": {"cost": spent.shown()}}
    text = re.sub(r"/documents/[\w-]+/content", "/documents/…/content", json.dumps(answer))
    expected = json.loads(block("json"))
    assert json.loads(text) == expected


async def test_the_example_of_the_journal_runs(
    database: Database, blobs: BlobStore, camille: Patient
) -> None:
    example = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)[1]
    found = await graph.data(database, blobs, camille, example)
    actions = {edge["node"]["action"] for edge in found["viewer"]["record"]["journal"]["edges"]}
    assert actions & {"ADD_ENTRY", "DEPOSIT_DOCUMENT", "REPORT_DOSE"}


async def test_the_example_of_the_guide_to_access_lets_a_professional_in(
    database: Database, blobs: BlobStore, camille: Patient
) -> None:
    guide = (ROOT / "docs/access.md").read_text()
    (example,) = re.findall(r"```graphql\n(.*?)```", guide, re.DOTALL)
    radiologist = await signed_in(database, "faure")
    found = await graph.data(database, blobs, radiologist, example)
    record = found["attestConsent"]["record"]
    assert record["allowedBy"] == {"code": "consent.attested"}
    assert record["documents"]["totalCount"] > 0


async def signed_in(database: Database, handle: str) -> Professional:
    async with database.read() as work:
        account = await work.session.scalar(
            select(Account).where(Account.login == login_of(handle))
        )
        assert account is not None and account.professional_id is not None
        return Professional(account.professional_id, account.id, Assurance.SANDBOX)


def test_every_command_and_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
