"""The IDE's files: exactly the vendored ones and ours, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import graph
import httpx
import pytest
from following import Served, serving
from graphql import OperationDefinitionNode, parse

from carnet.http import ide
from carnet.people.actor import Assurance, Operator
from carnet.people.passwords import Passwords
from carnet.sandbox.personas import HANDLES, SOFTWARE
from carnet.sandbox.population import PASSWORD, populate
from carnet.sandbox.relations import login_of
from carnet.settings import Mode, Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database


def test_the_vendored_files_are_what_the_manifest_says() -> None:
    manifest = json.loads((ide.FOLDER / "MANIFEST.json").read_text())
    ours = {"MANIFEST.json", "index.html", "boot.js", "boot.css", "examples.js"}
    assert {path.name for path in ide.FOLDER.iterdir()} == ours | set(manifest["sha256"])
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((ide.FOLDER / name).read_bytes()).hexdigest() == digest
    assert sum(path.stat().st_size for path in ide.FOLDER.iterdir()) < 4 * 2**20


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline() -> None:
    page = (ide.FOLDER / "index.html").read_text()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for path in loaded:
        assert path == "data:," or (ide.FOLDER / Path(path).name).is_file()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    assert re.findall(r"\son\w+=", page) == []
    for name in ("boot.js", "boot.css", "examples.js"):
        assert "//" not in re.sub(r"^//.*$", "", (ide.FOLDER / name).read_text(), flags=re.M)
    styles = (ide.FOLDER / "graphiql.min.css").read_text()
    assert {found[:5] for found in re.findall(r'url\("?([^)]+)\)', styles)} == {"data:"}
    assert "@import" not in styles


EXAMPLES = re.findall(r"`([^`]*)`", (ide.FOLDER / "examples.js").read_text())


PERSONAS = "http://127.0.0.1:{}/static/graphiql/personas"
SIGN_IN = (
    "mutation($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { token } } }"
)


@pytest.fixture
async def sandbox(database: Database, blobs: BlobStore) -> None:
    """The sandbox's people."""
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))


async def token_of(client: httpx.AsyncClient, served: Served, login: str, password: str) -> str:
    body = {"query": SIGN_IN, "variables": {"input": {"login": login, "password": password}}}
    answer = (await client.post(served.url, json=body)).json()
    token: str = answer["data"]["signIn"]["token"]
    return token


async def test_nobody_is_offered_without_the_sandbox(database: Database, blobs: BlobStore) -> None:
    async with serving(database, blobs) as served, httpx.AsyncClient() as client:
        answer = await client.get(PERSONAS.format(served.port))
        assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.usefixtures("sandbox")
async def test_production_has_no_personas(database: Database, blobs: BlobStore) -> None:
    settings = Settings(mode=Mode.PRODUCTION)
    async with serving(database, blobs, settings) as served, httpx.AsyncClient() as client:
        answer = await client.get(PERSONAS.format(served.port))
        assert answer.status_code == 404
        assert PASSWORD not in answer.text


@pytest.mark.usefixtures("sandbox")
async def test_whoever_is_offered_can_sign_in(database: Database, blobs: BlobStore) -> None:
    async with serving(database, blobs) as served, httpx.AsyncClient() as client:
        offered = (await client.get(PERSONAS.format(served.port))).json()
        publishers = {software.handle for software in SOFTWARE}
        assert {person["handle"] for person in offered} == set(HANDLES) - publishers
        for person in offered:
            assert await token_of(client, served, person["login"], person["password"])


@pytest.mark.usefixtures("sandbox")
async def test_each_example_answers(database: Database, blobs: BlobStore) -> None:
    kinds = [
        definition.operation.value
        for example in EXAMPLES
        for definition in parse(example).definitions
        if isinstance(definition, OperationDefinitionNode)
    ]
    assert kinds == ["query", "query", "query", "subscription", "mutation", "query"]
    async with (
        serving(database, blobs) as served,
        httpx.AsyncClient() as client,
        AsyncExitStack() as stack,
    ):
        for kind, example in zip(kinds, EXAMPLES, strict=True):
            (handle,) = re.findall(r"^# As (\w+)", example)
            token = await token_of(client, served, login_of(handle), PASSWORD)
            if kind == "subscription":
                socket = await stack.enter_async_context(served.connected(token=token))
                following = await socket.subscribe(example)
                assert (await following.event())["__typename"] == "CaughtUp"
                continue
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.post(served.url, json={"query": example}, headers=headers)
            found = answer.json()
            assert "errors" not in found, found
            if kind == "mutation":
                assert found["data"]["attestConsent"]["__typename"] == "AttestConsentSuccess"
                assert (await following.event())["__typename"] == "NotificationReceived"
                mother = await token_of(client, served, login_of("camille"), PASSWORD)
                headers = {"Authorization": f"Bearer {mother}"}
                answer = await client.post(served.url, json={"query": example}, headers=headers)
                refusal = answer.json()["data"]["attestConsent"]
                assert refusal["rule"] == "access.only-professionals"
            else:
                assert '"edges":[{' in answer.text
