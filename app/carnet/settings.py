"""Settings, read once from ``CARNET_…`` environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from carnet.errors import UserMistake

ORIGIN = re.compile(r"https?://[^/*?#@\s]+", re.ASCII)
MOST_WORKERS = 64  # each has up to 21 connections to the database


class Mode(StrEnum):
    """``development`` shows the IDE and introspection; ``production`` is closed by default."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Secrets stay out of the repr."""

    mode: Mode = Mode.DEVELOPMENT
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1  # processes of `carnet serve`
    data_dir: Path = Path(".carnet")
    database_url: str | None = field(default=None, repr=False)  # None: embedded PostgreSQL
    migration_url: str | None = field(default=None, repr=False)  # the owner's; None: database_url
    broadcast_url: str | None = field(default=None, repr=False)  # None: through the database
    blob_url: str | None = None  # None: a folder under data_dir
    kek_file: Path | None = None  # None: a key file under data_dir, development only
    log_key_file: Path | None = None  # signs the journal; None: one under data_dir, development
    directory_origin: str = "carnet/directory"  # the name of the log of keys; clients pin it
    trust_list_file: Path | None = None  # who is believed to certify vaccinations; None: nobody
    oidc_file: Path | None = None  # TOML with trusted identity providers
    password_sign_in: bool = False  # with Carnet's own passwords; in development always
    trusted_proxies: tuple[str, ...] = ()  # whose X-Forwarded-For is believed
    allowed_hosts: tuple[str, ...] = ()  # names that requests may call this server
    allowed_origins: tuple[str, ...] = ()  # of pages that may speak to it; its own always may
    introspection: bool = False  # also outside development
    trusted_documents: tuple[Path, ...] = ()  # registries of operations
    trusted_documents_only: bool = False  # people may send nothing else
    query_cost_limit: int = 10_000  # of one operation; see `carnet_graphql.operations.cost`
    query_budget: int = 100_000  # of one viewer, in one process
    query_budget_per_second: int = 5_000  # of it that comes back
    connections_per_address: int = 2000  # its sockets, and what its browsers keep open
    sockets_per_address: int = 1000  # a whole hospital may come from one
    sockets_per_user: int = 32  # tabs and devices
    smtp_url: str | None = field(default=None, repr=False)  # None: no e-mail
    mail_from: str | None = None  # the sender of e-mails
    public_url: str | None = None  # of the app, in what is sent; None in development: this server
    vapid_key_file: Path | None = None  # Web Push; None: off, or one under data_dir, development
    push_hosts: tuple[str, ...] = ()  # push services that browsers may name; (): the usual ones
    push_private: bool = False  # http and private addresses may be push services, development
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None  # None: no metrics are given out
    traces_url: str | None = field(default=None, repr=False)  # None: no traces are made
    upload_limit_bytes: int = 5 * 2**30
    intake_limit_bytes: int = 64 * 2**20
    request_limit_bytes: int = 2**20  # a GraphQL body

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            UserMistake: a value cannot be used; the message names the variable.
        """
        defaults = cls()
        found = cls(
            mode=_mode(env),
            host=env.get("CARNET_HOST", defaults.host),
            port=_number(env, "CARNET_PORT", defaults.port, 1, 65535),
            workers=_number(env, "CARNET_WORKERS", defaults.workers, 1, MOST_WORKERS),
            data_dir=Path(env.get("CARNET_DATA_DIR", defaults.data_dir)).expanduser(),
            database_url=env.get("CARNET_DATABASE_URL") or None,
            migration_url=env.get("CARNET_MIGRATION_URL") or None,
            broadcast_url=env.get("CARNET_BROADCAST_URL") or None,
            blob_url=env.get("CARNET_BLOB_URL") or None,
            kek_file=_path(env, "CARNET_KEK_FILE"),
            log_key_file=_path(env, "CARNET_LOG_KEY_FILE"),
            directory_origin=env.get("CARNET_DIRECTORY_ORIGIN") or defaults.directory_origin,
            trust_list_file=_path(env, "CARNET_TRUST_LIST_FILE"),
            oidc_file=_path(env, "CARNET_OIDC_FILE"),
            password_sign_in=_number(env, "CARNET_PASSWORD_SIGN_IN", 0, 0, 1) == 1,
            trusted_proxies=_words(env, "CARNET_TRUSTED_PROXIES"),
            allowed_hosts=_words(env, "CARNET_ALLOWED_HOSTS"),
            allowed_origins=_origins(env, "CARNET_ALLOWED_ORIGINS"),
            introspection=_number(env, "CARNET_INTROSPECTION", 0, 0, 1) == 1,
            trusted_documents=tuple(
                Path(name).expanduser()
                for name in env.get("CARNET_TRUSTED_DOCUMENTS", "").split(os.pathsep)
                if name
            ),
            trusted_documents_only=_number(env, "CARNET_TRUSTED_DOCUMENTS_ONLY", 0, 0, 1) == 1,
            query_cost_limit=_number(
                env, "CARNET_QUERY_COST_LIMIT", defaults.query_cost_limit, 1, 10**9
            ),
            query_budget=_number(env, "CARNET_QUERY_BUDGET", defaults.query_budget, 1, 10**9),
            query_budget_per_second=_number(
                env, "CARNET_QUERY_BUDGET_PER_SECOND", defaults.query_budget_per_second, 1, 10**9
            ),
            connections_per_address=_number(
                env, "CARNET_CONNECTIONS_PER_ADDRESS", defaults.connections_per_address, 1, 10**6
            ),
            sockets_per_address=_number(
                env, "CARNET_SOCKETS_PER_ADDRESS", defaults.sockets_per_address, 1, 10**6
            ),
            sockets_per_user=_number(
                env, "CARNET_SOCKETS_PER_USER", defaults.sockets_per_user, 1, 10**6
            ),
            smtp_url=env.get("CARNET_SMTP_URL") or None,
            mail_from=env.get("CARNET_MAIL_FROM") or None,
            public_url=env.get("CARNET_PUBLIC_URL") or None,
            vapid_key_file=_path(env, "CARNET_VAPID_KEY_FILE"),
            push_hosts=_words(env, "CARNET_PUSH_HOSTS"),
            push_private=_number(env, "CARNET_PUSH_PRIVATE", 0, 0, 1) == 1,
            metrics_host=env.get("CARNET_METRICS_HOST") or defaults.metrics_host,
            metrics_port=_number(env, "CARNET_METRICS_PORT", 0, 1, 65535) or None,
            traces_url=env.get("CARNET_TRACES_URL") or None,
            upload_limit_bytes=_number(
                env, "CARNET_UPLOAD_LIMIT_BYTES", defaults.upload_limit_bytes, 1, 2**50
            ),
            intake_limit_bytes=_number(
                env, "CARNET_INTAKE_LIMIT_BYTES", defaults.intake_limit_bytes, 1, 2**32
            ),
            request_limit_bytes=_number(
                env, "CARNET_REQUEST_LIMIT_BYTES", defaults.request_limit_bytes, 1, 2**30
            ),
        )
        if found.query_cost_limit > found.query_budget:
            raise UserMistake(
                "CARNET_QUERY_COST_LIMIT is above CARNET_QUERY_BUDGET: that would never run."
            )
        if found.sockets_per_address > found.connections_per_address and not found.trusted_proxies:
            raise UserMistake(
                "CARNET_SOCKETS_PER_ADDRESS is above CARNET_CONNECTIONS_PER_ADDRESS:"
                " without a proxy, so many would never open."
            )
        return found


def _mode(env: Mapping[str, str]) -> Mode:
    value = env.get("CARNET_MODE", Mode.DEVELOPMENT.value)
    try:
        return Mode(value)
    except ValueError:
        raise UserMistake(f"CARNET_MODE is {value!r}; use development or production.") from None


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name)
    return Path(value).expanduser() if value else None


def _words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(env.get(name, "").replace(",", " ").split())


def _origins(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    origins = tuple(word.rstrip("/").lower() for word in _words(env, name))
    for origin in origins:
        if ORIGIN.fullmatch(origin) is None:
            raise UserMistake(f"{name} has {origin!r}; an origin is like https://app.example.org.")
    return origins


def _number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = env.get(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value[:20]) <= most:
        raise UserMistake(f"{name} is {value!r}; use a number from {least} to {most}.")
    return int(value)
