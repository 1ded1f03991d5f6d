"""Fills the data folder with the sandbox, and keeps its publishers' secrets beside it.

The secrets are in ``sandbox.json``, readable by its owner only: they are shown once by the
registers, and `carnet intake` and `carnet token` need them again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from sqlalchemy import exists, select

from carnet.cli.console import CONSOLE
from carnet.cli.progress import telling
from carnet.cli.workspace import Workspace
from carnet.errors import UserMistake
from carnet.people.passwords import Passwords
from carnet.people.tables import Organization, Person
from carnet.sandbox.population import PLACES, is_populated, populate
from carnet.settings import Settings
from carnet.store.database import Work

LABORATORY = "boreal"  # the publisher that `carnet intake` uses by default


def secrets_file(settings: Settings) -> Path:
    """Return where the secrets of the sandbox's publishers are kept."""
    return settings.data_dir / "sandbox.json"


def secrets_of(settings: Settings) -> dict[str, str]:
    """Return the secrets of the sandbox's publishers by handle; nothing where there is none.

    Raises:
        UserMistake: the file is not as Carnet wrote it.
    """
    path = secrets_file(settings)
    try:
        shape = json.loads(path.read_text(encoding="utf-8"))
        return {str(handle): str(secret) for handle, secret in shape["publishers"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserMistake(f"{path} is damaged; `carnet sandbox load` writes it again.") from None


async def fill(opened: Workspace, *, again: bool = False) -> bool:
    """Load the sandbox unless it is there; ``again`` also repairs what is missing.

    Returns:
        Whether anything was to be done.

    Raises:
        UserMistake: the database holds people who are not the sandbox's.
    """
    path = secrets_file(opened.settings)
    async with opened.database.read() as work:
        if await is_populated(work) and path.exists() and not again:
            return False
        await _refuse_strangers(work)
    passwords = Passwords(workers=1)
    try:
        with telling("Loading the sandbox") as told:
            made = await populate(CONSOLE, opened.database, opened.blobs, passwords, told)
    finally:
        passwords.close()
    _write(path, json.dumps({"publishers": dict(made.secrets)}, indent=2) + "\n")
    return True


async def require_sandbox(settings: Settings, work: Work) -> None:
    """Refuse what only a sandbox allows.

    Raises:
        UserMistake: this database holds no sandbox.
    """
    if not await is_populated(work):
        place = settings.data_dir.absolute() if settings.database_url is None else "this database"
        raise UserMistake(f"There is no sandbox in {place}; `carnet demo` makes one.")


async def _refuse_strangers(work: Work) -> None:
    has_people = await work.session.scalar(select(exists().select_from(Person)))
    is_sandbox = await work.session.scalar(
        select(exists().where(Organization.identifier_system == PLACES))
    )
    if has_people and not is_sandbox:
        raise UserMistake("This database holds people already; the sandbox wants one of its own.")


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
