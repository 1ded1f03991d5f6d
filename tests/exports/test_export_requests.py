"""Exports as clients have them: asked for over GraphQL, downloaded over HTTP."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import exporting
import graph
import httpx
import pytest
import uvicorn
import world
from sqlalchemy import func, select, update

from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.clock import MovableClock
from carnet.documents.actions import hide_from_representatives, remove
from carnet.errors import AccessDenied, NotFound, Unauthenticated
from carnet.exports import actions
from carnet.exports.rules import ARCHIVE_LIFE
from carnet.exports.tables import Export
from carnet.http import exports
from carnet.http.app import create_app
from carnet.http.services import Services
from carnet.people.actor import Actor, Anonymous, Assurance, Patient, Professional
from carnet.records.tables import Record, RecordState
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.exports import Export as ExportNode
from carnet_graphql.node import write_id
from carnet_graphql.records import Record as RecordNode

REQUEST = """
mutation ($input: RequestExportInput!) { requestExport(input: $input) {
  __typename
  ... on RequestExportSuccess { export { id state progress stepsDone stepsTotal contentUrl } }
  ... on UserError { code }
} }
"""
NODE = """
query ($id: ID!) { node(id: $id) { ... on Export {
  id state progress stepsDone stepsTotal requestedAt expiresAt sizeBytes contentUrl errorCode
} } }
"""
LIST = """
query ($id: ID!) { record(id: $id) {
  exports { totalCount edges { node { id state } } }
} }
"""


async def ask(
    database: Database, blobs: BlobStore, actor: Actor, record_id: UUID, **more: Any
) -> Any:
    shape = {"recordId": write_id(RecordNode, record_id), **more}
    return (await graph.data(database, blobs, actor, REQUEST, input=shape))["requestExport"]


async def see(database: Database, blobs: BlobStore, actor: Actor, id_: str) -> Any:
    return (await graph.data(database, blobs, actor, NODE, id=id_))["node"]


async def test_a_holder_asks_follows_and_downloads(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    asked = await ask(database, blobs, holder, record_id)
    export = asked["export"]
    assert (export["state"], export["progress"], export["contentUrl"]) == ("QUEUED", 0.0, None)
    async with database.write() as work:
        half = {"state": "RUNNING", "steps_done": 2, "steps_total": 4}
        await work.session.execute(update(Export).values(half))
    seen = await see(database, blobs, holder, export["id"])
    assert (seen["progress"], seen["stepsDone"], seen["stepsTotal"]) == (0.5, 2, 4)
    assert (seen["contentUrl"], seen["sizeBytes"], seen["expiresAt"]) == (None, None, None)
    await exporting.work_off(database, blobs)
    seen = await see(database, blobs, holder, export["id"])
    assert (seen["state"], seen["progress"], seen["errorCode"]) == ("READY", 1.0, None)
    assert seen["contentUrl"] == f"/exports/{export['id']}/content"
    assert seen["sizeBytes"] > 1000 and seen["expiresAt"]
    found = await graph.data(database, blobs, holder, LIST, id=write_id(RecordNode, record_id))
    assert found["record"]["exports"] == {
        "totalCount": 1,
        "edges": [{"node": {"id": export["id"], "state": "READY"}}],
    }


async def test_the_same_key_asks_once(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    key = str(uuid4())
    first = await ask(database, blobs, holder, record_id, idempotencyKey=key)
    await exporting.work_off(database, blobs)
    again = await ask(database, blobs, holder, record_id, idempotencyKey=key)
    assert again["export"]["id"] == first["export"]["id"]
    assert again["export"]["state"] == "READY"


async def test_refusals_are_typed_and_a_strangers_record_does_not_exist(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    stranger = await world.holder(database)
    not_theirs = await ask(database, blobs, stranger, record_id)
    missing = await ask(database, blobs, stranger, uuid4())
    assert not_theirs == missing == {"__typename": "NotFound", "code": "NOT_FOUND"}
    nobody = await ask(database, blobs, Anonymous(), record_id)
    assert nobody["code"] == "UNAUTHENTICATED"
    professional = Professional(uuid4(), uuid4(), Assurance.SANDBOX)
    assert (await ask(database, blobs, professional, record_id)) == missing
    async with database.read() as work:
        for table in (Export, JournalEntry):
            assert await work.session.scalar(select(func.count()).select_from(table)) == 0


async def test_only_who_asked_sees_it(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    id_ = (await ask(database, blobs, holder, record_id))["export"]["id"]
    stranger = await world.holder(database)
    other_account = Patient(holder.person_id, uuid4(), Assurance.SANDBOX)
    for actor in (stranger, other_account, Anonymous()):
        assert await see(database, blobs, actor, id_) is None
    found = await graph.data(
        database, blobs, other_account, LIST, id=write_id(RecordNode, record_id)
    )
    assert found["record"]["exports"] == {"totalCount": 0, "edges": []}


async def delegate(database: Database, holder: Patient, *scopes: str) -> Patient:
    caregiver = await world.holder(database)
    async with database.write() as work:
        delegation = Delegation(
            id=work.new_id(),
            holder_person_id=holder.person_id,
            delegate_person_id=caregiver.person_id,
            kind=DelegationKind.CAREGIVER,
            scopes=list(scopes),
            invited_at=work.now,
            accepted_at=work.now,
        )
        work.session.add(delegation)
    return caregiver


async def test_a_delegate_without_all_scopes_gets_nothing(
    database: Database, blobs: BlobStore, holder: Patient, record_id: UUID
) -> None:
    caregiver = await delegate(database, holder, "DOCUMENTS", "JOURNAL")
    async with database.write() as work:
        with pytest.raises((NotFound, AccessDenied)):
            await actions.request(caregiver, work, record_id)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Export)) == 0


async def hidden(database: Database, holder: Patient, document_id: UUID, _: Patient) -> None:
    async with database.write() as work:
        await hide_from_representatives(holder, work, document_id, True)


async def deleted(database: Database, holder: Patient, document_id: UUID, _: Patient) -> None:
    async with database.write() as work:
        await remove(holder, work, document_id)


async def delegated_anew(database: Database, holder: Patient, _: UUID, caregiver: Patient) -> None:
    async with database.write() as work:
        await work.session.execute(update(Delegation).values(revoked_at=work.now))
    scopes = frozenset({DelegationScope.DOCUMENTS, DelegationScope.PROFILE})
    await world.delegation(database, holder, caregiver, scopes)


@pytest.mark.parametrize("lose", [hidden, deleted, delegated_anew])
async def test_a_delegates_archive_goes_with_what_they_lose_of_it(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    lose: Callable[[Database, Patient, UUID, Patient], Awaitable[None]],
) -> None:
    first, second = [
        await exporting.deposit(database, blobs, holder, record_id, title, b"x")
        for title in ("one", "other")
    ]
    await hidden(database, holder, first, holder)
    caregiver = await delegate(database, holder, *DelegationScope)
    theirs, own = [await exporting.ask(database, actor, record_id) for actor in (caregiver, holder)]
    await exporting.work_off(database, blobs)
    await deleted(database, holder, first, holder)  # of which the delegate never knew
    async with database.read() as work:
        await actions.find_archive(caregiver, work, theirs)
    await lose(database, holder, second, caregiver)
    async with database.read() as work:
        with pytest.raises(NotFound):
            await actions.find_archive(caregiver, work, theirs)
        await actions.find_archive(holder, work, own)
    again = await exporting.ask(database, caregiver, record_id)
    await exporting.work_off(database, blobs)
    async with database.read() as work:
        await actions.find_archive(caregiver, work, again)


@pytest.fixture
async def client(
    database: Database, blobs: BlobStore, holder: Patient
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server; the tokens are «holder» and «stranger»."""
    actors: dict[str, Actor] = {"holder": holder, "stranger": await world.holder(database)}

    async def authenticate(_database: Database, token: str, _address: str) -> Actor:
        if token not in actors:
            raise Unauthenticated()
        return actors[token]

    services = Services(
        Settings(),
        database,
        blobs,
        graph.SCHEMA,
        authenticate,
        None,  # type: ignore[arg-type] # nobody signs in here
        graph.SIGNER,
        graph.CURSORS,
        graph.FEEDS,
    )
    app = create_app(services, exports.ROUTES)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        assert not task.done()
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await task


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


