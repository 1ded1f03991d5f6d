"""``carnet check``, and what keeps ``carnet serve`` from starting in production."""

import asyncio
import re
import secrets
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from servers import free_port, running
from sqlalchemy import URL

from carnet.cli.safety import Danger, find_dangers, of_connection, of_settings
from carnet.errors import SignInFailed
from carnet.people.actions import Gate, sign_in
from carnet.people.attempts import Attempts
from carnet.people.passwords import Passwords
from carnet.settings import Mode, Settings
from carnet.store import migrate
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres

STRONG = "n0t-one-that-anybody-tries"


def key_file(path: Path, *keys: bytes) -> Path:
    path.touch(0o600)
    path.write_text("".join(urlsafe_b64encode(key).decode().rstrip("=") + "\n" for key in keys))
    return path


async def execute(url: URL, *statements: str) -> None:
    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database=url.database
    )
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL as durable as production wants it."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="carnet-cli-"))
    folder.chmod(0o711)
    with EmbeddedPostgres.start(folder / "data") as server:
        asyncio.run(migrate.upgrade(server.owner_url, create=True))
        asyncio.run(execute(server.owner_url, "CREATE USER carnet_server IN ROLE carnet_app"))
        yield server
    shutil.rmtree(folder)


@pytest.fixture
def safe(cluster: EmbeddedPostgres, tmp_path: Path) -> Settings:
    """Settings that nothing is wrong with."""
    return Settings(
        mode=Mode.PRODUCTION,
        data_dir=tmp_path / "data",
        database_url=url_of(cluster, "carnet_server"),
        kek_file=key_file(tmp_path / "kek", secrets.token_bytes(32)),
        log_key_file=key_file(tmp_path / "log", secrets.token_bytes(32)),
        password_sign_in=True,
        trusted_proxies=("127.0.0.1",),
        allowed_hosts=("carnet.example",),
    )


def url_of(cluster: EmbeddedPostgres, user: str, password: str | None = None) -> str:
    url = cluster.owner_url.set(username=user, password=password)
    return url.render_as_string(hide_password=False)


def dangers(settings: Settings, **env: str) -> list[Danger]:
    return [finding.danger for finding in asyncio.run(find_dangers(settings, env))]


def test_nothing_is_wrong_with_a_safe_installation(safe: Settings) -> None:
    assert dangers(safe) == []


def test_every_setting_that_is_unsafe_is_found(safe: Settings, cluster: EmbeddedPostgres) -> None:
    for changes, danger in (
        ({"database_url": None}, Danger.DATABASE_EMBEDDED),
        ({"database_url": url_of(cluster, "postgres")}, Danger.DATABASE_SUPERUSER),
        ({"trusted_proxies": ()}, Danger.TLS_UNSTATED),
        ({"allowed_hosts": ()}, Danger.HOSTS_UNSTATED),
        ({"trusted_proxies": ("0.0.0.0/0",)}, Danger.PROXY_UNBOUNDED),
        ({"trusted_proxies": ("::/0",)}, Danger.PROXY_UNBOUNDED),
        ({"password_sign_in": False}, Danger.SIGN_IN_UNSTATED),
        ({"kek_file": None}, Danger.KEY_FILE),
        ({"log_key_file": safe.data_dir / "nowhere"}, Danger.KEY_FILE),
        ({"log_key_file": safe.kek_file}, Danger.WEAK_KEY),
    ):
        assert dangers(replace(safe, **changes)) == [danger], changes
    assert dangers(safe, CARNET_DEBUG="1") == [Danger.DEBUG_ON]
    by_provider = replace(safe, password_sign_in=False, oidc_file=Path("oidc.toml"))
    assert list(of_settings(by_provider)) == []
    named = {"allowed_hosts": (), "public_url": "https://carnet.example/"}
    assert dangers(replace(safe, **named)) == []


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("oidc_file", Path("nowhere.toml"), "nowhere.toml cannot be read"),
        ("trust_list_file", Path("nowhere.json"), "nowhere.json"),
        ("trusted_documents", (Path("nowhere.json"),), "nowhere.json"),
        ("trusted_documents_only", True, "CARNET_TRUSTED_DOCUMENTS"),
        ("blob_url", "ftp://blobs", "CARNET_BLOB_URL"),
        ("smtp_url", "smtps://mail.example", "CARNET_PUBLIC_URL"),
        ("vapid_key_file", Path("nowhere"), "nowhere"),
    ],
)
def test_what_the_server_would_not_start_with_is_found(
    safe: Settings, setting: str, value: object, says: str
) -> None:
    (found,) = asyncio.run(find_dangers(replace(safe, **{setting: value}), {}))
    assert found.danger is Danger.SETTING_UNUSABLE and says in found.message
    assert not safe.data_dir.exists()  # it looks, and makes nothing


