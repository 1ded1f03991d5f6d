"""The message broker that processes tell each other through: its URL, and one link to it.

The library, `broadcaster` 0.3.1, goes silent when a connection dies, can hang when it is closed,
and loses messages when many subscribe at once. So a `Link` subscribes once, to one channel, can be
asked whether it still lives, and is closed within a bounded time, whatever state it is in.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol, cast

from broadcaster import Broadcast
from broadcaster._backends.memory import MemoryBackend
from broadcaster._backends.postgres import PostgresBackend
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from carnet.errors import UserMistake
from carnet.settings import Settings
from carnet.store.database import APP_ROLE, asyncpg_url
from carnet.store.tasks import end

CHANNEL = "carnet"  # one for the whole deployment
CLOSING = 0.3  # seconds that a link gets to close politely

_MISTAKE = "CARNET_BROADCAST_URL must start with postgresql://, redis://, rediss:// or memory://."
_POSTGRES = frozenset({"postgresql", "postgres"})
_REDIS = frozenset({"redis", "rediss"})
# Settings of SQLAlchemy's and asyncpg's connect(), which the server would take for its own.
_NOT_FOR_THE_SERVER = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "direct_tls",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "timeout",
    }
)


def broker_url(settings: Settings, database_url: str | URL) -> str:
    """Return where wake-ups go: ``CARNET_BROADCAST_URL``, or else the database itself.

    The result holds passwords.

    Args:
        settings: of the process.
        database_url: of the server's database, in SQLAlchemy's form.

    Raises:
        UserMistake: it names no broker that can be used; the message does not repeat it.
    """
    if settings.broadcast_url is None:
        return _dsn(asyncpg_url(database_url), role=APP_ROLE)
    try:
        scheme = settings.broadcast_url.partition("://")[0].partition("+")[0]
        if scheme == "memory":
            return "memory://"
        if scheme in _REDIS:
            # Slow to load and seldom used; here no link waits for it, which has a second to open.
            from carnet.store.redis_broker import check_url

            check_url(settings.broadcast_url)
            return settings.broadcast_url
        if scheme in _POSTGRES:
            return _dsn(make_url(settings.broadcast_url))
    except (ArgumentError, ValueError):
        raise UserMistake("CARNET_BROADCAST_URL cannot be read as a URL.") from None
    raise UserMistake(_MISTAKE)


def refuse_lonely_broker(settings: Settings) -> None:
    """Refuse a broker that does not reach other processes.

    Raises:
        UserMistake: the settings name one, or none that can be used.
    """
    if settings.broadcast_url is not None and broker_url(settings, "") == "memory://":
        raise UserMistake(
            "CARNET_BROADCAST_URL is memory://, which reaches one process only;"
            " unset it, or serve with one worker."
        )


def scheme_of(url: str) -> str:
    """Return what kind of broker it is; this part holds no secret.

    Raises:
        UserMistake: there is no such kind.
    """
    scheme = url.partition("://")[0]
    if scheme not in {"memory", *_REDIS, *_POSTGRES}:
        raise UserMistake(_MISTAKE)
    return scheme


def _dsn(url: URL, **server_settings: str) -> str:
    """Return the URL as asyncpg reads it; its unknown parameters are settings of the session."""
    query = {
        "sslmode" if name == "ssl" else name: value if isinstance(value, str) else ",".join(value)
        for name, value in url.query.items()
        if name not in _NOT_FOR_THE_SERVER
    }
    # Notices do not outlive a crash anyway; and who notifies holds a lock until its commit.
    query = {"application_name": "carnet-wakeups", "synchronous_commit": "off", **query}
    dsn = url.set(drivername="postgresql", query={**query, **server_settings})
    return dsn.render_as_string(hide_password=False)


class _Backend(Protocol):
    @property
    def is_alive(self) -> bool:
        """False when it is certain that nothing will come any more."""

    async def disconnect(self) -> None:
        """Close politely; may hang."""

    async def abort(self) -> None:
        """Close at once."""


class _Memory(MemoryBackend):
    is_alive = True

    async def abort(self) -> None:
        """There is nothing to close."""


class _Postgres(PostgresBackend):
    _conn: Any = None

    @property
    def is_alive(self) -> bool:
        return self._conn is not None and not self._conn.is_closed()

    async def abort(self) -> None:
        if self._conn is not None:
            self._conn.terminate()


class Link(Broadcast):
    """One connection to the broker, subscribed to the channel."""

    def __init__(self, url: str) -> None:
        scheme = scheme_of(url)
        self._raw: _Backend
        if scheme == "memory":
            backend: Any = _Memory(url)
        elif scheme in _REDIS:
            from carnet.store.redis_broker import Redis

            backend = Redis(url)
        else:
            backend = _Postgres(url)
        self._raw = backend
        self._opened = AsyncExitStack()
        self._subscriber: Any = None
        super().__init__(backend=backend)

    @property
    def is_alive(self) -> bool:
        """False when it is certain that nothing will come any more. True proves nothing."""
        return self._raw.is_alive and not self._listener_task.done()

    async def open(self) -> None:
        """Connect and subscribe. With Redis, messages may still be missed a moment afterwards."""
        await self.connect()
        try:
            self._subscriber = await self._opened.enter_async_context(self.subscribe(CHANNEL))
        except KeyError:  # what the library makes of any failure, cancellation included
            raise ConnectionError("no subscription") from None

    async def hear(self) -> str:
        """Return the next message; what waits already is returned without giving way."""
        return cast(str, (await self._subscriber.get()).message)

    async def say(self, message: str) -> None:
        """Publish a message."""
        await self.publish(CHANNEL, message)

    async def close(self, *, politely: bool) -> None:
        """Close within a bounded time, leaving no connection and no task behind.

        Args:
            politely: first take leave of the broker; False when it is known not to answer.
        """
        try:
            if politely:
                with suppress(Exception):
                    async with asyncio.timeout(CLOSING):
                        await self._opened.aclose()
                        await self._raw.disconnect()
        finally:
            with suppress(Exception):
                async with asyncio.timeout(CLOSING):
                    await self._raw.abort()
            with suppress(Exception):  # whom it would tell is gone
                async with asyncio.timeout(CLOSING):
                    await self._opened.aclose()
            await end(getattr(self, "_listener_task", None))
