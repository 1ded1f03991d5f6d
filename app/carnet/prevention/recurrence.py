"""The days of a recurrence rule (RFC 5545, 3.3.10) in a span, at a cost that is bounded beforehand.

Rules of whole days only: what repeats within a day is refused. A rule that never holds (the 30th
of February) costs as much as one that does, where a general expander looks on to the year 9999.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

MOST_NUMBERS = 400  # in one list of a rule; a year has 366 days
MOST_INTERVAL = 1_000
MOST_COUNT = 100_000
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WITHIN_A_DAY = ("SECONDLY", "MINUTELY", "HOURLY")
_BY = ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS")
_KNOWN = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", *_BY))


class Unusable(ValueError):
    """It is no rule of whole days, or one that costs too much."""


class TooOften(Unusable):
    """It repeats within a day."""


class Budget:
    """How many days a file may make us look at."""

    def __init__(self, days: int) -> None:
        self.left = days

    def spend(self, days: int) -> None:
        """Take some.

        Raises:
            Unusable: there are none left.
        """
        self.left -= days
        if self.left < 0:
            raise Unusable


class Often(StrEnum):
    """What a rule steps by."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. Empty lists say nothing; ``weekdays`` are (ordinal, weekday), 0 is every one."""

    often: Often
    interval: int
    count: int | None
    week_start: int
    months: frozenset[int]
    month_days: frozenset[int]
    year_days: frozenset[int]
    weeks: frozenset[int]
    weekdays: frozenset[tuple[int, int]]
    places: frozenset[int]

    @classmethod
    def of(cls, parts: Mapping[str, Sequence[object]]) -> Rule:
        """Read a rule's parts; its end (UNTIL) is for the caller, who knows the time of day.

        Raises:
            Unusable: it is none of whole days.
        """
        if not set(parts) <= _KNOWN:
            raise Unusable
        frequency = _one(parts, "FREQ", "").upper()
        if frequency in _WITHIN_A_DAY:
            raise TooOften
        try:
            often = Often(frequency)
            week_start = _DAYS.index(_one(parts, "WKST", "MO").upper())
            weekdays = frozenset(map(_weekday, _texts(parts, "BYDAY")))
        except ValueError:
            raise Unusable from None
        count = _within(_one(parts, "COUNT", "0"), 0, MOST_COUNT)
        rule = cls(
            often,
            _within(_one(parts, "INTERVAL", "1"), 1, MOST_INTERVAL),
            count or None,
            week_start,
            _numbers(parts, "BYMONTH", 1, 12),
            _numbers(parts, "BYMONTHDAY", -31, 31),
            _numbers(parts, "BYYEARDAY", -366, 366),
            _numbers(parts, "BYWEEKNO", -53, 53),
            weekdays,
            _numbers(parts, "BYSETPOS", -366, 366),
        )
        ordinal = any(number for number, _ in weekdays)
        if (
            (rule.weeks and (often is not Often.YEARLY or week_start or ordinal))
            or (ordinal and often not in (Often.MONTHLY, Often.YEARLY))
            or (rule.year_days and often is not Often.YEARLY)
            or ("COUNT" in parts and (not count or "UNTIL" in parts))
        ):
            raise Unusable
        return rule

    def days(self, start: date, first: date, last: date, budget: Budget) -> Iterator[date]:
        """Yield the days from ``first`` to ``last`` on which the rule holds, in order.

        Args:
            start: of the series; no day is before it.
            first: the first day that is asked for.
            last: the last one.
            budget: pays for what is looked at.

        Raises:
            Unusable: the budget is spent.
        """
        told = 0
        rule = self._with_defaults(start)
        for period in rule._periods(start, start if self.count else first, last):
            budget.spend(1 + len(period))
            found = [day for day in period if rule._holds(day)]
            if rule.places:
                at = {place - 1 if place > 0 else len(found) + place for place in rule.places}
                found = [day for index, day in enumerate(found) if index in at]
            for day in found:
                if day > last:
                    return
                if day < start:
                    continue
                told += 1
                if day >= first:
                    yield day
                if told == self.count:
                    return

    def _with_defaults(self, start: date) -> Rule:
        """Return the rule with what its start says where it says nothing itself."""
        if self.weeks or self.year_days or self.month_days or self.weekdays:
            return self
        months, days, weekdays = self.months, self.month_days, self.weekdays
        match self.often:
            case Often.YEARLY:
                months, days = months or frozenset({start.month}), frozenset({start.day})
            case Often.MONTHLY:
                days = frozenset({start.day})
            case Often.WEEKLY:
                weekdays = frozenset({(0, start.weekday())})
        return Rule(
            self.often, self.interval, self.count, self.week_start, months, days, self.year_days,
            self.weeks, weekdays, self.places,
        )  # fmt: skip

    def _periods(self, start: date, first: date, last: date) -> Iterator[Sequence[date]]:
        """Yield the days of each period that the rule steps to, about ``first`` to ``last``."""
        first, step = max(first, start), self.interval
        match self.often:
            case Often.DAILY:
                at = (first - start).days // step * step
                while at <= (last - start).days:
                    yield (start + timedelta(at),)
                    at += step
            case Often.WEEKLY:
                begin = start.toordinal() - (start.weekday() - self.week_start) % 7
                at = begin + (first.toordinal() - begin) // (7 * step) * 7 * step
                while at <= last.toordinal():
                    yield _span(at, at + 6)
                    at += 7 * step
            case Often.MONTHLY:
                zero = start.year * 12 + start.month - 1
                at = zero + (first.year * 12 + first.month - 1 - zero) // step * step
                while at <= last.year * 12 + last.month - 1:
                    yield _month(at // 12, at % 12 + 1)
                    at += step
            case Often.YEARLY:
                at = start.year + (first.year - start.year) // step * step
                while at <= last.year:
                    yield self._year(at)
                    at += step

    def _year(self, year: int) -> Sequence[date]:
        if not self.months:
            return _span(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal())
        return [day for month in sorted(self.months) for day in _month(year, month)]

    def _holds(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if self.weekdays and not self._is_weekday(day):
            return False
        if self.month_days:
            length = calendar.monthrange(day.year, day.month)[1]
            if not self.month_days & {day.day, day.day - length - 1}:
                return False
        if self.year_days:
            number, length = day.timetuple().tm_yday, 365 + calendar.isleap(day.year)
            if not self.year_days & {number, number - length - 1}:
                return False
        if self.weeks:
            year, week, _ = day.isocalendar()
            if not self.weeks & {week, week - date(year, 12, 28).isocalendar().week - 1}:
                return False
        return True

    def _is_weekday(self, day: date) -> bool:
        weekday = day.weekday()
        if (0, weekday) in self.weekdays:
            return True
        if self.often is Often.MONTHLY or self.months:
            at, length = day.day, calendar.monthrange(day.year, day.month)[1]
        else:
            at, length = day.timetuple().tm_yday, 365 + calendar.isleap(day.year)
        numbers = ((at - 1) // 7 + 1, -((length - at) // 7 + 1))
        return any((number, weekday) in self.weekdays for number in numbers)


def _span(first: int, last: int) -> Sequence[date]:
    last = min(last, date.max.toordinal())
    return [date.fromordinal(number) for number in range(max(first, 1), last + 1)]


def _month(year: int, month: int) -> Sequence[date]:
    length = calendar.monthrange(year, month)[1]
    return [date(year, month, number) for number in range(1, length + 1)]


def _texts(parts: Mapping[str, Sequence[object]], name: str) -> list[str]:
    found = parts.get(name, ())
    values: Iterable[object] = found if isinstance(found, list | tuple) else (found,)
    texts = [str(value).strip() for value in values]
    if len(texts) > MOST_NUMBERS or (name in parts and not texts):
        raise Unusable
    return texts


def _one(parts: Mapping[str, Sequence[object]], name: str, default: str) -> str:
    texts = _texts(parts, name) or [default]
    if len(texts) != 1:
        raise Unusable
    return texts[0]


def _within(text: str, least: int, most: int) -> int:
    if len(text) > 7:
        raise Unusable
    try:
        number = int(text)
    except ValueError:
        raise Unusable from None
    if not least <= number <= most:
        raise Unusable
    return number


def _numbers(
    parts: Mapping[str, Sequence[object]], name: str, least: int, most: int
) -> frozenset[int]:
    found = frozenset(_within(text, least, most) for text in _texts(parts, name))
    if 0 in found:
        raise Unusable
    return found


def _weekday(text: str) -> tuple[int, int]:
    number, name = text[:-2], text[-2:].upper()
    return _within(number, -53, 53) if number else 0, _DAYS.index(name)