async def downloads(database: Database, record_id: UUID) -> int:
    found = await exporting.events(database, record_id)
    return [event[2]["event"] for event in found].count("downloaded")


async def test_downloads_with_ranges_are_journalled_before_bytes_leave(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    client: httpx.AsyncClient,
) -> None:
    await exporting.deposit(database, blobs, holder, record_id, "Bilan", b"one")
    export_id = await exporting.ask(database, holder, record_id)
    url = f"/exports/{write_id(ExportNode, export_id)}/content"
    assert (await client.get(url, headers=bearer("holder"))).status_code == 404  # not ready
    await exporting.work_off(database, blobs)
    whole = await exporting.bytes_of(database, blobs, export_id)
    answer = await client.get(url, headers=bearer("holder"))
    assert (answer.status_code, answer.content) == (200, whole)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="carnet 2')
    assert answer.headers["cache-control"] == "private, no-store"
    assert ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert await downloads(database, record_id) == 1
    middle = await client.get(url, headers=bearer("holder", Range="bytes=10-19"))
    assert (middle.status_code, middle.content) == (206, whole[10:20])
    tail = await client.get(url, headers=bearer("holder", Range="bytes=-22"))
    assert tail.content == whole[-22:]
    assert await downloads(database, record_id) == 3
    head = await client.head(url, headers=bearer("holder"))
    assert int(head.headers["content-length"]) == len(whole)
    same = await client.get(
        url, headers=bearer("holder", **{"If-None-Match": answer.headers["etag"]})
    )
    beyond = await client.get(url, headers=bearer("holder", Range=f"bytes={len(whole)}-"))
    assert (head.status_code, same.status_code, beyond.status_code) == (200, 304, 416)
    assert await downloads(database, record_id) == 3


