"""Brings the database to the schema of this version, and makes the server's own role.

Two roles are at work. The *owner* owns the tables and is the one who calls `upgrade`. The server
runs as ``carnet_app``, which owns nothing, may read and write rows, and cannot log in: the user
in ``CARNET_DATABASE_URL`` logs in and each of its connections becomes ``carnet_app``. So that
user must be a member of it::

    CREATE USER carnet_server PASSWORD '…' IN ROLE carnet_app;

or be ``carnet_app`` itself (``ALTER ROLE carnet_app LOGIN PASSWORD '…'``). The owner will do too,
for `upgrade` makes it a member; but whoever then breaks into the server's connection can leave
the role with ``SET ROLE NONE`` and has the owner's rights. Give the server a user of its own.
An owner without ``CREATEROLE`` needs the role made beforehand: ``CREATE ROLE carnet_app``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from carnet.errors import UserMistake
from carnet.store.database import APP_ROLE, asyncpg_url
from carnet.store.programs import OLDEST

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
LOCK_TIMEOUT = 4  # seconds; a migration that waits for a lock makes everybody wait behind it
PAUSES = (2, 4, 8, 16, 32)  # seconds between attempts, in which those who waited get their turn
ONE_AT_A_TIME = 0x6361726E6574  # the advisory lock of upgrades: «carnet»

APPEND_ONLY = ("journal_entries", "journal_leaves", "log_nodes", "tree_heads")
"""Tables whose rows the server adds and reads, and cannot change or remove."""

_ROLE = (
    f"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
            CREATE ROLE {APP_ROLE} NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database's upgrade
    END $$
    """,
    f"""
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, '{APP_ROLE}', 'SET') THEN
            EXECUTE format('GRANT {APP_ROLE} TO %I WITH SET TRUE, INHERIT FALSE', current_user);
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN NULL; -- whoever made the role decides who is in it
    END $$
    """,
)

Told = Callable[[str], None]  # hears what is being done, a line each

_GRANTS = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE}",
    f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
    f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP_ROLE}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP_ROLE}",
    *(f"REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM {APP_ROLE}" for name in APPEND_ONLY),
    f"REVOKE ALL ON alembic_version FROM {APP_ROLE}",
    f"GRANT SELECT ON alembic_version TO {APP_ROLE}",
    """
    DO $$ BEGIN
        EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END $$
    """,
)


async def upgrade(
    owner_url: str | URL,
    *,
    create: bool = False,
    told: Told = lambda _line: None,
    pauses: Sequence[float] = PAUSES,
    folder: Path = FOLDER,
) -> None:
    """Bring the database to this version's schema; does nothing when it is there already.

    Each migration is a transaction. One that waits for a lock makes everybody wait behind it, so
    it gives up after `LOCK_TIMEOUT` seconds, undone; it is tried again after each of the pauses.

    Args:
        owner_url: logs in as the user who owns the tables and may create roles.
        create: create the database first when there is none (the embedded PostgreSQL).
        told: hears of migrations that are done, and of attempts that found a table locked.
        pauses: seconds before each further attempt.
        folder: where the migrations are.

    Raises:
        UserMistake: the database is newer than this version, busy, out of reach or not ours.
    """
    url = asyncpg_url(owner_url)
    with _clear_errors(1 + len(pauses)):
        if create:
            await create_database(url)
        async with _connected(url) as connection:
            # Before the lock timeout, which would count here too: two upgrades take turns.
            await _execute(connection, f"SELECT pg_advisory_lock({ONE_AT_A_TIME})")
            await _execute(connection, f"SET lock_timeout = '{LOCK_TIMEOUT}s'")

            async def attempt() -> None:
                await _execute(connection, *_ROLE)
                if folder != FOLDER or await _is_pending(connection):  # Alembic is slow to load
                    await connection.run_sync(_to_head, folder, told)
                await _execute(connection, *_GRANTS)

            await _patiently(connection, attempt, pauses, told)


async def _patiently(
    connection: AsyncConnection,
    attempt: Callable[[], Awaitable[None]],
    pauses: Sequence[float],
    told: Told,
) -> None:
    """Try until no table is locked, as often as there are pauses, and once more."""
    for number, pause in enumerate(pauses, 1):
        try:
            return await attempt()
        except DBAPIError as error:
            if _state(error) != _LOCKED:
                raise
            await connection.rollback()
        told(
            f"A table stayed locked for {LOCK_TIMEOUT} seconds; nothing was changed."
            f" Attempt {number + 1} of {len(pauses) + 1} is in {pause} seconds."
        )
        await asyncio.sleep(pause)
    await attempt()


