"""Attempts to sign in, and to find a patient, counted before what was said is looked at.

Each attempt is a row that is committed first. An advisory lock on the address or account and one
on the login make counting and writing one step, so that parallel attempts cannot exceed the limits.
A refused attempt is not counted: whoever hammers a login does not prolong its owner's wait.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from uuid import UUID

from sqlalchemy import delete, func, select, text, update

from carnet.errors import RateLimited
from carnet.people import rules
from carnet.people.tables import SignInAttempt
from carnet.store.database import Database, Work

PURGED_AT_ONCE = 100  # rows; more than one attempt adds, so that old rows never pile up
IPV6_PREFIX = 64  # bits: what one household or server is given, so its addresses count as one


def derive_login_key(server_key: bytes) -> bytes:
    """Return the key that hides logins in the table, from a key that is not in the database."""
    return hmac.digest(server_key, b"carnet sign-in attempts v1", "sha256")


class Attempts:
    """Counts attempts for each login, and for each address or, of who has signed in, account.

    ``key`` hides the logins (see `derive_login_key`); a new key forgets the counts by login.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key

    async def begin(self, login: str, address: str) -> UUID:
        """Count one attempt, in a transaction of its own, and return its id.

        Args:
            login: normalized; it need not exist.
            address: of the client, IPv4 or IPv6.

        Raises:
            RateLimited: the login or the address must wait; nothing was counted.
        """
        login_hash = self._hash(login)
        source = counted_address(address)
        async with self._database.write() as work:
            # The address first, always: two attempts never wait for each other in a circle.
            await _lock(work, b"address:" + source.encode())
            await _lock(work, b"login:" + login_hash)
            await self._refuse_address(work, source)
            await self._refuse_login(work, login_hash)
            return await _count(work, login_hash, address=source)

    async def begin_signed_in(self, name: str, account_id: UUID) -> UUID:
        """Count one attempt of who has signed in, in a transaction of its own; return its id.

        Their address is not counted: others are behind it.

        Args:
            name: of what is tried, by this account: nobody else waits because of it. No login
                has spaces, so one with spaces is none.
            account_id: who tries.

        Raises:
            RateLimited: the account must wait, with this or with anything; nothing was counted.
        """
        login_hash = self._hash(f"{name} by {account_id}")
        async with self._database.write() as work:
            await _lock(work, b"account:" + account_id.bytes)
            failed, first = await self._failures(work, account_id)
            _refuse(rules.account_wait(work.now, failed, first))
            await self._refuse_login(work, login_hash)
            return await _count(work, login_hash, account_id=account_id)

    async def failed(self, work: Work, account_id: UUID) -> int:
        """Return how many attempts of an account failed within the window of accounts."""
        return (await self._failures(work, account_id))[0]

    async def withdraw(self, work: Work, attempt_id: UUID) -> None:
        """Forget the attempt: it was none."""
        await work.session.execute(delete(SignInAttempt).where(SignInAttempt.id == attempt_id))

    async def succeed(self, work: Work, attempt_id: UUID) -> None:
        """Mark the attempt: the login's failures up to now count no more."""
        await work.session.execute(
            update(SignInAttempt)
            .where(SignInAttempt.id == attempt_id)
            .values(succeeded_at=work.now)
        )

    def _hash(self, name: str) -> bytes:
        return hmac.digest(self._key, name.encode(errors="replace"), "sha256")

    async def _refuse_login(self, work: Work, login_hash: bytes) -> None:
        mine = SignInAttempt.login_hash == login_hash
        last_success = (
            select(func.max(SignInAttempt.attempted_at))
            .where(mine, SignInAttempt.succeeded_at.is_not(None))
            .scalar_subquery()
        )
        statement = select(func.count(), func.max(SignInAttempt.attempted_at)).where(
            mine,
            SignInAttempt.attempted_at > work.now - rules.LOGIN_WINDOW,
            SignInAttempt.attempted_at > func.coalesce(last_success, text("'-infinity'")),
        )
        failed, last = (await work.session.execute(statement)).one()
        _refuse(rules.login_wait(work.now, failed, last))

    async def _refuse_address(self, work: Work, source: str) -> None:
        statement = select(func.count(), func.min(SignInAttempt.attempted_at)).where(
            SignInAttempt.address == source,
            SignInAttempt.attempted_at > work.now - rules.ADDRESS_WINDOW,
            SignInAttempt.succeeded_at.is_(None),
        )
        failed, first = (await work.session.execute(statement)).one()
        _refuse(rules.address_wait(work.now, failed, first))

    async def _failures(self, work: Work, account_id: UUID) -> tuple[int, datetime | None]:
        statement = select(func.count(), func.min(SignInAttempt.attempted_at)).where(
            SignInAttempt.account_id == account_id,
            SignInAttempt.attempted_at > work.now - rules.ACCOUNT_WINDOW,
            SignInAttempt.succeeded_at.is_(None),
        )
        failed, first = (await work.session.execute(statement)).one()
        return failed, first


def counted_address(address: str) -> str:
    """Return the address under which attempts are counted: IPv6 by its network of 64 bits."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed) >> 64 << 64, IPV6_PREFIX)))


def _refuse(wait: timedelta) -> None:
    if wait > timedelta():
        raise RateLimited(retry_after=math.ceil(wait.total_seconds()))


async def _count(
    work: Work, login_hash: bytes, *, address: str | None = None, account_id: UUID | None = None
) -> UUID:
    attempt = SignInAttempt(
        id=work.new_id(),
        login_hash=login_hash,
        address=address,
        account_id=account_id,
        attempted_at=work.now,
    )
    work.session.add(attempt)
    await work.session.flush()
    await _purge(work)
    return attempt.id


async def _lock(work: Work, name: bytes) -> None:
    number = int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
    await work.session.execute(select(func.pg_advisory_xact_lock(number)))


async def _purge(work: Work) -> None:
    """Delete some rows that no window reaches, by their ids, which begin with their time."""
    old = (
        select(SignInAttempt.id)
        .where(SignInAttempt.id < _first_id_at(work.now - 2 * rules.LOGIN_WINDOW))
        .order_by(SignInAttempt.id)
        .limit(PURGED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await work.session.execute(delete(SignInAttempt).where(SignInAttempt.id.in_(old)))


def _first_id_at(moment: datetime) -> UUID:
    return UUID(int=int(moment.timestamp() * 1000) << 80)
