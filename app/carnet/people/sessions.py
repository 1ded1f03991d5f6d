"""Sessions and bearer tokens: how a token is made, stored and turned into an actor.

A token is 256 random bits behind a prefix by which scanners of leaked secrets know it. Only its
SHA-256 is stored and looked up, so neither the table nor the time of a look-up tells a token.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, and_, bindparam, delete, or_, select, update

from carnet.errors import Unauthenticated
from carnet.people import rules
from carnet.people.actor import Actor, Assurance, Operator, Patient, Professional
from carnet.people.actor import Publisher as PublisherActor
from carnet.people.tables import Account, AccountKind, Publisher, Session
from carnet.store.database import Database, Work
from carnet.store.events import ACCESS_CHANGED, NewEvent
from carnet_crypto.encoding import to_base64url

if TYPE_CHECKING:
    from carnet.people.oidc import Providers

SESSION_PREFIX = "carnet_ses_"
PUBLISHER_PREFIX = "carnet_pub_"
TOKEN_BYTES = 32
DEVICE_NAME_LIMIT = 100  # characters

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A fresh session. The token is known here and to the client, and nowhere else."""

    token: str = field(repr=False)
    session_id: UUID
    account_id: UUID
    expires_at: datetime


def new_token(prefix: str) -> str:
    """Return a fresh secret of 256 bits behind the prefix."""
    return prefix + to_base64url(token_bytes(TOKEN_BYTES))


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


async def authenticate(
    database: Database, token: str, address: str, *, providers: Providers | None = None
) -> Actor:
    """Turn a bearer token into who acts: a session, a publisher's secret, or an access token.

    Args:
        database: opens its own transactions.
        token: what came after ``Bearer``.
        address: of the client; it decides nothing, as phones change networks all day.
        providers: the trusted identity providers; None takes no access token.

    Raises:
        Unauthenticated: the token opens nothing, or no more.
    """
    if token.startswith(SESSION_PREFIX):
        return await _by_session(database, _checked(token, SESSION_PREFIX))
    if token.startswith(PUBLISHER_PREFIX):
        return await _by_secret(database, _checked(token, PUBLISHER_PREFIX))
    if providers is not None:
        return await providers.authenticate(database, token)
    raise Unauthenticated()


