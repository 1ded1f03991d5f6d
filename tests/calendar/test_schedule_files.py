"""Dates are reckoned as the Logic Specification says, and a broken file refuses the schedule."""

from datetime import date
from pathlib import Path

import pytest
from schedules import one, series, write

from carnet.calendar.dates import FIRST, LAST, Unusable, add, iso, period, read_day
from carnet.calendar.loading import load
from carnet.calendar.tree import BrokenSchedule


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        ("2025-01-31", "1 month", "2025-03-01"),
        ("2024-02-29", "1 year", "2025-03-01"),
        ("2024-02-29", "4 years", "2028-02-29"),
        ("2025-11-30", "3 months", "2026-03-01"),
        ("2025-12-31", "2 months", "2026-03-01"),
        ("2025-01-10", "6 weeks - 4 days", "2025-02-17"),
        ("2025-01-10", "18 months - 4 days", "2026-07-06"),
        ("2025-01-10", "0 days", "2025-01-10"),
    ],
)
def test_periods_are_added_by_the_calendar(start: str, length: str, end: str) -> None:
    assert iso(add(date.fromisoformat(start).toordinal(), period(length))) == end


def test_what_is_out_of_reach_is_the_bound() -> None:
    assert add(LAST, period("200 years")) == LAST
    assert add(FIRST, period("1 day - 200 years")) == FIRST


@pytest.mark.parametrize(
    "said", ["", "soon", "6", "6 weeks 4 days", "201 years", "- ", "1.5 years"]
)
def test_what_is_no_period_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match=r"age or interval|longer than"):
        period(said)


@pytest.mark.parametrize(
    ("said", "reason"),
    [("2025", "partial"), ("2025-06", "partial"), ("2025-13", "impossible"), ("", "impossible")],
)
def test_a_date_that_cannot_be_used_says_why(said: str, reason: str) -> None:
    assert read_day(said) == Unusable(said, reason)


@pytest.mark.parametrize(
    ("was", "is_", "said"),
    [
        ("min_age: 2 months", "min_age: soon", "no age or interval"),
        ('dose_number: "2"', 'dose_number: "3"', "dose_number"),
        ("latest_rec_age", "last_age", "age has no last_age"),
        ("from_previous", "from_nothing", "interval has no from_nothing"),
        ('from_previous: "Y"', 'from_target_dose: "2"', "is not before dose 2"),
        ("series_type: Standard", "series_type: Usual", "series_type: 'Usual' is none of"),
        ("series_type: Standard", "series_type: Risk", "a risk series needs an indication"),
        ("vaccine_group: Alpha", "vaccine_group: Omega", "'Omega' does not map to 'Alpha'"),
        ("kind: antigen", "kind: other", "neither schedule nor antigen"),
        ("series:", "series: &a", "is neither the CDC's supporting data nor format"),
    ],
)
def test_a_broken_rule_refuses_the_whole_schedule(
    tmp_path: Path, was: str, is_: str, said: str
) -> None:
    path = write(tmp_path, {"Alpha": series()}) / "alpha.yaml"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, is_, 1) if "&" not in is_ else "a: 1\n")
    with pytest.raises(BrokenSchedule, match=said) as refused:
        load(tmp_path)
    assert refused.value.file == "alpha.yaml"
    assert str(refused.value).startswith(f"alpha.yaml:{refused.value.line}: ")


def test_a_file_that_pulls_in_others_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"Alpha": series()})
    (folder / "beta.xml").write_text(
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'
    )
    with pytest.raises(BrokenSchedule, match=r"beta\.xml:1: "):
        load(folder)
    (folder / "beta.xml").unlink()
    (folder / "beta.yaml").write_text("a: &x 1\nb: *x\n")
    with pytest.raises(BrokenSchedule, match="has an alias"):
        load(folder)


def test_a_sound_schedule_knows_where_its_rules_are_written(tmp_path: Path) -> None:
    (found,) = one(tmp_path).antigens["Alpha"].series
    assert (found.place.file, found.place.source) == ("alpha.yaml", "our own")
    lines = (tmp_path / "alpha.yaml").read_text().splitlines()
    assert "series_name: two doses" in lines[found.place.line - 1]
    assert 'dose_number: "2"' in lines[found.doses[1].place.line - 1]
