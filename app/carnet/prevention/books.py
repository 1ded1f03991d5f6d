"""Which schedule is in force: the newest that was loaded, or the one that Carnet ships.

A version is loaded whole or not at all, and a broken one leaves the running one in force. A loaded
version is kept for ever, so that what it said can be said again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from carnet.calendar.items import Calendar
from carnet.calendar.rule_files import MOST_FILES, SHIPPED, load_rules
from carnet.calendar.tree import LARGEST_FILE, BrokenSchedule
from carnet.prevention.tables import ScheduleVersion
from carnet.store.database import Work

DEFAULT = "fr"
KEPT = 4  # books in memory: the one in force, the one before, and those of the past

_calendars: OrderedDict[str, Calendar] = OrderedDict()
_lock = Lock()


def digest_of(files: Mapping[str, str]) -> str:
    """Return what names a version: the hash of its files."""
    told = json.dumps(sorted(files.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def read_files(folder: Path) -> dict[str, str]:
    """Return the files of a schedule by name.

    Raises:
        BrokenSchedule: they are too many, too large or no UTF-8.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    if len(paths) > MOST_FILES:
        raise BrokenSchedule(folder.name, 0, f"holds more than {MOST_FILES} files")
    found: dict[str, str] = {}
    for path in paths:
        if path.stat().st_size > LARGEST_FILE:
            raise BrokenSchedule(path.name, 0, f"is larger than {LARGEST_FILE} bytes")
        try:
            found[path.name] = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenSchedule(path.name, 0, "is not UTF-8") from error
    return found


@cache
def shipped_files() -> dict[str, str]:
    """Return the schedule that comes with Carnet."""
    return read_files(SHIPPED / DEFAULT)


@cache
def _shipped() -> tuple[dict[str, str], str]:
    files = shipped_files()
    return files, digest_of(files)


def calendar_of(digest: str, files: Mapping[str, str]) -> Calendar:
    """Return a version ready to be asked; it is read once.

    Raises:
        BrokenSchedule: a file breaks a rule of the format.
    """
    with _lock:
        found = _calendars.get(digest)
        if found is None:
            with TemporaryDirectory(prefix="carnet-schedule-") as folder:
                for name, content in files.items():
                    (Path(folder) / Path(name).name).write_text(content, "utf-8")
                found = Calendar(load_rules(Path(folder)))
            _calendars[digest] = found
            while len(_calendars) > KEPT:
                _calendars.popitem(last=False)
        _calendars.move_to_end(digest)
        return found


async def in_force(work: Work) -> tuple[str, Calendar]:
    """Return the digest of the version in force, and its calendar."""
    loaded = select(ScheduleVersion.digest).where(ScheduleVersion.is_shipped.is_(False))
    digest = await work.session.scalar(loaded.order_by(ScheduleVersion.loaded_at.desc()).limit(1))
    if digest is None:
        files, digest = _shipped()
        return digest, await asyncio.to_thread(calendar_of, digest, files)
    return digest, await version(work, digest)


async def version(work: Work, digest: str) -> Calendar:
    """Return a version that was in force, or the shipped one where it is none that was loaded."""
    with _lock:
        if (found := _calendars.get(digest)) is not None:
            return found
    files = await work.session.scalar(
        select(ScheduleVersion.files).where(ScheduleVersion.digest == digest)
    )
    kept = shipped_files() if files is None else files
    return await asyncio.to_thread(calendar_of, digest, kept)


async def load(work: Work, files: Mapping[str, str]) -> tuple[str, Calendar, bool]:
    """Put a version in force, after it was read whole.

    Returns:
        Its digest, its calendar, and whether anything changed: the same files again change nothing
        while they are in force.

    Raises:
        BrokenSchedule: a file breaks a rule of the format; what was in force stays so.
    """
    digest = digest_of(files)
    calendar = await asyncio.to_thread(calendar_of, digest, files)
    present, _ = await in_force(work)
    if present == digest:
        return digest, calendar, False
    statement = insert(ScheduleVersion).values(_row(work, digest, calendar, files))
    again = {"loaded_at": work.now, "is_shipped": False}
    await work.session.execute(
        statement.on_conflict_do_update(index_elements=[ScheduleVersion.digest], set_=again)
    )
    return digest, calendar, True


async def keep_shipped(work: Work, digest: str, calendar: Calendar) -> None:
    """Keep the shipped version if it is the one in force, so that a later one can be compared."""
    files = shipped_files()
    if digest_of(files) == digest:
        row = _row(work, digest, calendar, files, is_shipped=True)
        await work.session.execute(insert(ScheduleVersion).values(row).on_conflict_do_nothing())


def _row(
    work: Work,
    digest: str,
    calendar: Calendar,
    files: Mapping[str, str],
    *,
    is_shipped: bool = False,
) -> dict[str, object]:
    return {
        "digest": digest,
        "name": calendar.book.name,
        "version": calendar.book.version,
        "files": dict(files),
        "is_shipped": is_shipped,
        "loaded_at": work.now,
    }