def actor_of(
    account: Account,
    assurance: Assurance,
    session_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> Actor:
    """Return who acts through an account; ``expires_at`` is that of an access token.

    Raises:
        Unauthenticated: the account is disabled.
    """
    if account.disabled_at is not None:
        raise Unauthenticated()
    match account:
        case Account(kind=AccountKind.PATIENT, person_id=UUID() as person_id):
            return Patient(person_id, account.id, assurance, session_id, expires_at)
        case Account(kind=AccountKind.PROFESSIONAL, professional_id=UUID() as professional_id):
            return Professional(professional_id, account.id, assurance, session_id, expires_at)
        case Account(kind=AccountKind.OPERATOR):
            return Operator(account.id, assurance, session_id, expires_at)
    raise Unauthenticated()


def live(now: datetime) -> ColumnElement[bool]:
    """Return the filter on sessions, joined to their accounts, that still open something."""
    unused_since = or_(
        *(
            and_(Account.kind == kind, Session.last_used_at > now - span.idle)
            for kind, span in rules.SESSION_SPANS.items()
        )
    )
    return and_(Session.revoked_at.is_(None), Session.expires_at > now, unused_since)


async def live_until(work: Work, actor: Actor) -> datetime | None:
    """Return when what an actor came in with ends unless something happens before; None is never.

    For connections that outlast a request: one look-up by key. What ends earlier is told in the
    account's stream, see `tell_account`.

    Raises:
        Unauthenticated: it opens nothing any more.
    """
    match actor:
        case PublisherActor(publisher_id=publisher_id):
            known = select(Publisher.id).where(
                Publisher.id == publisher_id, Publisher.revoked_at.is_(None)
            )
            if await work.session.scalar(known) is not None:
                return None
        case Patient() | Professional() | Operator() if actor.session_id is not None:
            statement = select(Session.expires_at, Session.last_used_at, Account.kind).join(Account)
            found = (
                await work.session.execute(
                    statement.where(
                        Session.id == actor.session_id,
                        Account.id == actor.account_id,
                        Account.disabled_at.is_(None),
                        live(work.now),
                    )
                )
            ).one_or_none()
            if found is not None:
                expires_at, last_used_at, kind = found
                idle_at: datetime = last_used_at + rules.SESSION_SPANS[kind].idle
                return min(expires_at, idle_at)
        case Patient() | Professional() | Operator():
            if actor.assurance is Assurance.CONSOLE:
                return None
            enabled = select(Account.id).where(
                Account.id == actor.account_id, Account.disabled_at.is_(None)
            )
            is_over = actor.expires_at is not None and actor.expires_at <= work.now
            if not is_over and await work.session.scalar(enabled) is not None:
                return actor.expires_at
    raise Unauthenticated("The session is over; sign in again.")


def tell_account(work: Work, account_id: UUID) -> None:
    """Have open connections of an account ask anew whether they may stay."""
    changed = NewEvent(work.new_id(), (account_id,), ACCESS_CHANGED, account_id, is_hint=True)
    work.events.append(changed)


async def open_session(
    work: Work, account: Account, assurance: Assurance, device_name: str | None = None
) -> OpenedSession:
    """Open a session for an account whose owner was just recognized.

    Sessions of the account that are over are deleted; beyond 50 live ones, those unused for
    longest are too.

    Args:
        work: a transaction that commits before the token is handed out.
        account: enabled.
        assurance: how its owner was recognized.
        device_name: shown in the list of sessions; cut at 100 characters.

    Raises:
        Unauthenticated: the account is disabled, or the assurance is the console's.
    """
    if assurance is Assurance.CONSOLE:
        raise Unauthenticated("The console has no sessions.")
    actor_of(account, assurance)
    await _make_room(work, account)
    token = new_token(SESSION_PREFIX)
    session = Session(
        id=work.new_id(),
        account_id=account.id,
        token_hash=token_hash(token),
        assurance=assurance.value,
        device_name=_device_name(device_name),
        created_at=work.now,
        last_used_at=work.now,
        expires_at=work.now + rules.SESSION_SPANS[account.kind].absolute,
    )
    work.session.add(session)
    await work.session.flush()
    return OpenedSession(token, session.id, account.id, session.expires_at)


async def end_sessions(work: Work, account_id: UUID, *, but: UUID | None = None) -> int:
    """End the live sessions of an account, but for one, and return how many there were."""
    theirs = select(Session.id).join(Account).where(Account.id == account_id, live(work.now))
    if but is not None:
        theirs = theirs.where(Session.id != but)
    revoked = await work.session.scalars(
        update(Session)
        .where(Session.id.in_(theirs))
        .values(revoked_at=work.now)
        .returning(Session.id)
    )
    tell_account(work, account_id)
    return len(revoked.all())


async def _make_room(work: Work, account: Account) -> None:
    kept = (
        select(Session.id)
        .join(Account)
        .where(Session.account_id == account.id, live(work.now))
        .order_by(Session.last_used_at.desc(), Session.id.desc())
        .limit(rules.SESSIONS_LIMIT - 1)
    )
    await work.session.execute(
        delete(Session).where(Session.account_id == account.id, Session.id.not_in(kept))
    )
    tell_account(work, account.id)


_SESSION = (
    select(Session, Account)
    .join(Account)
    .where(Session.token_hash == bindparam("b_hash", type_=LargeBinary()))
)


async def _by_session(database: Database, digest: bytes) -> Actor:
    async with database.glance() as work:
        found = (await work.session.execute(_SESSION, {"b_hash": digest})).one_or_none()
    if found is None:
        raise Unauthenticated()
    session, account = found
    if not rules.session_is_live(
        account.kind,
        work.now,
        last_used_at=session.last_used_at,
        expires_at=session.expires_at,
        revoked_at=session.revoked_at,
    ):
        raise Unauthenticated("The session is over; sign in again.")
    actor = actor_of(account, Assurance(session.assurance), session.id)
    if session.last_used_at <= work.now - rules.USE_NOTED_EVERY:
        await _note_use(database, session.id)
    return actor


async def _note_use(database: Database, session_id: UUID) -> None:
    """Move the idle time on. Of many requests at once, one writes."""
    async with database.write() as work:
        await work.session.execute(
            update(Session)
            .where(
                Session.id == session_id,
                Session.last_used_at <= work.now - rules.USE_NOTED_EVERY,
            )
            .values(last_used_at=work.now)
        )


async def _by_secret(database: Database, digest: bytes) -> Actor:
    statement = select(Publisher.id).where(
        Publisher.secret_hash == digest, Publisher.revoked_at.is_(None)
    )
    async with database.read() as work:
        publisher_id = await work.session.scalar(statement)
    if publisher_id is None:
        raise Unauthenticated()
    return PublisherActor(publisher_id)


def _checked(token: str, prefix: str) -> bytes:
    """Return the hash of a token of the right form; another never reaches the database."""
    if _SECRET.fullmatch(token, len(prefix)) is None:
        raise Unauthenticated()
    return token_hash(token)


def _device_name(name: str | None) -> str | None:
    """Return what can be shown of a name that a client gave itself."""
    if name is None:
        return None
    return "".join(c for c in name if c.isprintable()).strip()[:DEVICE_NAME_LIMIT] or None
