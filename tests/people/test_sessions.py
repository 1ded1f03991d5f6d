from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update

from carnet.clock import MovableClock
from carnet.errors import AccessDenied, BadCursor, NotFound, Unauthenticated
from carnet.people import queries, rules
from carnet.people.accounts import create_account
from carnet.people.actions import (
    Gate,
    revoke_all_sessions,
    revoke_session,
    sign_in,
    sign_out,
)
from carnet.people.actor import CONSOLE, Actor, Anonymous, Assurance, Operator, Professional
from carnet.people.actor import Publisher as PublisherActor
from carnet.people.registers import (
    register_professional,
    register_publisher,
    renew_publisher_secret,
    revoke_publisher,
)
from carnet.people.sessions import authenticate, new_token, open_session, token_hash
from carnet.people.tables import Account, AccountKind, Publisher, Session
from carnet.store.database import Database
from carnet.store.keyset import PageRequest

LOGIN = "dominique@example.org"
PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


async def test_tokens_are_256_bits_behind_their_prefix() -> None:
    tokens = {new_token("carnet_ses_") for _ in range(200)}
    assert len(tokens) == 200
    assert {len(token) for token in tokens} == {54}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "carnet_ses_",
        "carnet_ses_" + "A" * 42,
        "carnet_ses_" + "A" * 43,
        "carnet_ses_" + "A" * 44,
        "carnet_ses_" + "A" * 43 + "\n",
        "carnet_ses_" + "é" * 43,
        "carnet_pub_" + "A" * 43,
        "CARNET_SES_" + "A" * 43,
        "a.b.c",
        "\ud800",
    ],
)
async def test_no_other_text_opens_anything(database: Database, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate(database, token, HERE)


async def test_a_token_of_one_kind_is_none_of_the_other(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened.token.replace("_ses_", "_pub_"), HERE)


async def test_idle_sessions_end_and_used_ones_last_to_their_absolute_end(
    gate: Gate, database: Database, clock: MovableClock, account_id: UUID
) -> None:
    span = rules.SESSION_SPANS[AccountKind.PATIENT]
    idle = await sign_in(gate, LOGIN, PASSWORD, HERE)
    used = await sign_in(gate, LOGIN, PASSWORD, HERE)
    step = span.idle - timedelta(minutes=1)
    steps = span.absolute // step
    for _ in range(steps):
        clock.offset += step
        await authenticate(database, used.token, HERE)
    with pytest.raises(Unauthenticated):
        await authenticate(database, idle.token, HERE)
    actor = await authenticate(database, used.token, HERE)
    async with database.write() as work:
        listed = await queries.sessions(actor, work, PageRequest())
        assert [row.id for row in listed.items] == [used.session_id]
        with pytest.raises(NotFound):
            await revoke_session(actor, work, idle.session_id)
    clock.offset += span.absolute - steps * step
    with pytest.raises(Unauthenticated):
        await authenticate(database, used.token, HERE)


async def test_use_is_noted_once_a_minute(
    gate: Gate, database: Database, clock: MovableClock, account_id: UUID
) -> None:
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)

    async def row_version() -> str | None:
        """Every write of the row changes it, even one with the same values."""
        async with database.read() as work:
            return await work.session.scalar(text("SELECT xmin::text FROM sessions"))

    first = await row_version()
    for _ in range(20):
        await authenticate(database, opened.token, HERE)
    assert await row_version() == first
    clock.offset += timedelta(seconds=61)
    await asyncio.gather(*(authenticate(database, opened.token, HERE) for _ in range(10)))
    second = await row_version()
    assert second != first
    await authenticate(database, opened.token, HERE)
    assert await row_version() == second


async def test_signing_out_ends_this_session_alone(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    mine = await sign_in(gate, LOGIN, PASSWORD, HERE)
    other = await sign_in(gate, LOGIN, PASSWORD, HERE)
    actor = await authenticate(database, mine.token, HERE)
    async with database.write() as work:
        await sign_out(actor, work)
    with pytest.raises(Unauthenticated):
        await authenticate(database, mine.token, HERE)
    assert await authenticate(database, other.token, HERE)
    async with database.write() as work:
        with pytest.raises(NotFound):
            await sign_out(actor, work)


async def test_sessions_are_listed_and_revoked_by_their_owner_alone(
    gate: Gate, database: Database, clock: MovableClock, account_id: UUID
) -> None:
    opened = []
    for n in range(3):
        clock.offset += timedelta(seconds=1)
        opened.append(await sign_in(gate, LOGIN, PASSWORD, HERE, f"phone {n}"))
    mine = await authenticate(database, opened[2].token, HERE)
    async with database.write() as work:
        stranger_account = await create_account(CONSOLE, work, AccountKind.OPERATOR, login="op1")
    stranger = Operator(stranger_account, Assurance.PASSWORD)

    async with database.read() as work:
        page = await queries.sessions(mine, work, PageRequest.of(first=2))
        assert [row.device_name for row in page.items] == ["phone 2", "phone 1"]
        assert page.has_next
        page = await queries.sessions(mine, work, PageRequest.of(after=page.cursors[-1]))
        assert [row.device_name for row in page.items] == ["phone 0"]
        assert not (await queries.sessions(stranger, work, PageRequest())).items
        with pytest.raises(BadCursor):
            await queries.sessions(mine, work, PageRequest.of(after="nonsense"))
        with pytest.raises(Unauthenticated):
            await queries.sessions(Anonymous(), work, PageRequest())

    for actor, session_id in (
        (stranger, opened[0].session_id),
        (mine, uuid4()),
    ):
        async with database.write() as work:
            with pytest.raises(NotFound):
                await revoke_session(actor, work, session_id)
    assert await authenticate(database, opened[0].token, HERE)

    async with database.write() as work:
        await revoke_session(mine, work, opened[0].session_id)
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened[0].token, HERE)
    async with database.read() as work:
        page = await queries.sessions(mine, work, PageRequest())
        assert [row.device_name for row in page.items] == ["phone 2", "phone 1"]

    async with database.write() as work:
        assert await revoke_all_sessions(mine, work, keep_this=True) == 1
    assert await authenticate(database, opened[2].token, HERE) == mine
    async with database.write() as work:
        assert await revoke_all_sessions(mine, work) == 1
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened[2].token, HERE)