def test_the_settings_of_the_guide_are_safe() -> None:
    guide = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    exported = re.findall(r"^export (CARNET_\w+)=(\S+)", guide.partition("## Settings")[0], re.M)
    assert len(exported) > 7
    assert list(of_settings(Settings.from_env(dict(exported)))) == []


@pytest.mark.parametrize("password", ["carnet_server", "postgres", "PassWord", ""])
def test_a_password_that_everybody_tries_is_found(
    safe: Settings, cluster: EmbeddedPostgres, password: str
) -> None:
    found = asyncio.run(
        find_dangers(replace(safe, database_url=url_of(cluster, "carnet_server", password)), {})
    )
    assert [each.danger for each in found] == [Danger.DEFAULT_SECRET]
    assert password == "" or password not in found[0].message
    assert dangers(replace(safe, database_url=url_of(cluster, "carnet_server", STRONG))) == []


@pytest.mark.parametrize("key", [bytes(32), b"a" * 32, b"abcd" * 8])
def test_a_key_that_is_not_random_is_found(safe: Settings, tmp_path: Path, key: bytes) -> None:
    assert dangers(replace(safe, kek_file=key_file(tmp_path / "weak", key))) == [Danger.WEAK_KEY]


def test_a_key_file_that_others_may_read_is_found(safe: Settings) -> None:
    assert safe.kek_file is not None
    safe.kek_file.chmod(0o640)
    assert dangers(safe) == [Danger.KEY_FILE]


@pytest.mark.parametrize(
    ("statement", "danger"),
    [
        ("CREATE USER {user} CREATEROLE IN ROLE carnet_app", Danger.DATABASE_OWNER),
        ("CREATE USER {user} BYPASSRLS IN ROLE carnet_app", Danger.DATABASE_OWNER),
        ("CREATE USER {user} IN ROLE carnet_app, landlord", Danger.DATABASE_OWNER),
        ("CREATE USER {user} IN ROLE carnet_app, postgres", Danger.DATABASE_SUPERUSER),
        ("CREATE USER {user} SUPERUSER", Danger.DATABASE_SUPERUSER),
    ],
)
def test_a_database_user_with_more_rights_is_found(
    safe: Settings, cluster: EmbeddedPostgres, statement: str, danger: Danger
) -> None:
    user = f"user_{secrets.token_hex(4)}"
    owner = cluster.owner_url
    asyncio.run(
        execute(
            owner,
            "CREATE ROLE landlord",
            "CREATE TABLE public.theirs (id int)",
            "ALTER TABLE public.theirs OWNER TO landlord",
            statement.format(user=user),
        )
    )
    try:
        assert dangers(replace(safe, database_url=url_of(cluster, user))) == [danger]
    finally:
        asyncio.run(
            execute(owner, f"DROP USER {user}", "DROP TABLE public.theirs", "DROP ROLE landlord")
        )


