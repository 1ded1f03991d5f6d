"""Files of published nomenclatures: found, recognised by what is in them, read within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from carnet.errors import UserMistake

FILES_LIMIT = 10_000  # in all folders together
BYTES_LIMIT = 32 * 2**20  # of one file; the largest that is published has 200 kB
LABEL_LIMIT = 1_000  # characters
CODE_LIMIT = 200  # characters

NUVA_ID = re.compile(r"VAC\d{1,8}", re.ASCII)

_CORE_HEADING = b"NUVA,label,"
_ALIGNMENT_HEADING = re.compile(rb"[A-Z0-9-]{2,40},NUVA,Label\r?\n")
_FRENCH_HEADING = b"fr:"
_GZIP = b"\x1f\x8b"
_VALUE_SET = b"RetrieveValueSetResponse"
_BOM = b"\xef\xbb\xbf"


class Kind(Enum):
    """The kinds of files that are read."""

    UNITS = "NUVA's units"
    CORE = "NUVA's vaccines"
    FRENCH = "NUVA's names in French"
    ALIGNMENT = "the codes of one system in NUVA"
    VALUE_SET = "a value set"


@dataclass(frozen=True, slots=True)
class Source:
    """A file and what is in it; ``text`` is its bytes, without a byte order mark."""

    path: Path
    kind: Kind
    text: bytes


def mistake(path: Path, problem: str, *, line: int | None = None) -> UserMistake:
    """Return the error for a file that cannot be read, with the line where it goes wrong."""
    name = "".join(char if char.isprintable() else "�" for char in str(path))
    place = name if line is None else f"{name}, line {line}"
    return UserMistake(f"{place}: {problem}")


def find(paths: Iterable[Path]) -> list[tuple[Path, bool]]:
    """Return the files that are meant, each once and in order, and whether each was named itself.

    A folder stands for the files right in it, without hidden ones and without its own folders.

    Raises:
        UserMistake: a path does not exist or cannot be listed, or there are too many files.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        if not path.exists():
            raise mistake(path, "there is no such file or folder.")
        if not path.is_dir():
            found[path] = True
            continue
        try:
            inside = sorted(each for each in path.iterdir() if each.is_file())
        except OSError:
            raise mistake(path, "this folder cannot be listed.") from None
        for each in inside:
            if not each.name.startswith("."):
                found.setdefault(each, False)
        if len(found) > FILES_LIMIT:
            raise mistake(path, f"there are more than {FILES_LIMIT} files; load fewer at once.")
    return list(found.items())


def read(path: Path) -> Source | None:
    """Read a file, or return None when it is none of the kinds that are known.

    Raises:
        UserMistake: it cannot be read, or is larger than any published nomenclature.
    """
    if not path.is_file():
        return None  # a pipe or a device would never end
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_LIMIT + 1)
    except OSError:
        raise mistake(path, "this file cannot be read.") from None
    text = content.removeprefix(_BOM)
    kind = _kind(path.suffix.lower(), text)
    if kind is None:
        return None
    if len(content) > BYTES_LIMIT:
        raise mistake(path, f"this file is larger than {BYTES_LIMIT // 2**20} MiB.")
    return Source(path, kind, text)


def _kind(suffix: str, text: bytes) -> Kind | None:
    if suffix in {".gz", ".tgz"} and text.startswith(_GZIP):
        return Kind.UNITS
    if suffix == ".csv" and text.startswith(_CORE_HEADING):
        return Kind.CORE
    if suffix == ".csv" and _ALIGNMENT_HEADING.match(text):
        return Kind.ALIGNMENT
    if suffix in {".yml", ".yaml"} and text.startswith(_FRENCH_HEADING):
        return Kind.FRENCH
    if suffix == ".xml" and _VALUE_SET in text:
        return Kind.VALUE_SET
    return None


def is_code(text: str) -> bool:
    """Tell whether the text can be a code: short, printable, no space around it."""
    return 0 < len(text) <= CODE_LIMIT and text.isprintable() and text == text.strip()


def label_of(text: str) -> str:
    """Return what a code means on one line of printable text; empty when that cannot be."""
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= LABEL_LIMIT else ""
