"""What makes it unsafe to let people's records into this installation, found before it starts.

`carnet check` tells it, and `carnet serve` in production starts only when there is nothing. What is
asked of PostgreSQL is asked over the server's own connection: what it is, not what was meant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

from sqlalchemy import Row, make_url, text
from sqlalchemy.exc import ArgumentError

from carnet.certificates.trust import TrustList
from carnet.cli.names import unknown_names
from carnet.errors import UserMistake
from carnet.http.guards import trusted_networks
from carnet.notifications.channels import Channels
from carnet.people.oidc import load_providers
from carnet.people.passwords import PasswordHash, Passwords
from carnet.sandbox.personas import HANDLES, OPERATOR
from carnet.sandbox.population import PASSWORD
from carnet.sandbox.relations import login_of
from carnet.settings import Mode, Settings
from carnet.store.database import Database
from carnet.store.keys import read_key_file
from carnet.store.objects import Objects
from carnet_graphql.operations.trusted import TrustedDocuments

GUESSABLE = frozenset(
    {"", "admin", "carnet", "changeme", "default", "example", "password", "postgres", "root"}
    | {"secret", "test", "1234", "12345678", "123456"}
)
LEAST_DISTINCT = 8  # bytes of a key; of 32 random ones, fewer are different once in 10³⁷


class Danger(StrEnum):
    """What can be unsafe."""

    DATABASE_EMBEDDED = "DATABASE_EMBEDDED"
    DATABASE_SUPERUSER = "DATABASE_SUPERUSER"
    DATABASE_OWNER = "DATABASE_OWNER"
    DATABASE_NOT_DURABLE = "DATABASE_NOT_DURABLE"
    DATABASE_NOT_ENCRYPTED = "DATABASE_NOT_ENCRYPTED"
    DEFAULT_SECRET = "DEFAULT_SECRET"  # noqa: S105 — the name of a finding
    SANDBOX_ACCOUNT = "SANDBOX_ACCOUNT"
    KEY_FILE = "KEY_FILE"
    WEAK_KEY = "WEAK_KEY"
    SIGN_IN_UNSTATED = "SIGN_IN_UNSTATED"
    HOSTS_UNSTATED = "HOSTS_UNSTATED"
    TLS_UNSTATED = "TLS_UNSTATED"
    PROXY_UNBOUNDED = "PROXY_UNBOUNDED"
    DEBUG_ON = "DEBUG_ON"
    SETTING_UNUSABLE = "SETTING_UNUSABLE"
    SETTING_UNKNOWN = "SETTING_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unsafe, in one line that says what to do; it repeats no secret."""

    danger: Danger
    message: str

    def __str__(self) -> str:
        return f"{self.danger.value}: {self.message}"


async def find_all(env: Mapping[str, str] = os.environ) -> list[Finding]:
    """Return what `find_dangers` does, after the settings that cannot be read; the default stands
    for each of those.

    Raises:
        OSError, DBAPIError: the database does not answer.
    """
    settings, mistakes = Settings.read(env)
    return [*map(_unusable, mistakes), *await find_dangers(settings, env)]


async def find_dangers(settings: Settings, env: Mapping[str, str] = os.environ) -> list[Finding]:
    """Return everything that is unsafe outside development; changes nothing.

    Raises:
        OSError, DBAPIError: the database does not answer.
    """
    found = [*of_settings(settings), *_of_keys(settings), *_of_files(settings)]
    found += [Finding(Danger.SETTING_UNKNOWN, sentence) for sentence in unknown_names(env)]
    if env.get("CARNET_DEBUG", "") not in ("", "0"):
        found.append(
            Finding(Danger.DEBUG_ON, "CARNET_DEBUG shows what people said in tracebacks: unset it.")
        )
    if settings.database_url is None:
        found.append(
            Finding(
                Danger.DATABASE_EMBEDDED,
                "the PostgreSQL in the data folder is used as its superuser:"
                " set CARNET_DATABASE_URL to one whose user owns nothing.",
            )
        )
    else:
        try:
            found += await _of_database(settings.database_url)
        except UserMistake as mistake:
            found.append(_unusable(mistake))
    return found