async def pending(url: str | URL) -> bool:
    """Tell whether the database lacks a migration of this version, or all of them.

    Args:
        url: the owner's or the server's own user's.

    Raises:
        UserMistake: the database is newer than this version or out of reach.
    """
    with _clear_errors():
        async with _connected(asyncpg_url(url)) as connection:
            return await _is_pending(connection)


def revisions() -> list[str]:
    """Return this version's migrations, the newest last, by the names of their files.

    Without Alembic, which is slow to load and has nothing to do where all of them are done.
    """
    files = (FOLDER / "versions").glob("[0-9]*_*.py")
    return sorted(file.name.partition("_")[0] for file in files)


def config(
    connection: Connection | None = None, folder: Path = FOLDER, told: Told | None = None
) -> Config:
    """Return Alembic's settings.

    Args:
        connection: the one that ``env.py`` runs on.
        folder: where the migrations are.
        told: hears of each one that is done.
    """
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(folder).replace("%", "%%"))
    settings.set_main_option("path_separator", "newline")
    settings.attributes["connection"] = connection
    settings.attributes["told"] = told
    return settings


async def _is_pending(connection: AsyncConnection) -> bool:
    """Tell whether the database lacks a migration of this version.

    Raises:
        UserMistake: it has one that only a newer version has.
    """
    done: set[str] = set()
    if await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        done.update(await connection.scalars(text("SELECT version_num FROM alembic_version")))
    await connection.rollback()
    known = revisions()
    if not done.issubset(known):
        raise UserMistake(
            "The database was migrated by a newer Carnet: install that version or a newer one."
        )
    return done != set(known[-1:])


def _to_head(connection: Connection, folder: Path, told: Told) -> None:
    from alembic import command

    command.upgrade(config(connection, folder, told), "head")


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            refuse_old(connection.dialect.server_version_info)
            yield connection
    finally:
        await engine.dispose()


def refuse_old(version: tuple[int | str, ...] | None) -> None:
    """Refuse a PostgreSQL that lacks what the migrations need, before one of them fails.

    Raises:
        UserMistake: it is older than `OLDEST`.
    """
    if version is not None and int(version[0]) < OLDEST:
        raise UserMistake(
            f"This is PostgreSQL {version[0]}: Carnet needs PostgreSQL {OLDEST} or newer."
        )


async def _execute(connection: AsyncConnection, *statements: str) -> None:
    """Run the statements in one transaction."""
    for statement in statements:
        await connection.exec_driver_sql(statement)
    await connection.commit()


async def create_database(url: URL) -> None:
    """Create the URL's database through the maintenance database, unless it is there."""
    engine = create_async_engine(
        url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            known = await connection.scalar(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": url.database}
            )
            if not known:
                name = engine.dialect.identifier_preparer.quote_identifier(url.database or "")
                await connection.exec_driver_sql(f"CREATE DATABASE {name}")
    finally:
        await engine.dispose()


_LOCKED = "55P03"


def _state(error: DBAPIError) -> str | None:
    cause = error.orig and error.orig.__cause__  # asyncpg's own error
    return getattr(cause, "sqlstate", None)


@contextmanager
def _clear_errors(attempts: int = 1) -> Iterator[None]:
    """Turn what an operator can cause into one line; a fault of ours stays as it is."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserMistake(f"The database cannot be reached: {reason}.") from None
    except DBAPIError as error:
        cause = error.orig and error.orig.__cause__
        match _state(error):
            case "55P03":
                times = f" seconds, {attempts} times" if attempts > 1 else " seconds"
                raise UserMistake(
                    f"The database is busy: a table stayed locked for {LOCK_TIMEOUT}{times}."
                    " Nothing was left half done; try again."
                ) from None
            case "42501":
                raise UserMistake(
                    "This database user may not change the schema:"
                    " migrations run under the owner (CARNET_MIGRATION_URL)."
                ) from None
            case "28000" | "28P01" | "3D000" | "53300" | "57P03":
                raise UserMistake(
                    f"The database refuses the connection: {str(cause).splitlines()[0]}."
                ) from None
        raise
