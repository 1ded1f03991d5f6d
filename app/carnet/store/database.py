"""The database connection and the unit of work.

One action or one query opens one `Work`: a transaction, the moment it happens at, and ids.
Sibling GraphQL fields run concurrently, so a `Work` is never shared between resolvers.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from carnet.clock import Clock, SystemClock
from carnet.errors import TookTooLong, UserMistake
from carnet.ids import new_id
from carnet.store.events import NewEvent, flush
from carnet.store.outages import was_cut

APP_ROLE = "carnet_app"  # the role the server runs under: it owns nothing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long PostgreSQL lets a connection work at one statement, locks that it waits for
    included, and lets one stand idle in a transaction, which keeps locks and old rows."""

    statement: timedelta
    idle: timedelta

    def settings(self) -> dict[str, str]:
        """Return PostgreSQL's settings."""
        return {
            "statement_timeout": f"{self.statement // timedelta(milliseconds=1)}ms",
            "idle_in_transaction_session_timeout": f"{self.idle // timedelta(milliseconds=1)}ms",
        }


# A request's statements take milliseconds, and a proxy gives up after about a minute. In a
# transaction, a request waits longest for an object store to take a submission's files.
SERVING = Bounds(statement=timedelta(seconds=30), idle=timedelta(minutes=2))
# What is done beside requests goes over whole tables; a lease is renewed while it does.
BACKGROUND = Bounds(statement=timedelta(hours=1), idle=timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Work:
    """One open transaction and the moment at which everything in it happens.

    ``events`` are put into their streams just before the commit, so that the streams are locked
    for as short as can be, and always in one order. ``grown`` is where streams end by then, of
    those that keep their own numbers too.
    """

    session: AsyncSession
    now: datetime
    events: list[NewEvent] = field(default_factory=list, repr=False)
    grown: dict[UUID, int] = field(default_factory=dict, repr=False)

    def new_id(self) -> UUID:
        """Return a fresh UUIDv7 of this moment."""
        return new_id(self.now)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block does, and forget what it would have told, when it raises."""
        told, grown = len(self.events), dict(self.grown)
        try:
            async with self.session.begin_nested():
                yield
        except BaseException:
            del self.events[told:]
            self.grown.clear()
            self.grown.update(grown)
            raise


class Database:
    """A pool of connections under the server's own role."""

    def __init__(self, engine: AsyncEngine, clock: Clock | None = None) -> None:
        self.engine = engine
        self.clock = clock or SystemClock()
        self.on_grown: Callable[[Mapping[UUID, int]], None] = _nobody_listens
        self._bounds: Bounds | None = None  # of the connections
        self._own_bounds: Bounds | None = None  # of the transactions, where they differ
        self._origin = self
        self._sessions = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
        snapshots = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )  # shares the pool; each connection is put back as it was
        glances = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._glances = async_sessionmaker(glances, expire_on_commit=False, autoflush=False)
        self._snapshots = async_sessionmaker(snapshots, expire_on_commit=False, autoflush=False)

    @classmethod
    def connect(
        cls,
        url: str | URL,
        *,
        clock: Clock | None = None,
        role: str | None = APP_ROLE,
        pool_size: int = 10,
        bounds: Bounds | None = None,
    ) -> Database:
        """Prepare a pool; nothing is dialled before first use.

        Args:
            url: ``postgresql://…``; the driver is always asyncpg.
            clock: where `Work.now` comes from.
            role: each connection runs as this role, and ``RESET ROLE`` comes back to it; None
                keeps the login's own. It guards against mistakes: whoever can run any SQL can
                still ``SET ROLE NONE``, so the login must own nothing either.
            pool_size: connections kept; twice as many under load.
            bounds: of every statement and transaction; None for commands, which take their time.
        """
        settings = {"application_name": "carnet"}
        if bounds is not None:
            settings |= bounds.settings()
        if role is not None:
            settings["role"] = role
        engine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,  # an error's text must not hold what people said
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={"server_settings": settings},
        )
        event.listen(engine.sync_engine, "checkout", _check_open)
        database = cls(engine, clock)
        database._bounds = bounds
        return database

    def at_length(self, bounds: Bounds = BACKGROUND) -> Database:
        """Return the same database, on the same pool, for work that takes longer than a request.

        Args:
            bounds: of its reads and writes; a glance keeps those of the connection.
        """
        if self._bounds is None:
            return self
        longer = copy.copy(self)
        longer._own_bounds = bounds
        return longer

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Work]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        After the commit ``on_grown`` is told which streams grew, and to which number.

        Raises:
            TookTooLong: a statement was stopped at its bound.
        """
        with _typed():
            async with self._sessions.begin() as session:
                await self._stretch(session)
                work = Work(session, self.clock.now())
                yield work
                if work.events:
                    work.grown.update(await flush(session, work.events, work.now))
        if work.grown:
            self._origin.on_grown(work.grown)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Work]:
        """Open a read-only transaction: one snapshot for all its statements.

        The snapshot is taken by the first statement, so it may hold rows later than `Work.now`.

        Raises:
            TookTooLong: a statement was stopped at its bound.
        """
        with _typed():
            async with self._snapshots() as session:
                await self._stretch(session)
                yield Work(session, self.clock.now())

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[Work]:
        """Open no transaction: each statement sees what is committed by then. For a single one,
        on the way of every request.

        Raises:
            TookTooLong: the statement was stopped at its bound.
        """
        with _typed():
            async with self._glances() as session:
                yield Work(session, self.clock.now())

    async def _stretch(self, session: AsyncSession) -> None:
        """Give the transaction the bounds of its own, if there are any; it alone has them."""
        if self._own_bounds is not None:
            settings = self._own_bounds.settings()
            chosen = ", ".join(f"set_config('{name}', :{name}, true)" for name in settings)
            await session.execute(text(f"SELECT {chosen}"), settings)

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


@contextmanager
def _typed() -> Iterator[None]:
    """Turn the end of a statement at its bound into what a client may be told."""
    try:
        yield
    except DBAPIError as error:
        if not was_cut(error):
            raise
        _log.warning("a statement was stopped at its bound")
        raise TookTooLong from None  # its text names the statement


def _check_open(connection: Any, _record: object, _proxy: object) -> None:
    """Make the pool replace a connection that has gone.

    asyncpg hears of it when the server closes it; SQLAlchemy's own way to find out
    (``pool_pre_ping``) asks the server three questions before each use.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _nobody_listens(_grown: Mapping[UUID, int]) -> None:
    """Tell nobody: a command's process has no subscribers, and servers look by themselves."""


def asyncpg_url(url: str | URL) -> URL:
    """Return the URL with the asyncpg driver.

    Raises:
        UserMistake: it is not a PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their texts may hold the password
        raise UserMistake("CARNET_DATABASE_URL is not a database URL.") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise UserMistake("CARNET_DATABASE_URL must start with postgresql://.")
    return parsed.set(drivername="postgresql+asyncpg")
