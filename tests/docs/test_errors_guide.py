"""The guide to errors names every code, status and type that there is, and its examples answer so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import graph
import httpx
import pytest
from following import serving

from carnet import errors
from carnet.http.answers import STATUSES, status_of
from carnet.http.operations.budget import CHARACTERS
from carnet.http.operations.messages import CloseCode
from carnet.people.actor import Anonymous, Assurance, Operator, Patient
from carnet.people.passwords import Passwords
from carnet.sandbox.population import populate
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.idempotency import KEPT_FOR
from carnet_graphql.errors import ERROR_TYPES, ErrorCode
from carnet_graphql.operations import cost, limits

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/errors.md").read_text()
SCHEMA = (ROOT / "schema.graphql").read_text()
OF_TRANSPORTS = {
    "BAD_REQUEST": 400,
    "GRAPHQL_PARSE_FAILED": 400,
    "HEAD_TOO_LARGE": 431,
    "HOST_NOT_ALLOWED": 400,
    "INTERNAL": 500,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "ORIGIN_NOT_ALLOWED": 403,
    "PRECONDITION_FAILED": 412,
    "RANGE_NOT_SATISFIABLE": 416,
    "REQUEST_TIMEOUT": 408,
}
ROWS = {
    code: (int(status), member or None)
    for code, status, member in re.findall(
        r"^\| `([A-Z_]+)` \| (\d{3}) \| (?:`(\w+)`)? ?\| .+ \|$", GUIDE, re.MULTILINE
    )
}


def below(kind: type[errors.CarnetError]) -> Iterator[type[errors.CarnetError]]:
    """Yield the errors that a client can meet."""
    for each in kind.__subclasses__():
        if each is not errors.UserMistake:
            yield each
            yield from below(each)


def member_of(kind: type[errors.CarnetError]) -> str | None:
    """Return the type that stands for an error in unions."""
    return next((ERROR_TYPES[each].__name__ for each in kind.__mro__ if each in ERROR_TYPES), None)


def test_every_code_has_its_status_and_its_type() -> None:
    known = {each for each in below(errors.CarnetError) if each is not errors.Refusal}
    known = {each for each in known if each.__module__ == errors.__name__}  # not the console's
    of_errors = {each.code: (status_of(each.__new__(each)), member_of(each)) for each in known}
    of_transports = {code: (status, None) for code, status in OF_TRANSPORTS.items()}
    assert of_errors | of_transports == ROWS
    assert {code.name for code in ErrorCode} <= set(ROWS)
    assert set(STATUSES) - {errors.Refusal} <= known


def test_what_transports_say_themselves_is_in_the_table() -> None:
    said: set[str] = set()
    for folder in ("app/carnet/http", "graphql/carnet_graphql"):
        for path in (ROOT / folder).rglob("*.py"):
            said.update(re.findall(r'error_response\([^()]*?"([A-Z_]+)"', path.read_text()))
    assert said
    assert said <= set(ROWS)


def test_close_codes_and_fields_exist() -> None:
    named = re.findall(r"`([A-Z_]+)` (\d{4})", GUIDE)
    assert len(named) >= 5
    assert {name: int(code) for name, code in named}.items() <= CloseCode.__members__.items()
    for owner, field in re.findall(r"^\| `(\w+)\.(\w+)` \|", GUIDE, re.MULTILINE):
        body = re.search(rf"^type {owner} .*?^}}", SCHEMA, re.MULTILINE | re.DOTALL)
        assert body is not None and re.search(rf"^  {field}\b", body[0], re.MULTILINE), field
    assert re.search(r"^  accessExplanation\(", SCHEMA, re.MULTILINE)
    assert KEPT_FOR.days == 7
    for link in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link


@pytest.fixture
async def people(database: Database, blobs: BlobStore) -> None:
    """The sandbox's people."""
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))


@pytest.mark.usefixtures("people")
async def test_the_examples_answer_what_the_guide_shows(
    database: Database, blobs: BlobStore
) -> None:
    asked = re.findall(r"```graphql\n(.*?)```", GUIDE, re.DOTALL)
    shown = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    patient = Patient(UUID(int=1), UUID(int=2), Assurance.PASSWORD)
    async with serving(database, blobs) as served, httpx.AsyncClient() as client:
        for query, actor, expected in zip(asked, (Anonymous(), patient), shown, strict=False):
            headers = {"Authorization": f"Bearer {served.token(actor)}"}
            answer = (await client.post(served.url, json={"query": query}, headers=headers)).json()
            for error in answer.get("errors", []):
                del error["locations"]
                error["extensions"]["correlationId"] = "…"
            answer.pop("extensions", None)
            assert answer == expected


def test_bounds_and_prices_are_the_servers() -> None:
    words = " ".join(GUIDE.split())
    for said in (
        f"{limits.TEXT_LIMIT:,} characters",
        f"{limits.TOKEN_LIMIT:,} tokens",
        f"{limits.FRAGMENT_LIMIT} fragments",
        f"{limits.DIRECTIVE_LIMIT} directives",
        f"may be {limits.FIELD_LIMIT:,}, nested {limits.DEPTH_LIMIT} deep",
        f"{limits.ALIAS_LIMIT} aliases",
        f"{limits.ROOT_LIMIT} fields at a query's root and {limits.MUTATION_LIMIT} at a mutation's",
        f"operation runs: {cost.OPERATION}, and 1 for each field",
        f"a page costs {cost.PAGE} more, a mutation {cost.MUTATION}",
        f"a point for every {CHARACTERS} characters",
        f"more than {Settings().query_cost_limit:,} by itself",
        f'"limit": {Settings().query_budget}',
        f'"restoredPerSecond": {Settings().query_budget_per_second}',
    ):
        assert said in words, said