@pytest.mark.parametrize("name", ["synchronous_commit", "full_page_writes"])
def test_a_database_that_forgets_is_found(
    safe: Settings, cluster: EmbeddedPostgres, name: str
) -> None:
    owner = cluster.owner_url
    asyncio.run(execute(owner, f"ALTER SYSTEM SET {name} = off", "SELECT pg_reload_conf()"))
    try:
        asyncio.run(until_reloaded(owner, name, "off"))
        assert dangers(safe) == [Danger.DATABASE_NOT_DURABLE]
    finally:
        asyncio.run(execute(owner, f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()"))
        asyncio.run(until_reloaded(owner, name, "on"))


async def until_reloaded(url: URL, name: str, value: str) -> None:
    async with asyncio.timeout(30):
        while True:
            connection = await asyncpg.connect(
                host=url.query["host"], user=url.username, database=url.database
            )
            shown = await connection.fetchval(f"SHOW {name}")
            await connection.close()
            if shown == value:
                return


def test_fsync_off_is_found(owner_url: URL, safe: Settings) -> None:
    url = owner_url.render_as_string()
    assert dangers(replace(safe, database_url=url)) == [
        Danger.DATABASE_SUPERUSER,
        Danger.DATABASE_NOT_DURABLE,
    ]


@pytest.mark.parametrize(
    ("address", "is_encrypted", "is_safe"),
    [
        (None, False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.0.0.9", True, True),
        ("10.0.0.9", False, False),
        ("2001:db8::9", False, False),
    ],
)
def test_a_connection_in_the_clear_is_found(
    address: str | None, is_encrypted: bool, is_safe: bool
) -> None:
    found = [finding.danger for finding in of_connection(address, is_encrypted)]
    assert found == ([] if is_safe else [Danger.DATABASE_NOT_ENCRYPTED])


def as_environment(safe: Settings) -> dict[str, str]:
    return {
        "CARNET_MODE": "production",
        "CARNET_DATABASE_URL": str(safe.database_url),
        "CARNET_KEK_FILE": str(safe.kek_file),
        "CARNET_LOG_KEY_FILE": str(safe.log_key_file),
        "CARNET_PASSWORD_SIGN_IN": "1",
        "CARNET_TRUSTED_PROXIES": "127.0.0.1",
        "CARNET_ALLOWED_HOSTS": "carnet.example",
    }


def test_the_command_prints_a_line_for_each_finding(carnet, safe: Settings) -> None:
    settings = as_environment(safe)
    done = carnet("check", **settings)
    assert (done.code, done.out, done.err) == (0, "Nothing unsafe was found.\n", "")
    done = carnet("check", **{**settings, "CARNET_TRUSTED_PROXIES": "", "CARNET_DEBUG": "1"})
    assert (done.code, done.err) == (1, "")
    assert [line.partition(":")[0] for line in done.out.splitlines()] == [
        "TLS_UNSTATED",
        "DEBUG_ON",
    ]


def test_the_sandbox_is_not_served_in_production(loaded, shared_data_dir: Path, safe) -> None:
    with EmbeddedPostgres.start(shared_data_dir) as server:
        found = dangers(replace(safe, database_url=url_of(server, "postgres")))
    assert Danger.SANDBOX_ACCOUNT in found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_production_does_not_start_unsafely(
    data_dir: Path, serve_command, command_env, safe: Settings, workers: str
) -> None:
    settings = {**as_environment(safe), "CARNET_TRUSTED_PROXIES": ""}
    done = subprocess.run(
        [*serve_command, "--workers", workers],
        env=command_env(data_dir, CARNET_PORT=str(free_port()), **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0].startswith("TLS_UNSTATED: ")
    assert done.stderr.splitlines()[1] == (
        "carnet: Not safe for production: 1 finding, see docs/operations.md."
    )


def test_production_starts_when_it_is_safe(
    data_dir: Path, serve_command, command_env, safe: Settings
) -> None:
    env = command_env(data_dir, **as_environment(safe))
    with running(serve_command, env, free_port(), "Carnet serves") as server:
        assert server.get("/health/ready")[0] == 200
        assert server.stop(signal.SIGTERM) == 0


async def test_without_being_told_production_takes_no_passwords(database: Database) -> None:
    passwords = Passwords(workers=1)
    gate = Gate(database, passwords, Attempts(database, b"k" * 32), takes_passwords=False)
    with pytest.raises(SignInFailed, match="keeps no passwords"):
        await sign_in(gate, "dominique@example.org", "correct horse battery", "192.0.2.7")
    passwords.close()


def test_settings_that_cannot_be_parsed_are_findings_among_the_others(carnet) -> None:
    done = carnet(
        "check",
        CARNET_PORT="http",
        CARNET_ALLOWED_ORIGINS="app.example",
        CARNET_TRUSTED_PROXIES="the-proxy",
        CARNET_QUERY_COST_LIMIT="200000",
        CARNET_SOCKETS_PER_ADDRESS="many",
        CARNET_CONNECTIONS_PER_ADDRESS="5",
        CARNET_DATABASE_URL="mysql://db/carnet",
        CARNET_DEBUG="1",
    )
    assert (done.code, done.err) == (1, "")
    found = [line.partition(": ") for line in done.out.splitlines()]
    unusable = [said.split()[0] for danger, _, said in found if danger == "SETTING_UNUSABLE"]
    assert unusable == [
        "CARNET_PORT",
        "CARNET_ALLOWED_ORIGINS",
        "CARNET_SOCKETS_PER_ADDRESS",
        "CARNET_QUERY_COST_LIMIT",
        "CARNET_TRUSTED_PROXIES",
        "CARNET_DATABASE_URL",
    ]
    others = [danger for danger, _, _ in found if danger != "SETTING_UNUSABLE"]
    assert others == ["HOSTS_UNSTATED", "SIGN_IN_UNSTATED", "KEY_FILE", "KEY_FILE", "DEBUG_ON"]
