"""Small counts: nobody can tell a suppressed one from what is shown."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.statistics.rules import SMALLEST_SHOWN, Share, months, shares, shown, suppress
from carnet.values import PartialDate

NOW = datetime(2026, 11, 23, tzinfo=UTC)
COUNTS = st.dictionaries(st.integers(0, 20), st.integers(0, 40), max_size=15)


@pytest.mark.parametrize("cells", [1, 2, 3, 4])
def test_every_suppressed_cell_could_have_another_value_in_a_world_that_looks_the_same(cells):
    worlds = defaultdict(list)
    for world in product(range(8), repeat=cells):  # all worlds, with 3 as the smallest shown
        found = suppress(dict(enumerate(world)), smallest=3)
        worlds[tuple(found.cells.values()), found.total].append(world)
    assert len(worlds) > cells
    for (cells_shown, _), alike in worlds.items():
        for place, value in enumerate(cells_shown):
            possible = {world[place] for world in alike}
            assert (len(possible) > 1) if value is None else possible == {value}


@given(COUNTS)
def test_small_counts_are_never_shown_and_what_is_shown_is_true(counts):
    found = suppress(counts)
    assert found.cells.keys() == counts.keys()
    for key, value in found.cells.items():
        assert value in (None, counts[key])
        assert value is None or value >= SMALLEST_SHOWN
    assert found.total in (None, sum(counts.values()))


@given(COUNTS)
def test_the_hidden_part_of_a_shown_total_is_itself_no_small_count(counts):
    found = suppress(counts)
    hidden = [counts[key] for key, value in found.cells.items() if value is None]
    if found.total is not None and hidden:
        assert len(hidden) > 1
        assert sum(hidden) >= SMALLEST_SHOWN
        assert len(set(hidden)) > 1


@given(COUNTS, st.randoms(use_true_random=False))
def test_exchanging_hidden_counts_changes_nothing_that_is_shown(counts, random):
    found = suppress(counts)
    hidden = [key for key, value in found.cells.items() if value is None]
    values = [counts[key] for key in hidden]
    random.shuffle(values)
    assert suppress({**counts, **dict(zip(hidden, values, strict=True))}) == found


@given(st.dictionaries(st.integers(0, 9), st.integers(11, 40), max_size=10))
def test_large_counts_are_all_shown(counts):
    found = suppress(counts)
    assert found.cells == counts
    assert found.total == sum(counts.values())


def test_a_single_small_cell_takes_the_smallest_shown_one_with_it():
    found = suppress({"OPEN": 500, "ACTIVATED": 40, "CLOSED": 3})
    assert found.cells == {"OPEN": 500, "ACTIVATED": None, "CLOSED": None}
    assert found.total == 543


def test_where_nothing_can_be_shown_the_total_is_not_either():
    assert suppress({"OPEN": 5}).total is None
    assert suppress({"OPEN": 0, "CLOSED": 0}).total is None


def test_a_share_is_shown_with_its_count_only_and_never_above_one():
    assert shares({"10": 40, "21": 12, "": 11}, {"10": 10, "21": 13, "": 11}) == [
        Share(None, 11, 11),
        Share("10", 40, None),
        Share("21", 12, 13),
    ]
    assert Share("10", 40, None).ratio is None
    assert Share("21", 12, 13).ratio == 1
    assert Share("60", 80, 20).ratio == 0.25
    assert (shown(10), shown(11)) == (None, 11)


def test_months_run_from_the_first_to_the_last_and_by_default_over_a_year():
    assert months(NOW, PartialDate("2025-11"), PartialDate("2026-02")) == (
        "2025-11",
        "2025-12",
        "2026-01",
        "2026-02",
    )
    default = months(NOW)
    assert (len(default), default[0], default[-1]) == (12, "2025-12", "2026-11")
    assert months(NOW, last=PartialDate("0001-02")) == ("0001-01", "0001-02")
    assert len(months(NOW, PartialDate("2020-01"), PartialDate("2024-12"))) == 60


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026", "2026-03"), ("2026-01-01", None), ("2026-03", "2026-02"), ("2020-01", "2025-01")],
)
def test_what_is_no_span_of_months_is_refused(first, last):
    with pytest.raises(ValidationFailed):
        months(NOW, PartialDate(first), PartialDate(last) if last else None)
