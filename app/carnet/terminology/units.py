"""The archive of NUVA's units: one small YAML file for each vaccine and each valence.

The archive comes from outside: nothing of it is written to disk, its names are only compared, and
what is unpacked is bounded before it is unpacked.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from carnet.errors import UserMistake
from carnet.terminology.sources import Source, mistake

MEMBERS_LIMIT = 20_000  # entries of the archive; the edition of 2026 has 2,000
UNPACKED_LIMIT = 64 * 2**20  # bytes; the edition of 2026 has 4 MiB
UNIT_LIMIT = 64 * 2**10  # bytes of one unit; the largest has 2 kB
CHUNK = 64 * 2**10  # bytes
DEPTH_LIMIT = 10  # mappings and lists within one another; published ones have 3

_UNIT = re.compile(r"(?:\./)?Units/(Vaccines/VAC|Valences/VAL)(\d{1,8})\.yml", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """One file of the archive, as its YAML was read."""

    path: Path
    name: str
    shape: dict[Any, Any]

    def mistake(self, problem: str) -> UserMistake:
        """Return the error for this unit."""
        return mistake(self.path, f"{self.name}: {problem}")

    def text(self, key: str) -> str:
        """Return a text, empty where there is none.

        Raises:
            UserMistake: it is something else.
        """
        value = self.shape.get(key)
        if value is not None and not isinstance(value, str):
            raise self.mistake(f"{key} should be a text.")
        return (value or "").strip()

    def texts(self, key: str) -> list[str]:
        """Return a list of texts, empty where there is none.

        Raises:
            UserMistake: it is something else.
        """
        return self._texts(self.shape.get(key), key)

    def lists(self, key: str) -> dict[str, list[str]]:
        """Return lists of texts by name, empty where there is none.

        Raises:
            UserMistake: it is something else.
        """
        value = self.shape.get(key) or {}
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise self.mistake(f"{key} should be lists by name.")
        return {name: self._texts(each, key) for name, each in value.items()}

    def _texts(self, value: object, key: str) -> list[str]:
        value = [] if value is None else value
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.mistake(f"{key} should be a list of texts.")
        return value


@dataclass(frozen=True, slots=True)
class Units:
    """All units by their ids, such as VAC0001 and VAL156."""

    vaccines: dict[str, Unit]
    valences: dict[str, Unit]


class _Bounded(io.BufferedIOBase):
    """Reads a stream, and raises when it turns out longer than `UNPACKED_LIMIT`."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = UNPACKED_LIMIT

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        got = self._stream.read(wanted)
        self._left -= len(got)
        if self._left < 0:
            raise _TooLarge
        return got


class _TooLarge(Exception):
    """The archive unpacks to more than is read."""


def read_units(source: Source) -> Units:
    """Read the archive.

    Raises:
        UserMistake: it is damaged, unpacks to too much, has no units, or one is not YAML.
    """
    units = Units({}, {})
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(source.text)) as stream,
            _Bounded(stream) as bounded,
            tarfile.open(fileobj=bounded, mode="r|") as archive,
        ):
            for number, member in enumerate(archive):
                if number >= MEMBERS_LIMIT:
                    raise _TooLarge
                _add(source, archive, member, units)
            while bounded.read(CHUNK):  # to the end, where the checksum is
                continue
    except _TooLarge:
        raise mistake(source.path, "this archive unpacks to more than is read.") from None
    except (OSError, EOFError, ValueError, RecursionError, zlib.error, tarfile.TarError):
        raise mistake(source.path, "this archive is damaged.") from None
    if not (units.vaccines and units.valences):
        raise mistake(source.path, "this archive has no units of NUVA.")
    return units


def _add(source: Source, archive: tarfile.TarFile, member: tarfile.TarInfo, units: Units) -> None:
    found = _UNIT.fullmatch(member.name)
    if found is None or not member.isreg():
        return
    name = member.name.removeprefix("./")
    if member.size > UNIT_LIMIT:
        raise mistake(source.path, f"{name}: it is larger than a unit can be.")
    content = archive.extractfile(member)
    if content is None:
        raise tarfile.ReadError
    folder, letters = found[1].split("/")
    kind = units.vaccines if folder == "Vaccines" else units.valences
    shape = load_yaml(source.path, content.read(), name)
    kind[f"{letters}{found[2]}"] = Unit(source.path, name, shape)


def load_yaml(path: Path, text: bytes, name: str = "") -> dict[Any, Any]:
    """Return the mapping that is in a YAML text, with plain values only.

    Args:
        path: of the file, and
        name: of what is in it, for the error.
        text: the YAML.

    Raises:
        UserMistake: it is not YAML, not a mapping, has aliases, or is nested too deeply.
    """
    place = f"{name}: " if name else ""
    try:
        loaded = _plain(text.decode("utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        if name and line:
            raise mistake(path, f"{name}, line {line}: this is not YAML.") from None
        raise mistake(path, "this is not YAML.", line=line) from None
    except (yaml.YAMLError, ValueError):  # ValueError: not UTF-8, or no such day
        raise mistake(path, f"{place}this is not YAML.") from None
    if not isinstance(loaded, dict):
        raise mistake(path, f"{place}this should be a mapping.")
    return loaded


def _plain(text: str) -> object:
    """Load YAML in time that grows as the text does: deep nesting and aliases can take forever."""
    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT or isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem_mark=event.start_mark)
    if yaml.__with_libyaml__:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    return yaml.safe_load(text)


def _loader() -> Any:
    """Return the parser in C, which is ten times faster, or the other where a build lacks it."""
    return yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
