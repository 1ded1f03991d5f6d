"""Cutting accounts off: at once, on every way in, and restored at the console only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import graph
import httpx
import pytest
import reaching
import uvicorn
import world
from sqlalchemy import func, select, update

from carnet.access import cutting
from carnet.access.cutting import CutOffReason
from carnet.access.journal_tables import TechnicalEvent
from carnet.clock import MovableClock
from carnet.errors import AccessDenied, NotFound, Unauthenticated
from carnet.http.app import create_app
from carnet.http.services import Services
from carnet.people.actor import (
    CONSOLE,
    Actor,
    Anonymous,
    Assurance,
    Operator,
    Patient,
    Professional,
    Publisher,
)
from carnet.people.sessions import actor_of, authenticate, end_sessions, live_until, open_session
from carnet.people.tables import Account
from carnet.people.tables import Publisher as PublisherRow
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

OPERATOR = Operator(UUID(int=9), Assurance.PASSWORD)  # signed in over the network
R = CutOffReason.VOLUME


async def signed_in(database: Database, account_id: UUID) -> tuple[str, Actor]:
    async with database.write() as work:
        account = await work.session.get_one(Account, account_id)
        opened = await open_session(work, account, Assurance.PASSWORD)
        return opened.token, actor_of(account, Assurance.PASSWORD, opened.session_id)


async def live(database: Database, actor: Actor) -> bool:
    async with database.read() as work:
        try:
            await live_until(work, actor)
        except Unauthenticated:
            return False
        return True


async def cut(database: Database, actor: Actor, account_id: UUID) -> None:
    async with database.write() as work:
        await cutting.cut_off(actor, work, account_id, R)


async def events(database: Database) -> list[tuple[str, str, dict[str, str]]]:
    async with database.read() as work:
        rows = await work.session.scalars(select(TechnicalEvent).order_by(TechnicalEvent.id))
        return [(row.kind, row.actor, row.details) for row in rows]


async def disabled(database: Database) -> int:
    async with database.read() as work:
        counted = select(func.count()).where(Account.disabled_at.is_not(None))
        return (await work.session.scalars(counted)).one()


@asynccontextmanager
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application on a real socket; the client keeps one connection open."""
    services = Services(
        Settings(),
        database,
        blobs,
        graph.SCHEMA,
        authenticate,
        None,
        graph.SIGNER,
        graph.CURSORS,
        graph.FEEDS,
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app(services), port=0, log_level="error", lifespan="off")
    )
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits) as client:
        yield client
    await server.shutdown()


async def test_from_the_commit_on_an_open_connection_gets_nothing_more(
    database: Database, blobs: BlobStore
):
    doctor = await reaching.professional(database)
    token, _ = await signed_in(database, doctor.account_id)
    query = {"query": "{ viewer { __typename } }"}
    async with served(database, blobs) as client:
        headers = {"authorization": f"Bearer {token}"}
        before = await client.post("/graphql", json=query, headers=headers)
        assert set(before.json()) == {"data", "extensions"}
        assert before.json()["data"] == {"viewer": {"__typename": "Professional"}}
        connection = before.extensions["network_stream"].get_extra_info("client_addr")
        await cut(database, OPERATOR, doctor.account_id)
        after = await client.post("/graphql", json=query, headers=headers)
        assert after.extensions["network_stream"].get_extra_info("client_addr") == connection
        assert after.status_code == 401
        assert "data" not in after.json()


async def test_cutting_off_ends_all_sessions_and_is_written_down(database: Database):
    doctor = await reaching.professional(database)
    tokens = [(await signed_in(database, doctor.account_id))[0] for _ in range(2)]
    await cut(database, OPERATOR, doctor.account_id)
    for token in tokens:
        with pytest.raises(Unauthenticated):
            await authenticate(database, token, "192.0.2.7")
    details = {"account": str(doctor.account_id), "reason": "VOLUME"}
    assert await events(database) == [
        ("ACCOUNT_CUT_OFF", f"account:{OPERATOR.account_id}", details)
    ]
    await cut(database, OPERATOR, doctor.account_id)  # once more: nothing is left to do
    assert len(await events(database)) == 1


