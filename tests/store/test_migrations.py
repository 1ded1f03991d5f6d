from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import carnet
from carnet.errors import UserMistake
from carnet.store import migrate
from carnet.store.database import APP_ROLE, Database, asyncpg_url
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.migrate import APPEND_ONLY, refuse_old
from carnet.store.migrations import everything

# Everything that a migration can get wrong, as PostgreSQL itself writes it down.
CATALOG = {
    "columns": """
        SELECT table_name, column_name, udt_name, character_maximum_length, is_nullable,
               column_default
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "sequences": "SELECT sequence_name FROM information_schema.sequences",
    "grants": """
        SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public'
    """,
    "version": "SELECT version_num FROM alembic_version",
}


@asynccontextmanager
async def connected(url: URL) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database=url.database
    )
    try:
        yield connection
    finally:
        await connection.close()


async def catalog(url: URL, *, parts: tuple[str, ...] = tuple(CATALOG)) -> dict[str, set[Any]]:
    async with connected(url) as connection:
        rows = {part: await connection.fetch(CATALOG[part]) for part in parts}
    return {
        part: {tuple(row) for row in rows[part] if row[0] != "alembic_version"} for part in parts
    }


@pytest.fixture
async def nowhere(postgres: EmbeddedPostgres) -> AsyncIterator[URL]:
    """The URL of a database that does not exist yet."""
    url = postgres.owner_url.set(database=f"new-{uuid4().hex}")
    yield url
    async with connected(url.set(database="postgres")) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


async def test_the_migrations_make_exactly_the_tables(owner_url: URL, nowhere: URL) -> None:
    async with connected(owner_url.set(database="postgres")) as connection:
        await connection.execute(f'CREATE DATABASE "{nowhere.database}"')
    engine = create_async_engine(asyncpg_url(nowhere))
    async with engine.begin() as created:
        await created.run_sync(everything.METADATA.create_all)
    await engine.dispose()

    parts = ("columns", "constraints", "indexes", "sequences")
    made, meant = [await catalog(url, parts=parts) for url in (owner_url, nowhere)]
    for part in parts:
        assert made[part] - meant[part] == set(), f"{part} in the migrations only"
        assert meant[part] - made[part] == set(), f"{part} in the tables only"
    assert len(made["columns"]) > 100 and len(made["constraints"]) > 50


async def test_alembic_sees_no_difference(owner_url: URL) -> None:
    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, everything.METADATA))

    engine = create_async_engine(asyncpg_url(owner_url))
    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []
    await engine.dispose()


def test_the_migrations_know_the_tables_of_every_area() -> None:
    files = Path(carnet.__file__).parent.glob("*/tables.py")
    areas = {f"carnet.{file.parent.name}.tables" for file in files}
    known = {mapper.class_.__module__ for mapper in everything.Base.registry.mappers}
    assert areas <= known
    assert len(areas) >= 5


async def test_upgrading_twice_changes_nothing(nowhere: URL) -> None:
    await migrate.upgrade(nowhere, create=True)
    before = await catalog(nowhere)
    assert before["version"] and before["grants"]
    await migrate.upgrade(nowhere, create=True)
    assert await catalog(nowhere) == before


async def test_two_upgrades_at_once_take_turns(nowhere: URL) -> None:
    async with connected(nowhere.set(database="postgres")) as connection:
        await connection.execute(f'CREATE DATABASE "{nowhere.database}"')
    await asyncio.gather(*(migrate.upgrade(nowhere) for _ in range(3)))
    assert await migrate.pending(nowhere) is False


async def test_pending_until_upgraded(nowhere: URL) -> None:
    async with connected(nowhere.set(database="postgres")) as connection:
        await connection.execute(f'CREATE DATABASE "{nowhere.database}"')
    assert await migrate.pending(nowhere) is True
    await migrate.upgrade(nowhere)
    assert await migrate.pending(nowhere) is False


async def test_a_database_of_a_newer_version_is_left_alone(owner_url: URL) -> None:
    async with connected(owner_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = await catalog(owner_url)
    for act in (migrate.upgrade, migrate.pending):
        with pytest.raises(UserMistake, match="newer Carnet"):
            await act(owner_url)
    assert await catalog(owner_url) == before


async def test_an_upgrade_waits_for_a_lock_a_short_time_only(
    owner_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate.LOCK_TIMEOUT == 4
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.1)
    async with connected(owner_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE alembic_version")
        with pytest.raises(UserMistake, match="a table stayed locked"):
            await migrate.upgrade(owner_url, pauses=())


async def test_errors_of_an_operator_are_one_line(owner_url: URL) -> None:
    for url, said in [
        (owner_url.set(database="no_such_database"), 'database "no_such_database" does not exist'),
        (owner_url.set(username="nobody_here"), 'role "nobody_here" does not exist'),
        (URL.create("postgresql", "u", "hunter2", "127.0.0.1", 1, "d"), "cannot be reached"),
        (owner_url.update_query_dict({"host": "/no/such/folder"}), "No such file or directory"),
    ]:
        for act in (migrate.upgrade, migrate.pending):
            with pytest.raises(UserMistake, match=said) as mistake:
                await act(url)
            assert "\n" not in mistake.value.message and "hunter2" not in mistake.value.message


async def test_the_servers_role_owns_nothing_and_is_nobody_special(owner_url: URL) -> None:
    async with connected(owner_url) as connection:
        role = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", APP_ROLE)
        owned = await connection.fetchval(
            "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = $1", role["oid"]
        )
        member_of = await connection.fetch(
            "SELECT roleid FROM pg_auth_members WHERE member = $1", role["oid"]
        )
    special = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
    assert [name for name in special if role[name]] == []
    assert owned == 0
    assert member_of == []


async def test_the_servers_role_may_read_and_write_rows(owner_url: URL) -> None:
    async with connected(owner_url) as connection:
        grants = await connection.fetch(
            "SELECT relname, array_agg(p ORDER BY p) AS may"
            " FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE',"
            " 'REFERENCES', 'TRIGGER']) p"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND has_table_privilege($1, pg_class.oid, p) GROUP BY relname",
            APP_ROLE,
        )
    found = {row["relname"]: row["may"] for row in grants}
    assert found.pop("alembic_version") == ["SELECT"]
    assert set(found) == set(everything.METADATA.tables)
    assert {tuple(found.pop(name)) for name in APPEND_ONLY} == {("INSERT", "SELECT")}
    assert {tuple(may) for may in found.values()} == {("DELETE", "INSERT", "SELECT", "UPDATE")}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE public.mine (a int)",
        "CREATE TEMP TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "ALTER TABLE persons ADD COLUMN mine int",
        "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_one_owner",
        "DROP TABLE persons",
        "DROP INDEX uq_person_identifiers_national",
        "TRUNCATE sessions",
        "ALTER TABLE sessions DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0000'",
        "DELETE FROM alembic_version",
        "COPY persons TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "SET session_replication_role = replica",
    ],
)
async def test_the_servers_role_cannot_change_the_schema(
    migrated: URL, sql: str, catalog_before: dict[str, set[Any]]
) -> None:
    database = Database.connect(migrated)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as refused:
            await connection.exec_driver_sql(sql)
    await database.close()
    assert refused.value.orig.sqlstate == "42501"
    assert await catalog(migrated) == catalog_before


@pytest.fixture
async def migrated(owner_url: URL) -> URL:
    """The URL of a migrated database, with the rights that a copy of one does not inherit."""
    await migrate.upgrade(owner_url)
    return owner_url


@pytest.fixture
async def catalog_before(migrated: URL) -> dict[str, set[Any]]:
    return await catalog(migrated)


async def test_a_table_of_a_later_migration_is_granted_too(migrated: URL) -> None:
    async with connected(migrated) as connection:
        await connection.execute("CREATE TABLE later (id serial PRIMARY KEY)")
    database = Database.connect(migrated)
    async with database.write() as work:
        assert await work.session.scalar(text("INSERT INTO later DEFAULT VALUES RETURNING id")) == 1
    await database.close()


async def test_the_servers_user_cannot_upgrade(nowhere: URL) -> None:
    user = f"server_{uuid4().hex}"
    async with connected(nowhere.set(database="postgres")) as connection:
        await connection.execute(f"CREATE USER {user} IN ROLE {APP_ROLE}")
        await connection.execute(f'CREATE DATABASE "{nowhere.database}"')
        with pytest.raises(UserMistake, match="migrations run under the owner"):
            await migrate.upgrade(nowhere.set(username=user))
        await connection.execute(f"DROP USER {user}")


@pytest.mark.parametrize("inherits", ["INHERIT", "NOINHERIT"])
async def test_a_user_of_its_own_serves_as_the_role(owner_url: URL, inherits: str) -> None:
    user = f"server_{uuid4().hex}"
    async with connected(owner_url) as connection:
        await connection.execute(f"CREATE USER {user} {inherits} IN ROLE {APP_ROLE}")
    database = Database.connect(owner_url.set(username=user))
    async with database.read() as work:
        who = (await work.session.execute(text("SELECT session_user, current_user"))).one()
        assert tuple(who) == (user, APP_ROLE)
    await database.close()
    if inherits == "INHERIT":
        assert await migrate.pending(owner_url.set(username=user)) is False
    async with connected(owner_url) as connection:
        await connection.execute(f"DROP USER {user}")


async def test_an_owner_who_is_no_superuser_can_upgrade_and_serve(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir, {"fsync": "off"}) as postgres:  # roles are the cluster's
        async with connected(postgres.owner_url.set(database="postgres")) as connection:
            await connection.execute("CREATE USER landlord CREATEROLE CREATEDB")
        url = postgres.owner_url.set(username="landlord")
        await migrate.upgrade(url, create=True)
        await migrate.upgrade(url)
        database = Database.connect(url)
        async with database.write() as work:
            assert await work.session.scalar(text("SELECT current_user")) == APP_ROLE
            await work.session.execute(text("INSERT INTO clock_offset VALUES (1, '1 day')"))
        await database.close()


PERSON = "INSERT INTO persons (id, birth_family_name, given_names, sex, created_at, birth_date)"
ID = "gen_random_uuid()"


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        *(
            (f"{PERSON} VALUES ({ID}, 'X', '{{}}', 'FEMALE', now(), '{date}')", "birth_date")
            for date in ["1975-13", "1975-3", "75", "1975-03-32", "1975-03-28 ", "1975-03-28\n", ""]
        ),
        (f"{PERSON} VALUES ({ID}, 'X', '{{}}', 'WOMAN', now(), NULL)", "ck_persons_sex"),
        *(
            (
                "INSERT INTO professionals (id, rpps, family_name, given_name, profession_code,"
                f" created_at) VALUES ({ID}, '{rpps}', 'X', 'Y', '10', now())",
                "ck_professionals_rpps_form",
            )
            for rpps in ["1010000000", "101000000001", "1010000000A", "١٠١٠٠٠٠٠٠٠٠"]
        ),
        *(
            (
                "INSERT INTO accounts (id, kind, person_id, professional_id, created_at)"
                f" VALUES ({ID}, '{kind}', {person}, {professional}, now())",
                "ck_accounts_one_owner",
            )
            for kind, person, professional in [
                ("PATIENT", "NULL", "NULL"),
                ("PATIENT", ID, ID),
                ("PATIENT", "NULL", ID),
                ("PROFESSIONAL", ID, "NULL"),
                ("OPERATOR", ID, "NULL"),
                ("OPERATOR", "NULL", ID),
            ]
        ),
        (
            "INSERT INTO accounts (id, kind, login, created_at)"
            f" VALUES ({ID}, 'OPERATOR', 'Ada', now())",
            "ck_accounts_login_lower",
        ),
        (
            "INSERT INTO accounts (id, kind, issuer, created_at)"
            f" VALUES ({ID}, 'OPERATOR', 'https://idp.example', now())",
            "ck_accounts_issuer_with_subject",
        ),
        ("INSERT INTO clock_offset VALUES (2, '1 day')", "ck_clock_offset_single"),
    ],
)
async def test_the_database_refuses_a_bad_row(
    database: Database, sql: str, constraint: str
) -> None:
    async with database.write() as work:
        with pytest.raises(DBAPIError) as refused:
            await work.session.execute(text(sql.replace(":", r"\:")))
        await work.session.rollback()
    cause = refused.value.orig.__cause__
    assert isinstance(cause, asyncpg.CheckViolationError)
    assert constraint in cause.constraint_name


@pytest.mark.parametrize("date", ["1975", "1975-03", "1975-03-28"])
async def test_the_database_takes_a_partial_date(database: Database, date: str) -> None:
    async with database.write() as work:
        sql = f"{PERSON} VALUES ({ID}, 'X', '{{}}', 'FEMALE', now(), '{date}')"
        await work.session.execute(text(sql))
        assert await work.session.scalar(text("SELECT birth_date FROM persons")) == date


def test_the_revisions_are_known_without_alembic() -> None:
    script = ScriptDirectory.from_config(migrate.config())
    walked = [revision.revision for revision in script.walk_revisions()]
    assert walked[::-1] == migrate.revisions()
    assert script.get_heads() == [migrate.revisions()[-1]]


def test_an_older_postgresql_is_refused_by_its_name() -> None:
    with pytest.raises(UserMistake, match=r"^This is PostgreSQL 15: Carnet needs PostgreSQL 16 or"):
        refuse_old((15, 9))
    for version in ((16,), (18, 1), None):
        refuse_old(version)
