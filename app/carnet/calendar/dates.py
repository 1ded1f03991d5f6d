"""Calendar arithmetic of the CDSi Logic Specification, on day numbers.

Days are `datetime.date` ordinals (integers), which compare and subtract cheaply. `FIRST` and `LAST`
bound what can be computed: they stand for "no lower bound" and "no upper bound".
"""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

FIRST = date(1900, 1, 1).toordinal()
LAST = date(2999, 12, 31).toordinal()
_LONGEST_YEARS = 200  # no age or interval of a schedule is longer

_TERM = re.compile(r"([+-]?)\s*(\d{1,5})\s*(year|month|week|day)s?\b\s*")
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?\Z")


class Period(NamedTuple):
    """A length of calendar time: years, then months, then days, in the order they are added."""

    years: int
    months: int
    days: int

    def __str__(self) -> str:
        """The period as schedules write it: `6 weeks - 4 days` reads `38 days` when in days."""
        terms = [(self.years, "year"), (self.months, "month"), (self.days, "day")]
        said = [f"{count} {unit}{'' if abs(count) == 1 else 's'}" for count, unit in terms if count]
        return " + ".join(said).replace("+ -", "- ") or "0 days"


def period(text: str) -> Period:
    """Read `18 months - 4 days`.

    Raises:
        ValueError: when `text` is no sum of years, months, weeks and days, or over 200 years.
    """
    years = months = days = at = 0
    stripped = text.strip()
    while at < len(stripped):
        term = _TERM.match(stripped, at)
        if term is None or (at and not term[1]):
            raise ValueError(f"{text!r} is no age or interval such as '6 weeks - 4 days'")
        count = -int(term[2]) if term[1] == "-" else int(term[2])
        if term[3] == "year":
            years += count
        elif term[3] == "month":
            months += count
        else:
            days += count * (7 if term[3] == "week" else 1)
        at = term.end()
    if not stripped:
        raise ValueError("an empty age or interval")
    if abs(years) + abs(months) // 12 + abs(days) // 365 > _LONGEST_YEARS:
        raise ValueError(f"{text!r} is longer than {_LONGEST_YEARS} years")
    return Period(years, months, days)


def _shifted(year: int, month: int, day: int, months: int) -> tuple[int, int, int]:
    """Move by whole months; a day that month lacks becomes the first of the next (CALCDT-5)."""
    count = year * 12 + month - 1 + months
    year, month = divmod(count, 12)
    month += 1
    try:
        date(year, month, day)
    except ValueError:
        return (year + 1, 1, 1) if month == 12 else (year, month + 1, 1)
    return year, month, day


@lru_cache(maxsize=1 << 17)
def add(start: int, length: Period) -> int:
    """Return the day `length` after `start`: years, months, then weeks and days.

    A result outside what can be computed is the nearest bound.
    Source: CDSi Logic Specification 4.x, 3.7, CALCDT-1 to CALCDT-6.
    """
    years, months, days = length
    if years or months:
        day = date.fromordinal(start)
        year = day.year + years + months // 12
        if not 1 < year < 2990:
            return LAST if year > 2000 else FIRST
        parts = day.year, day.month, day.day
        if years:
            parts = _shifted(*parts, years * 12)
        if months:
            parts = _shifted(*parts, months)
        start = date(*parts).toordinal()
    return min(max(start + days, FIRST), LAST)


class Unusable(NamedTuple):
    """A date that is there but cannot be computed with, and why: `partial` or `impossible`."""

    text: str
    reason: str


def read_day(text: str) -> int | Unusable:
    """Read an ISO date; a year, a year and month, or no real day is said to be unusable."""
    said = text.strip()
    try:
        if len(said) == 10:
            day = date.fromisoformat(said).toordinal()
            return day if FIRST <= day <= LAST else Unusable(said, "impossible")
    except ValueError:
        return Unusable(said, "impossible")
    partial = _PARTIAL.match(said)
    if partial and (partial[2] is None or 1 <= int(partial[2]) <= 12):
        return Unusable(said, "partial")
    return Unusable(said, "impossible")


def iso(day: int) -> str:
    """Write a day number as an ISO date."""
    return date.fromordinal(day).isoformat()