def _unusable(mistake: UserMistake) -> Finding:
    return Finding(Danger.SETTING_UNUSABLE, mistake.message)


def of_settings(settings: Settings) -> Iterator[Finding]:
    """Yield what the settings alone tell to be unsafe."""
    if not settings.trusted_proxies:
        yield Finding(
            Danger.TLS_UNSTATED,
            "Carnet speaks no TLS itself: put a proxy in front that does,"
            " and name its address in CARNET_TRUSTED_PROXIES.",
        )
    if not settings.allowed_hosts and settings.public_url is None:
        yield Finding(
            Danger.HOSTS_UNSTATED,
            "say what this server is called, in CARNET_ALLOWED_HOSTS or CARNET_PUBLIC_URL;"
            " any name would do.",
        )
    try:
        networks = trusted_networks(settings.trusted_proxies)
    except UserMistake as mistake:
        yield _unusable(mistake)
        networks = []
    if any(network.prefixlen == 0 for network in networks):
        yield Finding(
            Danger.PROXY_UNBOUNDED,
            "CARNET_TRUSTED_PROXIES trusts everybody, so that anybody can pretend any address.",
        )
    if settings.oidc_file is None and not settings.password_sign_in:
        yield Finding(
            Danger.SIGN_IN_UNSTATED,
            "nobody could sign in: set CARNET_OIDC_FILE,"
            " or CARNET_PASSWORD_SIGN_IN=1 to let Carnet keep passwords itself.",
        )
    for name, value in (
        ("CARNET_DATABASE_URL", settings.database_url),
        ("CARNET_MIGRATION_URL", settings.migration_url),
        ("CARNET_BROADCAST_URL", settings.broadcast_url),
        ("CARNET_SMTP_URL", settings.smtp_url),
    ):
        if value is not None and _has_guessable_password(value):
            yield Finding(
                Danger.DEFAULT_SECRET, f"the password in {name} is one that everybody tries first."
            )


