"""The table of French cases can be read: columns, dates, and the words of the schedule's files."""

import csv
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

FRENCH = Path(__file__).parents[2] / "app/carnet/calendar/schedules/fr"
COLUMNS = [
    "id",
    "rule",
    "title",
    "sex",
    "born",
    "facts",
    "history",
    "as_of",
    "status",
    "earliest",
    "due",
    "overdue",
    "latest",
]
STATUSES = {"NOT_COMPLETE", "COMPLETE", "AGED_OUT", "SUSPENDED", "NONE"}
SHORT_FOR_SEVERAL = {"HEXA", "PENTA", "DTCAPIPV"}
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def loaded(name: str) -> dict[str, Any]:
    """What one file of the schedule says."""
    read: dict[str, Any] = yaml.safe_load((FRENCH / name).read_text(encoding="utf-8"))
    return read


WORDS = loaded("schedule.yaml")
RULES = {
    rule["id"]: rule
    for path in sorted(FRENCH.glob("*.yaml"))
    if path.name != "schedule.yaml"
    for rule in loaded(path.name)["rule"]
}
ACTS = {act["code"] for act in WORDS["act"]} | SHORT_FOR_SEVERAL
FACTS = {fact["code"] for fact in WORDS["fact"]}
SEASONS = {(season["name"], str(season["label"])) for season in WORDS["season"]}
with (FRENCH / "cases.csv").open(encoding="utf-8", newline="") as table:
    HEADER, *LINES = list(csv.reader(table))
CASES = [dict(zip(COLUMNS, line, strict=True)) for line in LINES]


def entries(said: str) -> list[str]:
    """The entries of a cell, which semicolons part."""
    return said.split("; ") if said else []


def day(said: str) -> date:
    """A whole date; ValueError when there is no such day."""
    assert DAY.fullmatch(said), said
    return date.fromisoformat(said)


def test_the_table_is_long_enough_and_numbered() -> None:
    assert HEADER == COLUMNS
    assert len(CASES) >= 150
    assert [case["id"] for case in CASES] == [f"FR-{n:03}" for n in range(1, len(CASES) + 1)]


def test_no_case_is_written_twice() -> None:
    asked = Counter(tuple(c[k] for k in COLUMNS[1:8] if k != "title") for c in CASES)
    assert [question for question, times in asked.items() if times > 1] == []


def test_every_rule_has_two_cases_or_more() -> None:
    times = Counter(case["rule"].partition("/")[0] for case in CASES)
    assert set(times) == set(RULES)
    assert [rule for rule, n in times.items() if n < 2] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case_says_who_and_when(case: dict[str, str]) -> None:
    assert case["sex"] in {"F", "M"}
    assert case["title"] and not case["title"].endswith(".")
    assert day(case["born"]) <= day(case["as_of"])
    for entry in entries(case["facts"]):
        code, _, since = entry.partition("@")
        first, parted, last = since.partition("..")
        assert code == "PREGNANCY" or (code in FACTS and not parted)
        assert code != "PREGNANCY" or first
        if first:
            day(first)
        if parted:
            assert day(first) < day(last)
    for entry in entries(case["history"]):
        code, marked, done = entry.partition("@")
        assert code in ACTS
        assert marked
        assert re.fullmatch(r"|\d{4}|\d{4}-\d\d|\d{4}-\d\d-\d\d", done)
        if DAY.fullmatch(done):
            assert day(done) >= day(case["born"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case_names_an_occurrence_that_the_rule_has(case: dict[str, str]) -> None:
    name, _, occurrence = case["rule"].partition("/")
    rule = RULES[name]
    if "each" in rule:
        first, last, step = (int(rule["each"][k].split()[0]) for k in ("from", "to", "every"))
        assert int(occurrence) in range(first, last, step)
    elif "season" in rule:
        assert (rule["season"], occurrence) in SEASONS
    else:
        assert occurrence == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_four_dates_are_in_order_and_go_with_the_status(case: dict[str, str]) -> None:
    assert case["status"] in STATUSES
    if case["status"] != "NOT_COMPLETE":
        assert [case[k] for k in COLUMNS[9:]] == [""] * 4
        return
    earliest, due = day(case["earliest"]), day(case["due"])
    assert day(case["born"]) <= earliest <= due
    if case["overdue"]:
        assert earliest <= day(case["overdue"])
    if case["latest"]:
        assert due <= day(case["latest"])
        assert day(case["as_of"]) <= day(case["latest"])