async def test_a_professional_is_cut_off_on_every_account(database: Database):
    doctor, colleague = [await reaching.professional(database) for _ in range(2)]
    async with database.write() as work:
        second = Account(
            id=work.new_id(),
            kind="PROFESSIONAL",
            professional_id=doctor.professional_id,
            issuer="https://id.example",
            subject="10200000000",
            created_at=work.now,
        )
        work.session.add(second)
    through_provider = Professional(doctor.professional_id, second.id, Assurance.IDENTITY_PROVIDER)
    assert await live(database, through_provider)
    async with database.write() as work:
        await cutting.cut_off_professional(OPERATOR, work, doctor.professional_id, R)
    assert not await live(database, doctor)
    assert not await live(database, through_provider)
    assert await live(database, colleague)
    assert len(await events(database)) == 2


async def test_only_operators_cut_off_and_a_denial_changes_nothing(database: Database):
    doctor, patient = await reaching.professional(database), await world.holder(database)
    publisher = await world.publisher(database)
    for actor in (doctor, patient, publisher):
        with pytest.raises(AccessDenied):
            await cut(database, actor, doctor.account_id)
        async with database.write() as work:
            with pytest.raises(AccessDenied):
                await cutting.cut_off_professional(actor, work, doctor.professional_id, R)
    with pytest.raises(Unauthenticated):
        await cut(database, Anonymous(), doctor.account_id)
    for missing in (uuid4(), doctor.professional_id):
        with pytest.raises(NotFound):
            await cut(database, OPERATOR, missing)
    assert await disabled(database) == 0
    assert await events(database) == []


async def test_only_the_console_restores_and_old_sessions_stay_ended(database: Database):
    doctor = await reaching.professional(database)
    token, session = await signed_in(database, doctor.account_id)
    await cut(database, OPERATOR, doctor.account_id)
    for actor in (OPERATOR, doctor):
        async with database.write() as work:
            with pytest.raises(AccessDenied):
                await cutting.restore(actor, work, doctor.account_id)
    assert await disabled(database) == 1
    async with database.write() as work:
        await cutting.restore(CONSOLE, work, doctor.account_id)
    assert await live(database, doctor)
    assert not await live(database, session)
    with pytest.raises(Unauthenticated):
        await authenticate(database, token, "192.0.2.7")
    async with database.write() as work:
        with pytest.raises(NotFound):
            await cutting.restore(CONSOLE, work, doctor.account_id)
    assert [kind for kind, _, _ in await events(database)] == [
        "ACCOUNT_CUT_OFF",
        "ACCOUNT_RESTORED",
    ]


async def test_a_session_is_live_until_it_ends_is_revoked_or_lies_idle(
    database: Database, clock: MovableClock
):
    doctor = await reaching.professional(database)
    _, first = await signed_in(database, doctor.account_id)
    _, second = await signed_in(database, doctor.account_id)
    assert await live(database, first) and await live(database, second)
    assert isinstance(first, Professional)
    async with database.write() as work:
        await end_sessions(work, doctor.account_id, but=first.session_id)
    assert await live(database, first) and not await live(database, second)
    clock.offset += timedelta(days=400)
    assert not await live(database, first)
    assert await live(database, doctor)  # its account is as it was


async def test_a_session_of_another_account_opens_nothing(database: Database):
    doctor, other = [await reaching.professional(database) for _ in range(2)]
    _, session = await signed_in(database, other.account_id)
    assert isinstance(session, Professional)
    mixed = Professional(
        doctor.professional_id, doctor.account_id, Assurance.PASSWORD, session.session_id
    )
    assert not await live(database, mixed)


async def test_patients_operators_and_publishers_are_live_by_what_they_came_in_with(
    database: Database,
):
    patient, publisher = await world.holder(database), await world.publisher(database)
    assert await live(database, patient)
    assert await live(database, publisher)
    assert await live(database, CONSOLE)
    assert not await live(database, Anonymous())
    assert not await live(database, Publisher(uuid4()))
    assert not await live(database, Patient(patient.person_id, uuid4(), Assurance.PASSWORD))
    assert not await live(database, OPERATOR)  # there is no such account
    async with database.write() as work:
        await work.session.execute(update(PublisherRow).values(revoked_at=work.now))
        await cutting.cut_off(OPERATOR, work, patient.account_id, CutOffReason.COMPROMISED)
    assert not await live(database, publisher)
    assert not await live(database, patient)
