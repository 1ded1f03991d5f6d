"""Trusted documents over every transport, and a server that serves people nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import scene
from following import INBOX, Served, serving

from carnet.errors import UserMistake
from carnet.people.actor import Publisher
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client import operations
from carnet_graphql.operations.trusted import TrustedDocuments

VIEWER = "query Viewer { viewer { __typename } }"
SIGN_OUT = "mutation SignOut { signOut { __typename } }"
FREE = "query Free { viewer { __typename } }"
STREAM = {"accept": "text/event-stream"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def registry(tmp_path: Path, *texts: str, prefix: str = "") -> Path:
    file = tmp_path / f"registry-{len(texts)}{prefix.rstrip(':')}.json"
    file.write_text(json.dumps({prefix + sha256(text): text for text in texts}))
    return file


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs)


@pytest.fixture
async def served(database: Database, blobs: BlobStore, tmp_path: Path) -> Any:
    files = [registry(tmp_path, VIEWER, SIGN_OUT), registry(tmp_path, INBOX, prefix="sha256:")]
    documents = TrustedDocuments.load(files, is_only=True)
    async with serving(database, blobs, documents=documents) as running:
        yield running


async def ask(served: Served, actor: Any, body: dict[str, Any], **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {served.token(actor)}"} if actor else {}
    headers |= more.pop("headers", {})
    async with httpx.AsyncClient() as client:
        return await client.post(served.url, json=body, headers=headers, **more)


def code(answer: httpx.Response) -> str:
    (problem,) = answer.json()["errors"]
    return str(problem["extensions"]["code"])


NAMES: list[dict[str, Any]] = [
    {"documentId": f"sha256:{sha256(VIEWER)}"},
    {"documentId": sha256(VIEWER).upper()},
    {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(VIEWER)}}},
    {"id": sha256(VIEWER)},
    {"doc_id": sha256(VIEWER), "query": None},
    {"query": VIEWER},  # its own text is as good as its name
]


@pytest.mark.parametrize("body", NAMES)
async def test_a_registered_document_runs_by_its_name(
    served: Served, made: scene.Scene, body: dict[str, Any]
) -> None:
    answer = await ask(served, made.holder, body)
    assert (answer.status_code, answer.json()["data"]) == (
        200,
        {"viewer": {"__typename": "Patient"}},
    )


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"query": FREE}, 403, "OPERATION_NOT_TRUSTED"),
        ({"query": VIEWER + " "}, 403, "OPERATION_NOT_TRUSTED"),
        ({"query": FREE, "documentId": sha256(VIEWER)}, 403, "OPERATION_NOT_TRUSTED"),
        ({"query": "{ __schema { queryType { name } } }"}, 403, "OPERATION_NOT_TRUSTED"),
        ({"query": "{"}, 403, "OPERATION_NOT_TRUSTED"),
        ({"documentId": sha256(FREE)}, 400, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": "md5:x"}, 400, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": ""}, 400, "VALIDATION_FAILED"),
        ({"documentId": 1}, 400, "VALIDATION_FAILED"),
        ({"extensions": {"persistedQuery": []}}, 400, "VALIDATION_FAILED"),
    ],
)
async def test_everything_else_is_refused_to_people(
    served: Served, made: scene.Scene, body: dict[str, Any], status: int, reason: str
) -> None:
    for actor in (made.holder, None):
        answer = await ask(served, actor, body)
        assert (answer.status_code, code(answer)) == (status, reason)


async def test_publishers_whose_software_is_not_ours_send_texts(served: Served) -> None:
    answer = await ask(served, Publisher(UUID(int=1)), {"query": FREE})
    assert answer.status_code == 200
    assert set(answer.json()) == {"data", "extensions"}


async def test_by_get_by_socket_and_by_stream_it_is_the_same(
    served: Served, made: scene.Scene
) -> None:
    token = {"authorization": f"Bearer {served.token(made.holder)}"}
    async with httpx.AsyncClient(headers=token) as client:
        answer = await client.get(served.url, params={"documentId": f"sha256:{sha256(VIEWER)}"})
        assert answer.json()["data"] == {"viewer": {"__typename": "Patient"}}
        answer = await client.get(served.url, params={"query": FREE})
        assert (answer.status_code, code(answer)) == (403, "OPERATION_NOT_TRUSTED")
        # A browser asks for what it may keep; an action is none of that.
        answer = await client.get(served.url, params={"documentId": sha256(SIGN_OUT)})
        assert (answer.status_code, code(answer)) == (405, "METHOD_NOT_ALLOWED")
        answer = await client.post(served.url, json={"query": FREE}, headers=STREAM)
        assert (answer.status_code, code(answer)) == (403, "OPERATION_NOT_TRUSTED")
        body = {"documentId": sha256(VIEWER)}
        answer = await client.post(served.url, json=body, headers=STREAM)
        assert 'data: {"data":{"viewer":{"__typename":"Patient"}}' in answer.text
    async with served.connected(made.holder) as socket:
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": sha256(INBOX)}}
        await socket.say("subscribe", id="a", payload={"extensions": persisted})
        event = (await socket.hear("a"))["payload"]["data"]["inboxEvents"]
        assert event["__typename"] == "CaughtUp"
        await socket.say("subscribe", id="b", payload={"query": FREE})
        refused = await socket.hear("b")
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "OPERATION_NOT_TRUSTED"


async def test_without_being_told_names_are_a_convenience(
    database: Database, blobs: BlobStore, made: scene.Scene, tmp_path: Path
) -> None:
    documents = TrustedDocuments.load([registry(tmp_path, VIEWER)])
    async with serving(database, blobs, documents=documents) as served:
        for body in ({"documentId": sha256(VIEWER)}, {"query": FREE}):
            assert (await ask(served, made.holder, body)).status_code == 200
    async with serving(database, blobs) as served:
        answer = await ask(served, made.holder, {"documentId": sha256(VIEWER)})
        assert code(answer) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "is no registry"),
        ('{"abc": "{ a }"}', "'abc' is not the SHA-256 of its text"),
        (f'{{"{hashlib.md5(b"{ a }", usedforsecurity=False).hexdigest()}": "{{ a }}"}}', "SHA-256"),
        (f'{{"{sha256("{ a }")}": 1}}', "SHA-256"),
    ],
)
def test_a_registry_that_is_none_is_the_operators_mistake(
    tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "registry.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserMistake, match=message) as refused:
        TrustedDocuments.load([file])
    assert str(file) in refused.value.message


def test_nothing_but_what_is_registered_needs_a_registry() -> None:
    with pytest.raises(UserMistake, match="CARNET_TRUSTED_DOCUMENTS_ONLY needs"):
        TrustedDocuments.load([], is_only=True)


def test_the_command_line_client_says_what_it_sends(tmp_path: Path) -> None:
    file = tmp_path / "terminal.json"
    file.write_text(json.dumps(operations.registry()))
    sent = [each for each in vars(operations).values() if isinstance(each, operations.Operation)]
    documents = TrustedDocuments.load([file])
    assert {each.text for each in sent} <= {text for _, text in documents}
    assert len(sent) < len(documents) <= 2 * len(sent)