def _has_guessable_password(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return False  # whoever uses the setting says what is wrong with it
    if parsed.password is None:
        return False
    password = str(parsed.password).lower()
    return password in GUESSABLE or password == (parsed.username or "").lower()


def _of_keys(settings: Settings) -> Iterator[Finding]:
    seen: dict[bytes, str] = {}
    for name, path in (
        ("CARNET_KEK_FILE", settings.kek_file),
        ("CARNET_LOG_KEY_FILE", settings.log_key_file),
    ):
        if path is None:
            yield Finding(Danger.KEY_FILE, f"{name} is not set.")
            continue
        try:
            keys = read_key_file(path)
        except UserMistake as mistake:
            yield Finding(Danger.KEY_FILE, mistake.message)
            continue
        for key in keys:
            if len(set(key)) < LEAST_DISTINCT:
                yield Finding(Danger.WEAK_KEY, f"a key in {name} is not random.")
            elif key in seen:
                yield Finding(Danger.WEAK_KEY, f"a key in {name} is also in {seen[key]}.")
            seen[key] = name


def _of_files(settings: Settings) -> Iterator[Finding]:
    """Yield what `carnet serve` would not start with; nothing is connected to, nothing made."""
    needed: list[Callable[[], object]] = [
        lambda: settings.oidc_file is None or load_providers(settings.oidc_file),
        lambda: TrustList.load(settings.trust_list_file),
        lambda: TrustedDocuments.load(
            settings.trusted_documents, is_only=settings.trusted_documents_only
        ),
        lambda: _is_folder(settings.blob_url) or Objects.open(settings.blob_url, settings.data_dir),
        lambda: Channels.open(replace(settings, mode=Mode.PRODUCTION)),
    ]
    for open_it in needed:
        try:
            open_it()
        except UserMistake as mistake:
            yield _unusable(mistake)


def _is_folder(blob_url: str | None) -> bool:
    return blob_url is None or blob_url.startswith("file:")


_SANDBOX = text(
    "SELECT password_hash FROM accounts WHERE login = ANY(:logins)"
    " AND password_hash IS NOT NULL AND disabled_at IS NULL"
)
_QUESTION = text(
    """
    SELECT EXISTS (SELECT FROM pg_roles s
                   WHERE s.rolsuper AND pg_has_role(session_user, s.oid, 'SET')),
           r.rolcreaterole OR r.rolbypassrls OR r.rolreplication OR r.rolcreatedb,
           EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
                   AND c.relkind IN ('r', 'p') AND pg_has_role(session_user, c.relowner, 'SET')),
           current_setting('fsync'), current_setting('full_page_writes'),
           current_setting('synchronous_commit'),
           host(inet_client_addr()),
           COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
           to_regclass('public.accounts') IS NOT NULL AS is_migrated
    FROM pg_roles r WHERE r.rolname = session_user
    """
)


async def _of_database(url: str) -> list[Finding]:
    engine = Database.connect(url, pool_size=1).engine
    try:
        async with engine.connect() as connection:
            answer = (await connection.execute(_QUESTION)).one()
            found = list(_of_answer(answer))
            logins = [login_of(handle) for handle in {*HANDLES, OPERATOR}]
            hashes: list[PasswordHash] = []
            if answer.is_migrated:
                accounts = await connection.scalars(_SANDBOX, {"logins": logins})
                hashes = [PasswordHash(each) for each in accounts]
    finally:
        await engine.dispose()
    count = await _count_sandbox(hashes)
    if count:
        found.append(
            Finding(
                Danger.SANDBOX_ACCOUNT,
                f"{count} accounts of the sandbox are here, with the password that is printed in"
                " the manual: serve from a database that the sandbox was never loaded into.",
            )
        )
    return found


def _of_answer(answer: Row[*tuple[Any, ...]]) -> Iterator[Finding]:
    is_super, is_special, owns, fsync, pages, commit, address, is_encrypted, _ = answer
    if is_super:
        yield Finding(
            Danger.DATABASE_SUPERUSER,
            "the user in CARNET_DATABASE_URL is a superuser of PostgreSQL, or may become one:"
            " make one that is a member of carnet_app and nothing else.",
        )
    elif owns or is_special:
        yield Finding(
            Danger.DATABASE_OWNER,
            "the user in CARNET_DATABASE_URL owns tables or may make roles or databases:"
            " make one that is a member of carnet_app and nothing else.",
        )
    off = [
        name
        for name, value in (
            ("fsync", fsync),
            ("full_page_writes", pages),
            ("synchronous_commit", commit),
        )
        if value == "off"
    ]
    if off:
        yield Finding(
            Danger.DATABASE_NOT_DURABLE,
            f"PostgreSQL runs with {', '.join(off)} off: a power cut would lose what was"
            " acknowledged.",
        )
    yield from of_connection(None if address is None else str(address), bool(is_encrypted))


def of_connection(address: str | None, is_encrypted: bool) -> Iterator[Finding]:
    """Yield what is unsafe about a connection that PostgreSQL sees come from there.

    Args:
        address: None over a Unix socket.
        is_encrypted: whether it is under TLS.
    """
    if address is not None and not ip_address(address).is_loopback and not is_encrypted:
        yield Finding(
            Danger.DATABASE_NOT_ENCRYPTED,
            "the connection to PostgreSQL goes over a network without TLS:"
            " add ?ssl=verify-full to CARNET_DATABASE_URL.",
        )


async def _count_sandbox(hashes: list[PasswordHash]) -> int:
    if not hashes:
        return 0
    passwords = Passwords(workers=1)
    try:
        return sum([await passwords.verify(each, PASSWORD) for each in hashes])
    finally:
        passwords.close()
