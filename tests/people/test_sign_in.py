from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
from argon2 import Parameters, Type
from sqlalchemy import func, select, text

from carnet.clock import MovableClock
from carnet.errors import RateLimited, SignInFailed, Unauthenticated, ValidationFailed
from carnet.people import rules
from carnet.people.accounts import create_account, disable_account, set_password
from carnet.people.actions import Gate, change_password, sign_in
from carnet.people.actor import CONSOLE, Assurance, Patient
from carnet.people.attempts import Attempts, counted_address, derive_login_key
from carnet.people.passwords import PasswordHash, Passwords
from carnet.people.sessions import authenticate
from carnet.people.tables import Account, AccountKind, Session, SignInAttempt
from carnet.store.database import Database

LOGIN = "dominique@example.org"
PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


async def count(database: Database, table: type) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(table)) or 0


async def test_the_right_password_opens_a_session(
    gate: Gate, database: Database, account_id: UUID, person_id: UUID
) -> None:
    opened = await sign_in(gate, f"  {LOGIN.upper()} ", PASSWORD, HERE, "Phone\x00 of\n Do")
    assert opened.token.startswith("carnet_ses_") and len(opened.token) == 11 + 43
    actor = await authenticate(database, opened.token, HERE)
    assert actor == Patient(person_id, account_id, Assurance.PASSWORD, opened.session_id)
    async with database.read() as work:
        session = (await work.session.scalars(select(Session))).one()
        assert session.token_hash == hashlib.sha256(opened.token.encode()).digest()
        assert session.device_name == "Phone of Do"
        assert session.expires_at - session.created_at == timedelta(days=30)
    assert opened.token not in repr(opened)


