"""Reads a population from a CSV file, a batch of rows at a time, and says what is wrong where.

The file is read as a stream, so its length costs no memory. A row that cannot be used is a
`Reject` with its line; only what makes the rest unreadable stops the reading.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from carnet.errors import UserMistake, ValidationFailed
from carnet.people.claims import Claim
from carnet.people.identifiers import INS_NIR, is_national, key_valid, normalize
from carnet.people.tables import Sex
from carnet.values import Identifier, PartialDate

COLUMNS = (
    "ins",
    "ins_oid",
    "birth_family_name",
    "used_family_name",
    "given_names",
    "birth_date",
    "sex",
    "birth_place",
    "representative_1",
    "representative_2",
)
"""What a header may name; ``carnet enrol --help`` says what each holds."""

REQUIRED = ("ins", "birth_family_name", "given_names", "birth_date")
REPRESENTATIVES = ("representative_1", "representative_2")

_SEXES = {
    "": Sex.UNKNOWN,
    "F": Sex.FEMALE,
    "M": Sex.MALE,
    "1": Sex.MALE,
    "2": Sex.FEMALE,
    **{sex.value: sex for sex in Sex},
}
_NUMBER = re.compile(r"\d{5}(?:\d{2}|2[AB])\d{6}(?:\d{2})?", re.ASCII)
_SURROGATE = re.compile(r"[\udc80-\udcff]")


class Reason(StrEnum):
    """Why a row, or a parent in it, was not taken."""

    COLUMNS = "COLUMNS"  # more or fewer than the header has
    ENCODING = "ENCODING"  # not UTF-8
    NUMBER = "NUMBER"  # no national number
    NAME = "NAME"  # no family name or no given name
    BIRTH_DATE = "BIRTH_DATE"  # no date, or one to come
    SEX = "SEX"
    REPRESENTATIVE = "REPRESENTATIVE"  # a parent's number is none
    CONFLICT = "CONFLICT"  # the number is somebody else's here
    UNKNOWN_REPRESENTATIVE = "UNKNOWN_REPRESENTATIVE"  # the child is enrolled, this parent not
    NOT_A_MINOR = "NOT_A_MINOR"  # enrolled; an adult has no representatives of this kind


@dataclass(frozen=True, slots=True)
class Row:
    """One person. ``line`` counts from 1, the header being the first."""

    line: int
    cells: list[str] = field(repr=False)
    claim: Claim = field(repr=False)
    parents: tuple[Identifier, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, or one of whose parents was not."""

    line: int
    reason: Reason
    cells: list[str] = field(repr=False)


class Population:
    """A CSV file of persons: UTF-8, commas or semicolons, a header.

    ``digest`` is the SHA-256 of its bytes, ``lines`` how many lines it has at most, and
    ``has_representatives`` whether it names parents.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest, self.lines = _measured(path)
        with self._opened() as file:
            first = file.readline()
            if _SURROGATE.search(first):
                raise UserMistake(f"{path.name} is not UTF-8.")
            self.delimiter = ";" if first.count(";") > first.count(",") else ","
            (self.header,) = csv.reader([first], delimiter=self.delimiter)
        names = [name.strip().lower() for name in self.header]
        missing = [name for name in REQUIRED if name not in names]
        unknown = [name for name in names if name not in COLUMNS]
        if missing or unknown or len(set(names)) < len(names):
            wrong = f"it lacks {', '.join(missing)}" if missing else "see carnet enrol --help"
            raise UserMistake(f"The header of {path.name} is not as it should be: {wrong}.")
        self._places = {name: place for place, name in enumerate(names)}
        self.has_representatives = any(name in names for name in REPRESENTATIVES)

    def rows(self, today: date, skip: int = 0) -> Iterator[Row | Reject]:
        """Yield every row after the first ``skip``; empty lines are passed over.

        Raises:
            UserMistake: a quote is never closed, so that the rest cannot be told apart.
        """
        with self._opened() as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            next(reader)
            line = reader.line_num + 1
            try:
                for cells in reader:
                    if not cells:
                        pass  # an empty line
                    elif skip > 0:
                        skip -= 1
                    else:
                        yield self._row(line, cells, today)
                    line = reader.line_num + 1
            except csv.Error as error:
                raise UserMistake(f"{self.path.name}, line {line}: {error}.") from None

    def _opened(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _row(self, line: int, cells: list[str], today: date) -> Row | Reject:
        if any(_SURROGATE.search(cell) for cell in cells):
            return Reject(line, Reason.ENCODING, cells)
        if len(cells) != len(self.header):
            return Reject(line, Reason.COLUMNS, cells)
        said = {name: cells[place].strip() for name, place in self._places.items()}
        system = said.get("ins_oid") or INS_NIR
        number = _number(system, said["ins"])
        if number is None:
            return Reject(line, Reason.NUMBER, cells)
        parents = [_number(system, said[name]) for name in REPRESENTATIVES if said.get(name)]
        if None in parents or number in parents:
            return Reject(line, Reason.REPRESENTATIVE, cells)
        names = tuple(said["given_names"].split())
        if not names or not said["birth_family_name"]:
            return Reject(line, Reason.NAME, cells)
        birth_date = _birth_date(said["birth_date"], today)
        if birth_date is None:
            return Reject(line, Reason.BIRTH_DATE, cells)
        sex = _SEXES.get(said.get("sex", "").upper())
        if sex is None:
            return Reject(line, Reason.SEX, cells)
        claim = Claim(
            (number,),
            birth_family_name=said["birth_family_name"],
            used_family_name=said.get("used_family_name") or None,
            given_names=names,
            birth_date=birth_date,
            sex=sex,
            birth_place_code=said.get("birth_place") or None,
        )
        return Row(line, cells, claim, tuple(parent for parent in parents if parent))


def _number(system: str, value: str) -> Identifier | None:
    """Return a national number in normal form; a wrong key is told, and refuses nothing."""
    number = normalize(Identifier(system, value))
    if not is_national(number.system) or not number.value.isprintable():
        return None
    if not 0 < len(number.value) <= 255:
        return None
    if key_valid(number) is False and _NUMBER.fullmatch(number.value) is None:
        return None
    return number


def _birth_date(text: str, today: date) -> PartialDate | None:
    try:
        found = PartialDate.parse(text)
    except ValidationFailed:
        return None
    return found if found.text <= today.isoformat() else None


def _measured(path: Path) -> tuple[str, int]:
    digest, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
            lines += block.count(b"\n")
    return digest.hexdigest(), lines + 1
