"""What people do about their own access: sign in and out, change the password, end sessions.

See `registers`, `registration` and `accounts` for what is done about people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_bytes
from uuid import UUID

from sqlalchemy import select, update

from carnet.errors import NotFound, SignInFailed
from carnet.people.accounts import LOGIN_LIMIT, is_login, normalized_login
from carnet.people.actor import Actor, Assurance, Operator, Patient, Professional
from carnet.people.attempts import Attempts
from carnet.people.passwords import PasswordHash, Passwords, acceptable
from carnet.people.queries import account_id_of
from carnet.people.sessions import OpenedSession, end_sessions, live, open_session, tell_account
from carnet.people.tables import Account, Session
from carnet.store.database import Database, Work


@dataclass(frozen=True, slots=True)
class Gate:
    """What signing in works with; one for each process.

    ``server_key`` is what enrolment codes follow from, a secret that is not in the database;
    without it, none of the codes that were sent opens anything.
    """

    database: Database
    passwords: Passwords
    attempts: Attempts
    server_key: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    takes_passwords: bool = True

    def refuse_if_closed(self) -> None:
        """Refuse whoever comes with a password where this server keeps none.

        Raises:
            SignInFailed: it does not.
        """
        if not self.takes_passwords:
            raise SignInFailed("This server keeps no passwords; use your identity provider.")


async def sign_in(
    gate: Gate, login: str, password: str, address: str, device_name: str | None = None
) -> OpenedSession:
    """Open a session for who knows the password. Opens its own transactions.

    The attempt is counted and committed before the password is looked at. A login that does not
    exist costs the same time and gives the same answer as a wrong password.

    Raises:
        SignInFailed: the login or the password is wrong, the account is disabled, or this server
            keeps no passwords.
        RateLimited: too many attempts, or too many people at once.
    """
    gate.refuse_if_closed()
    name = normalized_login(login[: 2 * LOGIN_LIMIT])
    gate.passwords.refuse_a_crowd()
    attempt_id = await gate.attempts.begin(name, address)
    account = await _account_of(gate.database, name)
    stored = PasswordHash(account.password_hash) if account and account.password_hash else None
    is_right = await gate.passwords.verify(stored, password)
    if not is_right or account is None or stored is None:
        raise SignInFailed()
    fresh = stored
    if gate.passwords.is_outdated(stored):
        fresh = await gate.passwords.rehash(password)
    async with gate.database.write() as work:
        # Again, under its lock: meanwhile it may have been disabled, or the password changed.
        held = await work.session.scalar(
            select(Account).where(Account.id == account.id).with_for_update()
        )
        if held is None or held.disabled_at is not None or held.password_hash != stored.text:
            raise SignInFailed()
        held.password_hash = fresh.text
        await gate.attempts.succeed(work, attempt_id)
        return await open_session(work, held, Assurance.PASSWORD, device_name)


async def change_password(actor: Actor, gate: Gate, current: str, new: str, address: str) -> int:
    """Replace the actor's own password and end their other sessions. Opens its own transactions.

    The current password is asked for, and wrong answers are counted like attempts to sign in.

    Returns:
        How many sessions ended.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
        ValidationFailed: the new password is not acceptable.
        SignInFailed: the current password is wrong, or the account has none.
        RateLimited: too many attempts, or too many people at once.
    """
    account_id = account_id_of(actor)
    async with gate.database.read() as work:
        account = await work.session.get(Account, account_id)
    if account is None or account.login is None or account.password_hash is None:
        raise SignInFailed()
    acceptable(new, account.login)
    gate.passwords.refuse_a_crowd()
    attempt_id = await gate.attempts.begin(account.login, address)
    stored = PasswordHash(account.password_hash)
    if not await gate.passwords.verify(stored, current):
        raise SignInFailed()
    fresh = await gate.passwords.hash(new, login=account.login)
    async with gate.database.write() as work:
        changed = await work.session.scalar(
            update(Account)
            .where(
                Account.id == account_id,
                Account.password_hash == stored.text,
                Account.disabled_at.is_(None),
            )
            .values(password_hash=fresh.text)
            .returning(Account.id)
        )
        if changed is None:
            raise SignInFailed()
        await gate.attempts.succeed(work, attempt_id)
        return await end_sessions(work, account_id, but=_session_id(actor))


async def _account_of(database: Database, login: str) -> Account | None:
    if not is_login(login):
        return None
    async with database.read() as work:
        return await work.session.scalar(
            select(Account).where(Account.login == login, Account.disabled_at.is_(None))
        )


async def sign_out(actor: Actor, work: Work) -> None:
    """End the session of this request.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
        NotFound: the actor came with an access token, which only its provider ends.
    """
    account_id_of(actor)
    session_id = _session_id(actor)
    if session_id is None:
        raise NotFound()
    await revoke_session(actor, work, session_id)


async def revoke_session(actor: Actor, work: Work, session_id: UUID) -> None:
    """End one of the actor's own sessions.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
        NotFound: no such session of theirs that still lives.
    """
    theirs = (
        select(Session.id)
        .join(Account)
        .where(Session.id == session_id, Account.id == account_id_of(actor), live(work.now))
    )
    account_id = await work.session.scalar(
        update(Session)
        .where(Session.id.in_(theirs))
        .values(revoked_at=work.now)
        .returning(Session.account_id)
    )
    if account_id is None:
        raise NotFound()
    tell_account(work, account_id)


async def revoke_all_sessions(actor: Actor, work: Work, *, keep_this: bool = False) -> int:
    """End all of the actor's sessions, or all but the one of this request.

    Returns:
        How many ended.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
    """
    return await end_sessions(
        work, account_id_of(actor), but=_session_id(actor) if keep_this else None
    )


def _session_id(actor: Actor) -> UUID | None:
    match actor:
        case Patient() | Professional() | Operator():
            return actor.session_id
        case _:
            return None