async def test_two_sessions_have_two_tokens(gate: Gate, account_id: UUID) -> None:
    tokens = {(await sign_in(gate, LOGIN, PASSWORD, HERE)).token for _ in range(3)}
    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("login", "password"),
    [
        (LOGIN, "wrong horse battery"),
        (LOGIN, ""),
        (LOGIN, "x" * 10_000),
        (LOGIN, "\ud800"),
        (LOGIN + "x", PASSWORD),
        ("", PASSWORD),
        ("\ud800\x00", PASSWORD),
        ("x" * 100_000, PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
async def test_anything_wrong_is_the_same_refusal_and_opens_nothing(
    gate: Gate, database: Database, account_id: UUID, login: str, password: str
) -> None:
    before = gate.passwords.worked
    with pytest.raises(SignInFailed) as refusal:
        await sign_in(gate, login, password, HERE)
    assert str(refusal.value) == "The login or the password is wrong."
    assert gate.passwords.worked == before + 1  # the same work, account or not
    assert await count(database, Session) == 0
    assert await count(database, SignInAttempt) == 1


async def test_an_account_without_a_password_takes_none(
    gate: Gate, database: Database, person_id: UUID
) -> None:
    async with database.write() as work:
        await create_account(CONSOLE, work, AccountKind.PATIENT, person_id, login="nobody")
    for password in ("", "None", PASSWORD):
        with pytest.raises(SignInFailed):
            await sign_in(gate, "nobody", password, HERE)
    assert await count(database, Session) == 0


async def test_a_disabled_account_ends_at_once(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)
    async with database.write() as work:
        await disable_account(CONSOLE, work, account_id)
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened.token, HERE)
    with pytest.raises(SignInFailed):
        await sign_in(gate, LOGIN, PASSWORD, HERE)


@pytest.mark.parametrize("login", [LOGIN, "nobody@example.org"])
async def test_thirty_parallel_guesses_reach_the_hasher_five_times(
    gate: Gate, database: Database, account_id: UUID, login: str
) -> None:
    before = gate.passwords.worked
    answers = await asyncio.gather(
        *(sign_in(gate, login, f"wrong password {n}", HERE) for n in range(30)),
        return_exceptions=True,
    )
    kinds = [type(answer) for answer in answers]
    assert kinds.count(SignInFailed) == rules.FREE_ATTEMPTS == 5
    assert kinds.count(RateLimited) == 25
    assert gate.passwords.worked == before + 5
    assert await count(database, SignInAttempt) == 5
    waits = {answer.retry_after for answer in answers if isinstance(answer, RateLimited)}
    assert max(waits) == 30
    with pytest.raises(RateLimited):  # the right password waits as well
        await sign_in(gate, login, PASSWORD, HERE)
    assert await count(database, Session) == 0


async def test_thirty_parallel_guesses_by_two_processes_reach_the_hashers_five_times(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    other_passwords = Passwords(
        Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=64, parallelism=1), workers=1
    )
    other = Gate(database, other_passwords, Attempts(database, b"k" * 32))
    before = gate.passwords.worked
    await asyncio.gather(
        *(sign_in(gate, LOGIN, f"wrong password {n}", f"192.0.2.{n}") for n in range(15)),
        *(sign_in(other, LOGIN, f"wrong password {n}", f"198.51.100.{n}") for n in range(15)),
        return_exceptions=True,
    )
    assert gate.passwords.worked - before + other_passwords.worked == 5
    other_passwords.close()


async def test_one_address_tries_many_logins_only_so_often(gate: Gate, database: Database) -> None:
    addresses = [f"2001:db8:0:1::{n:x}" for n in range(1, 90)]
    answers = await asyncio.gather(
        *(sign_in(gate, f"somebody{n}", PASSWORD, address) for n, address in enumerate(addresses)),
        return_exceptions=True,
    )
    kinds = [type(answer) for answer in answers]
    assert kinds.count(SignInFailed) == rules.ADDRESS_LIMIT == 60
    assert kinds.count(RateLimited) == 29
    with pytest.raises(SignInFailed):
        await sign_in(gate, "somebody1000", PASSWORD, "2001:db8:0:2::1")


async def test_waiting_lets_in_again_and_success_forgets_failures(
    gate: Gate, database: Database, clock: MovableClock, account_id: UUID
) -> None:
    for n in range(5):
        with pytest.raises(SignInFailed):
            await sign_in(gate, LOGIN, f"wrong password {n}", HERE)
    with pytest.raises(RateLimited) as refusal:
        await sign_in(gate, LOGIN, PASSWORD, HERE)
    clock.offset += timedelta(seconds=refusal.value.retry_after)
    assert await sign_in(gate, LOGIN, PASSWORD, HERE)
    for n in range(5):
        with pytest.raises(SignInFailed):
            await sign_in(gate, LOGIN, f"wrong again {n}", HERE)
    with pytest.raises(RateLimited):
        await sign_in(gate, LOGIN, PASSWORD, HERE)


async def test_a_password_that_changes_while_it_is_checked_opens_nothing(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    fresh = await gate.passwords.hash("a password by the operator", login=LOGIN)
    async with database.write() as work:
        await set_password(CONSOLE, work, account_id, fresh)  # not committed yet
        late = asyncio.create_task(sign_in(gate, LOGIN, PASSWORD, HERE))
        async with asyncio.timeout(20):
            while not await _somebody_waits(database):  # for the row, with the old password
                assert not late.done()
    with pytest.raises(SignInFailed):
        await late
    assert await count(database, Session) == 0
    assert await sign_in(gate, LOGIN, "a password by the operator", HERE)


async def _somebody_waits(database: Database) -> bool:
    async with database.read() as work:
        waiting = text(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database())"
        )
        return bool(await work.session.scalar(waiting))


async def test_signing_in_all_day_never_waits(gate: Gate, account_id: UUID) -> None:
    for _ in range(rules.FREE_ATTEMPTS * 3):
        await sign_in(gate, LOGIN, PASSWORD, HERE)


async def test_the_table_of_attempts_names_no_login_and_old_rows_go(
    gate: Gate, database: Database, clock: MovableClock
) -> None:
    for n in range(3):
        with pytest.raises(SignInFailed):
            await sign_in(gate, f"somebody{n}", PASSWORD, HERE)
    async with database.read() as work:
        hashes = set(await work.session.scalars(select(SignInAttempt.login_hash)))
    assert len(hashes) == 3
    assert not hashes & {hashlib.sha256(f"somebody{n}".encode()).digest() for n in range(3)}
    clock.offset += timedelta(days=3)
    with pytest.raises(SignInFailed):
        await sign_in(gate, "somebody", PASSWORD, HERE)
    assert await count(database, SignInAttempt) == 1


def test_the_login_key_is_bound_to_its_use() -> None:
    assert derive_login_key(b"a" * 32) == derive_login_key(b"a" * 32) != derive_login_key(b"b" * 32)
    assert len(derive_login_key(b"a" * 32)) == 32
    assert b"a" * 32 not in derive_login_key(b"a" * 32)


def test_addresses_are_counted_by_household() -> None:
    assert counted_address("192.0.2.1") == "192.0.2.1"
    assert counted_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert counted_address("2001:db8:0:1:aaaa::1") == "2001:db8:0:1::/64"
    assert counted_address("2001:db8:0:1:bbbb::2") == "2001:db8:0:1::/64"


async def test_a_hash_of_former_parameters_is_replaced_when_its_owner_comes(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    async with database.read() as work:
        former = await work.session.scalar(select(Account.password_hash))
    stronger = Passwords(Parameters(Type.ID, 19, 16, 32, 2, 128, 1), workers=1)
    later = Gate(database, stronger, gate.attempts)
    with pytest.raises(SignInFailed):
        await sign_in(later, LOGIN, "wrong horse battery", HERE)
    async with database.read() as work:
        assert await work.session.scalar(select(Account.password_hash)) == former
    await sign_in(later, LOGIN, PASSWORD, HERE)
    async with database.read() as work:
        fresh = await work.session.scalar(select(Account.password_hash)) or ""
    assert fresh != former and "m=128,t=2" in fresh
    assert await sign_in(later, LOGIN, PASSWORD, HERE)
    stronger.close()


async def test_changing_the_password_ends_the_other_sessions(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    mine = await sign_in(gate, LOGIN, PASSWORD, HERE)
    others = [await sign_in(gate, LOGIN, PASSWORD, HERE) for _ in range(2)]
    actor = await authenticate(database, mine.token, HERE)
    assert await change_password(actor, gate, PASSWORD, "another long password", HERE) == 2
    assert await authenticate(database, mine.token, HERE) == actor
    for other in others:
        with pytest.raises(Unauthenticated):
            await authenticate(database, other.token, HERE)
    with pytest.raises(SignInFailed):
        await sign_in(gate, LOGIN, PASSWORD, HERE)
    assert await sign_in(gate, LOGIN, "another long password", HERE)


async def test_a_password_is_not_changed_by_who_does_not_know_it(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    mine = await sign_in(gate, LOGIN, PASSWORD, HERE)
    other = await sign_in(gate, LOGIN, PASSWORD, HERE)
    actor = await authenticate(database, mine.token, HERE)
    for n in range(5):
        with pytest.raises(SignInFailed):
            await change_password(actor, gate, f"guess {n}", "another long password", HERE)
    with pytest.raises(RateLimited):
        await change_password(actor, gate, PASSWORD, "another long password", HERE)
    with pytest.raises(ValidationFailed):
        await change_password(actor, gate, PASSWORD, "short", HERE)
    assert await authenticate(database, other.token, HERE)
    async with database.read() as work:
        stored = await work.session.scalar(select(Account.password_hash))
    assert stored and await gate.passwords.verify(PasswordHash(stored), PASSWORD)


async def test_a_password_set_at_the_console_ends_all_sessions(
    gate: Gate, database: Database, account_id: UUID
) -> None:
    opened = await sign_in(gate, LOGIN, PASSWORD, HERE)
    fresh = await gate.passwords.hash("a password by the operator", login=LOGIN)
    async with database.write() as work:
        await set_password(CONSOLE, work, account_id, fresh)
    with pytest.raises(Unauthenticated):
        await authenticate(database, opened.token, HERE)
    assert await sign_in(gate, LOGIN, "a password by the operator", HERE)
