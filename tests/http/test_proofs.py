"""Proofs of opposition and closing: for the holder, and for who holds the key."""

import re
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import graph
import httpx
import pytest
import world
from sqlalchemy import update

from carnet.clock import MovableClock
from carnet.http import proofs
from carnet.http.app import create_app
from carnet.http.services import Services
from carnet.people.actions import Gate
from carnet.people.actor import Actor, Assurance, Patient
from carnet.people.attempts import Attempts
from carnet.people.passwords import Passwords
from carnet.people.sessions import authenticate, open_session
from carnet.people.tables import Account, Person
from carnet.records.codes import proof_key, reference
from carnet.records.lifecycle import LifeAction
from carnet.records.lifecycle_actions import change
from carnet.records.tables import Record, RecordState
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.records import Record as RecordType


def words(pdf: bytes) -> str:
    """Return the text that a PDF of the built-in fonts shows."""
    assert pdf.startswith(b"%PDF-")
    shown = []
    for stream in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        text = zlib.decompress(stream)
        shown += [
            re.sub(rb"\\(.)", rb"\1", piece) for piece in re.findall(rb"\((.*?)(?<!\\)\) Tj", text)
        ]
    return b" ".join(shown).decode("latin-1")


@pytest.fixture
async def client(database: Database, blobs: BlobStore) -> AsyncIterator[httpx.AsyncClient]:
    passwords = Passwords(graph.CHEAP)
    services = Services(
        settings=Settings(),
        database=database,
        blobs=blobs,
        schema=graph.SCHEMA,
        authenticate=authenticate,
        gate=Gate(database, passwords, Attempts(database, b"k" * 32), graph.SERVER_KEY),
        signer=graph.SIGNER,
        cursors=graph.CURSORS,
        feeds=graph.FEEDS,
    )
    transport = httpx.ASGITransport(create_app(services, proofs.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    passwords.close()


async def session(database: Database, patient: Patient) -> str:
    async with database.write() as work:
        account = await work.session.get_one(Account, patient.account_id)
        return (await open_session(work, account, Assurance.PASSWORD)).token


async def changed(database: Database, actor: Actor, record_id: UUID, action: LifeAction) -> Record:
    async with database.write() as work:
        await change(actor, work, record_id, action)
    async with database.read() as work:
        return await work.session.get_one(Record, record_id)


def url(record_id: UUID, kind: str) -> str:
    return f"/records/{write_id(RecordType, record_id)}/{kind}-proof"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("kind", "action", "says"),
    [
        ("opposition", LifeAction.OPPOSE, "S'est opposé(e)"),
        ("closing", LifeAction.CLOSE, "A clos son dossier"),
    ],
)
async def test_the_holder_prints_the_same_proof_any_time(
    client: httpx.AsyncClient,
    database: Database,
    clock: MovableClock,
    kind: str,
    action: LifeAction,
    says: str,
) -> None:
    holder = await world.holder(database)
    record_id = await world.record_of(database, holder)
    headers = bearer(await session(database, holder))
    assert (await client.get(url(record_id, kind), headers=headers)).status_code == 404
    row = await changed(database, holder, record_id, action)
    at = row.opposed_at or row.closed_at
    assert at is not None
    answer = await client.get(url(record_id, kind), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="{kind}-proof.pdf"'
    assert answer.headers["cache-control"] == "no-store"
    text = words(answer.content)
    number = reference(graph.SERVER_KEY, record_id, kind.upper(), at)
    for part in ("Alix DUPONT", "1980-05-04", says, number, f"{at:%Y-%m-%d %H:%M} UTC"):
        assert part in text
    clock.offset += timedelta(hours=20)
    again = await client.get(url(record_id, kind), headers=headers)
    assert again.content == answer.content


async def test_others_get_no_proof(client: httpx.AsyncClient, database: Database) -> None:
    holder, other = await world.holder(database), await world.holder(database)
    record_id = await world.record_of(database, holder)
    row = await changed(database, holder, record_id, LifeAction.OPPOSE)
    assert row.opposed_at is not None
    theirs = bearer(await session(database, other))
    for id_ in (record_id, uuid4()):
        assert (await client.get(url(id_, "opposition"), headers=theirs)).status_code == 404
        assert (await client.get(url(id_, "opposition"))).status_code == 401
    assert (await client.get("/records/nonsense/opposition-proof")).status_code == 400


async def test_the_key_opens_one_opposition_while_it_lasts(
    client: httpx.AsyncClient, database: Database
) -> None:
    holder, other = await world.holder(database), await world.holder(database)
    record_id = await world.record_of(database, holder)
    row = await changed(database, holder, record_id, LifeAction.OPPOSE)
    other_id = await world.record_of(database, other)
    await changed(database, other, other_id, LifeAction.OPPOSE)
    assert row.opposed_at is not None
    key = bearer(proof_key(graph.SERVER_KEY, record_id, row.opposed_at))
    answer = await client.get(url(record_id, "opposition"), headers=key)
    assert "Alix DUPONT" in words(answer.content)
    for wrong in (
        url(other_id, "opposition"),
        url(uuid4(), "opposition"),
        url(record_id, "closing"),
    ):
        assert (await client.get(wrong, headers=key)).status_code == 401
    forged = bearer(proof_key(b"x" * 32, record_id, row.opposed_at))
    assert (await client.get(url(record_id, "opposition"), headers=forged)).status_code == 401
    await changed(database, holder, record_id, LifeAction.REVERSE_OPPOSITION)
    assert (await client.get(url(record_id, "opposition"), headers=key)).status_code == 401


async def test_names_of_other_scripts_can_be_printed(
    client: httpx.AsyncClient, database: Database
) -> None:
    holder = await world.holder(database, RecordState.NOTIFIED)
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        await work.session.execute(
            update(Person)
            .where(Person.id == holder.person_id)
            .values(birth_family_name="ŠIMÁČKOVÁ (日)", given_names=["Zoë"])
        )
    await changed(database, holder, record_id, LifeAction.OPPOSE)
    headers = bearer(await session(database, holder))
    answer = await client.get(url(record_id, "opposition"), headers=headers)
    assert "Zoë SIMÁCKOVÁ (?)" in words(answer.content)