async def test_an_account_keeps_fifty_sessions(
    database: Database, clock: MovableClock, account_id: UUID
) -> None:
    tokens = []
    for _ in range(rules.SESSIONS_LIMIT + 2):
        clock.offset += timedelta(seconds=1)
        async with database.write() as work:
            account = await work.session.get_one(Account, account_id)
            tokens.append((await open_session(work, account, Assurance.SANDBOX)).token)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Session)) == 50
    for token in tokens[:2]:
        with pytest.raises(Unauthenticated):
            await authenticate(database, token, HERE)
    for token in tokens[2:]:
        assert (await authenticate(database, token, HERE)).kind == "PATIENT"


async def test_kinds_of_accounts_become_kinds_of_actors(database: Database) -> None:
    async with database.write() as work:
        professional_id = await register_professional(
            CONSOLE,
            work,
            rpps="10101234564",
            family_name="BERNARD",
            given_name="Sophie",
            profession_code="10",
        )
        accounts = {
            AccountKind.PROFESSIONAL: await create_account(
                CONSOLE, work, AccountKind.PROFESSIONAL, professional_id
            ),
            AccountKind.OPERATOR: await create_account(CONSOLE, work, AccountKind.OPERATOR),
        }
    found: dict[AccountKind, Actor] = {}
    for kind, account_id in accounts.items():
        async with database.write() as work:
            account = await work.session.get_one(Account, account_id)
            opened = await open_session(work, account, Assurance.SANDBOX)
            span = rules.SESSION_SPANS[kind]
            assert opened.expires_at == work.now + span.absolute
        actor = await authenticate(database, opened.token, HERE)
        found[kind] = actor
    assert isinstance(found[AccountKind.PROFESSIONAL], Professional)
    assert found[AccountKind.PROFESSIONAL].professional_id == professional_id
    assert isinstance(found[AccountKind.OPERATOR], Operator)
    assert found[AccountKind.OPERATOR].assurance is Assurance.SANDBOX


async def test_the_console_never_comes_out_of_a_session(
    database: Database, account_id: UUID
) -> None:
    async with database.write() as work:
        account = await work.session.get_one(Account, account_id)
        with pytest.raises(Unauthenticated):
            await open_session(work, account, Assurance.CONSOLE)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Session)) == 0


async def test_a_publisher_has_one_secret_that_can_be_renewed_and_revoked(
    database: Database,
) -> None:
    async with database.write() as work:
        made = await register_publisher(CONSOLE, work, "Laboratoire Boréal")
    assert made.secret.startswith("carnet_pub_") and made.secret not in repr(made)
    actor = PublisherActor(made.publisher_id)
    assert await authenticate(database, made.secret, HERE) == actor
    async with database.read() as work:
        stored = await work.session.scalar(select(Publisher.secret_hash))
    assert stored == token_hash(made.secret)

    async with database.write() as work:
        renewed = await renew_publisher_secret(CONSOLE, work, made.publisher_id)
    assert await authenticate(database, renewed.secret, HERE) == actor
    with pytest.raises(Unauthenticated):
        await authenticate(database, made.secret, HERE)

    async with database.write() as work:
        await revoke_publisher(CONSOLE, work, made.publisher_id)
    with pytest.raises(Unauthenticated):
        await authenticate(database, renewed.secret, HERE)
    async with database.write() as work:
        for again in (revoke_publisher, renew_publisher_secret):
            with pytest.raises(NotFound):
                await again(CONSOLE, work, made.publisher_id)


async def test_only_operators_keep_publishers(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    async with database.write() as work:
        made = await register_publisher(CONSOLE, work, "Laboratoire Boréal")
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)
    patient = await authenticate(database, opened.token, HERE)
    for actor, error in (
        (patient, AccessDenied),
        (PublisherActor(made.publisher_id), AccessDenied),
        (Anonymous(), Unauthenticated),
    ):
        async with database.write() as work:
            with pytest.raises(error):
                await register_publisher(actor, work, "Another")
            with pytest.raises(error):
                await revoke_publisher(actor, work, made.publisher_id)
            with pytest.raises(error):
                await renew_publisher_secret(actor, work, made.publisher_id)
    assert await authenticate(database, made.secret, HERE)
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Publisher)) == 1


async def test_a_session_whose_account_was_disabled_by_hand_is_over(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)
    async with database.write() as work:
        await work.session.execute(update(Account).values(disabled_at=work.now))
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened.token, HERE)
