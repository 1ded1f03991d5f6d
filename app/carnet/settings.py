"""Settings, read once from ``CARNET_…`` environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        found, mistakes = cls.read(env)
        if mistakes:
            raise mistakes[0]
        return found

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the variables that are read."""
        reader = _Reader({})
        cls._read(reader)
        return frozenset(reader.names)

    @classmethod
    def read(cls, env: Mapping[str, str]) -> tuple[Settings, list[UserMistake]]:
        """Return the settings, and what cannot be used of them: there the default stands."""
        reader = _Reader(env)
        found = cls._read(reader)
        if not found.connections_per_address:
            found = replace(found, connections_per_address=2 * found.sockets_per_address)
        if found.query_cost_limit > found.query_budget:
            reader.refuse_pair(
                "CARNET_QUERY_COST_LIMIT", "CARNET_QUERY_BUDGET", "that would never run."
            )
        if found.sockets_per_address > found.connections_per_address and not found.trusted_proxies:
            reader.refuse_pair(
                "CARNET_SOCKETS_PER_ADDRESS",
                "CARNET_CONNECTIONS_PER_ADDRESS",
                "without a proxy, so many would never open.",
            )
        return found, list(reader.mistakes.values())

    @classmethod
    def _read(cls, env: _Reader) -> Settings:
        defaults = cls()
        return cls(
            mode=env.mode("CARNET_MODE", defaults.mode),
            host=env.get("CARNET_HOST", defaults.host),
            port=env.number("CARNET_PORT", defaults.port, 1, 65535),
            workers=env.number("CARNET_WORKERS", defaults.workers, 1, MOST_WORKERS),
            data_dir=Path(env.get("CARNET_DATA_DIR", str(defaults.data_dir))).expanduser(),
            database_url=env.text("CARNET_DATABASE_URL"),
            migration_url=env.text("CARNET_MIGRATION_URL"),
            broadcast_url=env.text("CARNET_BROADCAST_URL"),
            blob_url=env.text("CARNET_BLOB_URL"),
            kek_file=env.path("CARNET_KEK_FILE"),
            log_key_file=env.path("CARNET_LOG_KEY_FILE"),
            directory_origin=env.text("CARNET_DIRECTORY_ORIGIN") or defaults.directory_origin,
            trust_list_file=env.path("CARNET_TRUST_LIST_FILE"),
            oidc_file=env.path("CARNET_OIDC_FILE"),
            password_sign_in=env.number("CARNET_PASSWORD_SIGN_IN", 0, 0, 1) == 1,
            trusted_proxies=env.words("CARNET_TRUSTED_PROXIES"),
            allowed_hosts=env.words("CARNET_ALLOWED_HOSTS"),
            allowed_origins=env.origins("CARNET_ALLOWED_ORIGINS"),
            introspection=env.number("CARNET_INTROSPECTION", 0, 0, 1) == 1,
            trusted_documents=tuple(
                Path(name).expanduser()
                for name in env.get("CARNET_TRUSTED_DOCUMENTS", "").split(os.pathsep)
                if name
            ),
            trusted_documents_only=env.number("CARNET_TRUSTED_DOCUMENTS_ONLY", 0, 0, 1) == 1,
            query_cost_limit=env.number(
                "CARNET_QUERY_COST_LIMIT", defaults.query_cost_limit, 1, 10**9
            ),
            query_budget=env.number("CARNET_QUERY_BUDGET", defaults.query_budget, 1, 10**9),
            query_budget_per_second=env.number(
                "CARNET_QUERY_BUDGET_PER_SECOND", defaults.query_budget_per_second, 1, 10**9
            ),
            connections_per_address=env.number("CARNET_CONNECTIONS_PER_ADDRESS", 0, 1, 10**6),
            sockets_per_address=env.number(
                "CARNET_SOCKETS_PER_ADDRESS", defaults.sockets_per_address, 1, 10**6
            ),
            sockets_per_user=env.number(
                "CARNET_SOCKETS_PER_USER", defaults.sockets_per_user, 1, 10**6
            ),
            smtp_url=env.text("CARNET_SMTP_URL"),
            mail_from=env.text("CARNET_MAIL_FROM"),
            public_url=env.text("CARNET_PUBLIC_URL"),
            vapid_key_file=env.path("CARNET_VAPID_KEY_FILE"),
            push_hosts=env.words("CARNET_PUSH_HOSTS"),
            push_private=env.number("CARNET_PUSH_PRIVATE", 0, 0, 1) == 1,
            metrics_host=env.text("CARNET_METRICS_HOST") or defaults.metrics_host,
            metrics_port=env.number("CARNET_METRICS_PORT", 0, 1, 65535) or None,
            traces_url=env.text("CARNET_TRACES_URL"),
            upload_limit_bytes=env.number(
                "CARNET_UPLOAD_LIMIT_BYTES", defaults.upload_limit_bytes, 1, 2**50
            ),
            intake_limit_bytes=env.number(
                "CARNET_INTAKE_LIMIT_BYTES", defaults.intake_limit_bytes, 1, 2**32
            ),
            request_limit_bytes=env.number(
                "CARNET_REQUEST_LIMIT_BYTES", defaults.request_limit_bytes, 1, 2**30
            ),
        )


class _Reader:
    """Reads values of the environment. What cannot be used is noted, and the default stands."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.names: set[str] = set()  # that were asked for
        self.mistakes: dict[str, UserMistake] = {}  # by name

    def get(self, name: str, default: str) -> str:
        self.names.add(name)
        return self._env.get(name, default)

    def text(self, name: str) -> str | None:
        return self.get(name, "") or None

    def mode(self, name: str, default: Mode) -> Mode:
        value = self.get(name, default.value)
        try:
            return Mode(value)
        except ValueError:
            self._refuse(name, f"{name} is {value!r}; use development or production.")
            return default

    def path(self, name: str) -> Path | None:
        value = self.text(name)
        return Path(value).expanduser() if value else None

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(self.get(name, "").replace(",", " ").split())

    def origins(self, name: str) -> tuple[str, ...]:
        origins = tuple(word.rstrip("/").lower() for word in self.words(name))
        for origin in origins:
            if ORIGIN.fullmatch(origin) is None:
                self._refuse(
                    name, f"{name} has {origin!r}; an origin is like https://app.example.org."
                )
                return ()
        return origins

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not least <= int(value[:20]) <= most:
            self._refuse(name, f"{name} is {value!r}; use a number from {least} to {most}.")
            return default
        return int(value)

    def refuse_pair(self, above: str, below: str, why: str) -> None:
        """Note that one value is above another, unless one of them is a default in its place."""
        if not self.mistakes.keys() & {above, below}:
            self._refuse(above, f"{above} is above {below}: {why}")

    def _refuse(self, name: str, message: str) -> None:
        self.mistakes[name] = UserMistake(message)
