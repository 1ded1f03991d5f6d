"""Cases of a book of rules: a table that a nurse can read, and whether the rules agree with it.

A line is a person, a history and a day, and what one rule then asks. docs/calendar-cases.md says
what the columns hold.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from carnet.calendar.dates import Unusable, iso, read_day
from carnet.calendar.facts import Observation, Written
from carnet.calendar.items import Calendar, Holder, Item, Pregnancy

COLUMNS = (
    "id", "rule", "title", "sex", "born", "facts", "history", "as_of", "status", "earliest",
    "due", "overdue", "latest",
)  # fmt: skip
DATES = ("earliest", "due", "overdue", "latest")
SHORTHAND = {
    "HEXA": ("DTP", "DTCAP", "HIB", "HEPB"),
    "PENTA": ("DTP", "DTCAP", "HIB"),
    "DTCAPIPV": ("DTP", "DTCAP"),
}
"""Vaccines that are several acts."""

_PREGNANCY = "PREGNANCY"
_ENTRY = re.compile(r"(\w+)(?:@([\d-]*)(?:\.\.([\d-]+))?)?")


class BadCase(ValueError):
    """A case cannot be read; the message says the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line: `expected` is the status and the four dates."""

    id: str
    rule: str
    title: str
    holder: Holder
    history: tuple[Written, ...]
    as_of: int
    expected: dict[str, str]


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What a case expects and what the rules say, where they differ; and why."""

    case: Case
    differences: tuple[tuple[str, str, str], ...]
    why: tuple[str, ...]


def read_cases(file: TextIO) -> Iterator[Case]:
    """Read a table.

    Raises:
        BadCase: a line lacks a column or holds what cannot be read.
    """
    reader = csv.DictReader(file)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadCase(f"the columns are {','.join(COLUMNS)}")
    for row in reader:
        try:
            yield _case(row)
        except (ValueError, AttributeError, TypeError) as error:
            raise BadCase(f"line {reader.line_num}: {error}") from error


def run(cases: Iterator[Case], calendar: Calendar) -> Iterator[CaseOutcome]:
    """Hold the rules against each case."""
    for case in cases:
        found = calendar.assess(case.holder, case.history, case.as_of)
        items = [item for item in found.items if item.occurrence.key == case.rule]
        item = items[-1] if items else None  # of several pregnancies the last
        said = _said(item)
        yield CaseOutcome(
            case,
            tuple(
                (name, case.expected[name], said[name])
                for name in ("status", *DATES)
                if case.expected[name] != said[name]
            ),
            tuple(map(str, item.why)) if item is not None else (),
        )


def _said(item: Item | None) -> dict[str, str]:
    if item is None:
        return {"status": "NONE"} | dict.fromkeys(DATES, "")
    days = (item.earliest, item.due, item.overdue, item.latest)
    dates = ("" if day is None else iso(day) for day in days)
    return {"status": item.status.value} | dict(zip(DATES, dates, strict=True))


def _entries(said: str) -> Iterator[tuple[str, str, str]]:
    for part in filter(None, (part.strip() for part in said.split(";"))):
        found = _ENTRY.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is no code with a date")
        yield found[1], found[2] or "", found[3] or ""


def _day(said: str) -> int:
    found = read_day(said)
    if isinstance(found, Unusable):
        raise ValueError(f"{said!r} is no date")
    return found


def _case(row: dict[str, str]) -> Case:
    facts: list[Observation] = []
    pregnancies: list[Pregnancy] = []
    for code, since, until in _entries(row["facts"]):
        if code == _PREGNANCY:
            ended = _day(until) if until else None
            pregnancies.append(Pregnancy(_day(since), ended, ended is not None))
        else:
            facts.append(Observation(code, _day(since) if since else None))
    history = tuple(
        Written(on, act)
        for code, on, _ in _entries(row["history"])
        for act in SHORTHAND.get(code, (code,))
    )
    return Case(
        id=row["id"],
        rule=row["rule"],
        title=row["title"],
        holder=Holder(_day(row["born"]), row["sex"], tuple(facts), tuple(pregnancies)),
        history=history,
        as_of=_day(row["as_of"]),
        expected={name: row[name].strip() for name in ("status", *DATES)},
    )
