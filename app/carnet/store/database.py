"""The database connection and the unit of work.

One action or one query opens one `Work`: a transaction, the moment it happens at, and ids.
Sibling GraphQL fields run concurrently, so a `Work` is never shared between resolvers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from carnet.clock import Clock, SystemClock
from carnet.errors import UserMistake
from carnet.ids import new_id
from carnet.store.events import NewEvent, flush

APP_ROLE = "carnet_app"  # the role the server runs under: it owns nothing


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
    ) -> Database:
        """Prepare a pool; nothing is dialled before first use.

        Args:
            url: ``postgresql://…``; the driver is always asyncpg.
            clock: where `Work.now` comes from.
            role: each connection runs as this role, and ``RESET ROLE`` comes back to it; None
                keeps the login's own. It guards against mistakes: whoever can run any SQL can
                still ``SET ROLE NONE``, so the login must own nothing either.
            pool_size: connections kept; twice as many under load.
        """
        settings = {"application_name": "carnet"}
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
        return cls(engine, clock)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Work]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        After the commit ``on_grown`` is told which streams grew, and to which number.
        """
        async with self._sessions.begin() as session:
            work = Work(session, self.clock.now())
            yield work
            if work.events:
                work.grown.update(await flush(session, work.events, work.now))
        if work.grown:
            self.on_grown(work.grown)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Work]:
        """Open a read-only transaction: one snapshot for all its statements.

        The snapshot is taken by the first statement, so it may hold rows later than `Work.now`.
        """
        async with self._snapshots() as session:
            yield Work(session, self.clock.now())

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[Work]:
        """Open no transaction: each statement sees what is committed by then. For a single one,
        on the way of every request."""
        async with self._glances() as session:
            yield Work(session, self.clock.now())

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


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
