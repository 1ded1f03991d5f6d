"""Recurrence rules: the days of a general expander, at a cost that does not depend on the rule."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.prevention.recurrence import Budget, Rule, Unusable

FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def numbers(most: int) -> st.SearchStrategy[list[int]]:
    either = st.integers(1, most) | st.integers(-most, -1)
    return st.lists(either, min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    freq = draw(st.sampled_from(FREQUENCIES))
    parts: dict[str, Any] = {"FREQ": [freq], "INTERVAL": [draw(st.integers(1, 5))]}
    ordinals = freq in ("YEARLY", "MONTHLY")
    has_weeks = freq == "YEARLY" and draw(st.integers(0, 5)) == 0
    if has_weeks:
        parts["BYWEEKNO"] = draw(numbers(53))
    else:
        parts["WKST"] = [draw(st.sampled_from(DAYS))]
    if draw(st.booleans()):
        parts["BYMONTH"] = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        # All with a number or none: the expander wants both of a mixture to hold, RFC 5545 either.
        is_numbered = ordinals and not has_weeks and draw(st.booleans())
        number = st.sampled_from(["1", "2", "-1", "5"] if is_numbered else [""])
        each = st.tuples(number, st.sampled_from(DAYS)).map("".join)
        parts["BYDAY"] = draw(st.lists(each, min_size=1, max_size=3, unique=True))
    if freq != "WEEKLY" and draw(st.integers(0, 2)) == 0:
        parts["BYMONTHDAY"] = draw(numbers(31))
    if freq == "YEARLY" and draw(st.integers(0, 3)) == 0:
        parts["BYYEARDAY"] = draw(numbers(366))
    if len(parts) > 3 and draw(st.integers(0, 3)) == 0:
        parts["BYSETPOS"] = draw(numbers(5))
    if draw(st.integers(0, 2)) == 0:
        parts["COUNT"] = [draw(st.integers(1, 40))]
    return parts


@settings(max_examples=300, deadline=None)
@given(parts=rules(), start=st.dates(date(1990, 1, 1), date(2024, 1, 1)), on=st.integers(0, 4000))
def test_the_days_are_those_of_a_general_expander(
    parts: dict[str, Any], start: date, on: int
) -> None:
    first = start + timedelta(on)
    last = first + timedelta(800)
    text = ";".join(f"{name}={','.join(map(str, values))}" for name, values in parts.items())
    known = rrule.rrulestr(text, dtstart=datetime.combine(start, datetime.min.time()))
    wanted: list[date] = []
    # For a rule that does not hold it looks until the last year that there is.
    with patch.object(rrule.datetime, "MAXYEAR", last.year):
        for at in known.xafter(datetime.combine(first, datetime.min.time()), inc=True):
            if at.date() > last:
                break
            wanted.append(at.date())
    assert list(Rule.of(parts).days(start, first, last, Budget(100_000))) == wanted


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"FREQ": ["SECONDLY"]},
        {"FREQ": ["MINUTELY"]},
        {"FREQ": ["HOURLY"]},
        {"FREQ": ["DAILY", "WEEKLY"]},
        {"FREQ": ["DAILY"], "INTERVAL": [0]},
        {"FREQ": ["DAILY"], "INTERVAL": [-1]},
        {"FREQ": ["DAILY"], "INTERVAL": [10**9]},
        {"FREQ": ["DAILY"], "INTERVAL": ["1" * 5000]},
        {"FREQ": ["DAILY"], "COUNT": [0]},
        {"FREQ": ["DAILY"], "COUNT": [10**9]},
        {"FREQ": ["DAILY"], "COUNT": [3], "UNTIL": ["20260101"]},
        {"FREQ": ["DAILY"], "BYHOUR": [1, 2]},
        {"FREQ": ["DAILY"], "BYEASTER": [1]},
        {"FREQ": ["DAILY"], "BYDAY": ["1MO"]},
        {"FREQ": ["DAILY"], "BYDAY": ["XX"]},
        {"FREQ": ["DAILY"], "BYDAY": []},
        {"FREQ": ["DAILY"], "BYYEARDAY": [1]},
        {"FREQ": ["MONTHLY"], "BYWEEKNO": [1]},
        {"FREQ": ["YEARLY"], "BYWEEKNO": [1], "WKST": ["SU"]},
        {"FREQ": ["YEARLY"], "BYMONTH": [13]},
        {"FREQ": ["YEARLY"], "BYMONTHDAY": [0]},
        {"FREQ": ["YEARLY"], "BYSETPOS": [1] * 401},
        {"FREQ": ["YEARLY"], "RSCALE": ["HEBREW"]},
    ],
)
def test_what_is_no_rule_of_whole_days_is_refused(parts: dict[str, list[object]]) -> None:
    with pytest.raises(Unusable):
        Rule.of(parts)


def test_a_rule_that_never_holds_costs_what_one_that_holds_costs() -> None:
    never = Rule.of({"FREQ": ["DAILY"], "BYMONTH": [2], "BYMONTHDAY": [30]})
    span = date(2025, 12, 15), date(2028, 1, 17)
    for start in (date(1, 1, 1), date(2026, 1, 1)):
        budget = Budget(2_000)
        assert list(never.days(start, *span, budget)) == []
        assert budget.left > 0
    ever = Rule.of({"FREQ": ["DAILY"], "COUNT": [100_000]})
    with pytest.raises(Unusable):
        list(ever.days(date(1, 1, 1), *span, Budget(50_000)))


def test_the_ends_of_time_are_no_fault() -> None:
    weekly = Rule.of({"FREQ": ["WEEKLY"]})
    assert list(weekly.days(date.max, date(9999, 1, 1), date.max, Budget(100))) == [date.max]
    assert list(weekly.days(date.min, date.min, date(1, 1, 9), Budget(100))) == [
        date(1, 1, 1),
        date(1, 1, 8),
    ]
    yearly = Rule.of({"FREQ": ["YEARLY"], "INTERVAL": [1000]})
    assert list(yearly.days(date(9999, 12, 31), date.min, date.max, Budget(1000))) == [date.max]