async def test_nobody_else_downloads_it(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    client: httpx.AsyncClient,
    clock: MovableClock,
) -> None:
    export_id = await exporting.ask(database, holder, record_id)
    await exporting.work_off(database, blobs)
    url = f"/exports/{write_id(ExportNode, export_id)}/content"
    missing = f"/exports/{write_id(ExportNode, uuid4())}/content"

    async def get(path: str, headers: dict[str, str]) -> tuple[int, Any]:
        answer = await client.get(path, headers=headers)
        (error,) = answer.json()["errors"]
        error["extensions"].pop("correlationId")
        return answer.status_code, error

    refused = await get(missing, bearer("stranger"))
    assert refused[0] == 404
    assert await get(url, bearer("stranger")) == refused
    assert await get(url, {}) == refused  # without a session, nothing is visible
    clock.offset = ARCHIVE_LIFE
    assert await get(url, bearer("holder")) == refused
    clock.offset = timedelta()
    async with database.write() as work:
        state = {"state": RecordState.SUSPENDED}
        await work.session.execute(update(Record).where(Record.id == record_id).values(state))
    assert await get(url, bearer("holder")) == refused
    assert await downloads(database, record_id) == 0


GUIDE = (Path(__file__).parents[2] / "docs/exports.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


async def test_the_guides_example_works_as_it_stands(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    client: httpx.AsyncClient,
    tmp_path: Path,
) -> None:
    request, follow = blocks("graphql")
    (command,) = blocks("sh")
    record = write_id(RecordNode, record_id)
    asked = await graph.data(database, blobs, holder, request, record=record)
    id_ = asked["requestExport"]["export"]["id"]
    await exporting.work_off(database, blobs)
    export = (await graph.data(database, blobs, holder, follow, export=id_))["node"]
    assert export["state"] == "READY"
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    address = str(client.base_url).rstrip("/")
    given = {"TOKEN": "holder", "CARNET": address, "CONTENT_URL": export["contentUrl"]}
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "carnet.zip").write_bytes((await exporting.bytes_of(
        database, blobs, (await ids(database))[0]))[:1000])  # fmt: skip
    run = await asyncio.create_subprocess_shell(command, cwd=folder, env={**os.environ, **given})
    assert await run.wait() == 0
    with ZipFile(folder / "carnet.zip") as zipped:
        assert zipped.testzip() is None
        for name in zipped.namelist():
            assert f"`{name}`" in GUIDE
        text = zipped.read("README.txt").decode()
        for name in zipped.namelist()[1:]:
            assert text.count(f"\n{name} ") == 2


async def ids(database: Database) -> list[UUID]:
    async with database.read() as work:
        return list(await work.session.scalars(select(Export.id)))
