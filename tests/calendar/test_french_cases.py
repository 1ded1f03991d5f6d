"""The French schedule agrees with every case that was written for it."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest

from carnet.calendar.cases import COLUMNS, BadCase, read_cases, run
from carnet.calendar.items import Calendar
from carnet.calendar.rule_files import SHIPPED, load_rules

FOLDER = SHIPPED / "fr"
CALENDAR = Calendar(load_rules(FOLDER))


def test_all_agree() -> None:
    with (FOLDER / "cases.csv").open(encoding="utf-8", newline="") as file:
        outcomes = list(run(read_cases(file), CALENDAR))
    assert len(outcomes) >= 300
    wrong = {o.case.id: o.differences for o in outcomes if o.differences}
    assert not wrong
    asked = Counter(o.case.rule.split("/")[0] for o in outcomes)
    assert asked.keys() == CALENDAR.book.rules.keys()
    assert min(asked.values()) >= 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("X,VAC_ZONA,t,F,1960-02-30,,,2025-01-01,NONE,,,,", "line 2: '1960-02-30' is no date"),
        ("X,VAC_ZONA,t,F,1960-02-20,a b,,2025-01-01,NONE,,,,", "line 2: 'a b' is no code"),
    ],
)
def test_a_case_that_cannot_be_read_is_named(line: str, said: str) -> None:
    with pytest.raises(BadCase, match=said):
        list(read_cases(StringIO(f"{','.join(COLUMNS)}\n{line}\n")))


def test_another_table_is_refused() -> None:
    with pytest.raises(BadCase, match="the columns are id,rule"):
        list(read_cases(StringIO("id,rule\n1,2\n")))


def test_a_difference_is_told_with_its_why() -> None:
    line = "X,VAC_ZONA,t,F,1960-02-20,,,2025-06-01,NOT_COMPLETE,2025-02-21,2025-02-20,2026-02-20,"
    (outcome,) = run(read_cases(StringIO(f"{','.join(COLUMNS)}\n{line}\n")), CALENDAR)
    assert outcome.differences == (("earliest", "2025-02-21", "2025-02-20"),)
    assert outcome.why[0].startswith("minimum age 65 years [7.5; vaccines-adults.yaml:")
