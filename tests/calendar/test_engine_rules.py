"""The rules of the Logic Specification, each on a schedule small enough to reckon by hand."""

from datetime import date
from pathlib import Path

import pytest
from schedules import TWO_DOSES, one, series, write

from carnet.calendar.engine import Assessment, assess
from carnet.calendar.facts import Aside, Observation, Person, SetAside, Written
from carnet.calendar.groups import GroupForecast
from carnet.calendar.loading import load
from carnet.calendar.schedule import Schedule

BORN = date(2025, 1, 31)


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def ask(
    schedule: Schedule,
    *doses: str,
    as_of: str = "2026-01-01",
    cvx: str = "10",
    seen: tuple[Observation, ...] = (),
    sex: str = "F",
) -> Assessment:
    history = [Written(*dose.split("/")) if "/" in dose else Written(dose, cvx) for dose in doses]
    return assess(Person(BORN.toordinal(), sex, seen), history, schedule, day(as_of))


def only(result: Assessment) -> GroupForecast:
    (forecast,) = result.groups
    return forecast


def dates(forecast: GroupForecast) -> tuple[str, ...]:
    days = (forecast.earliest, forecast.recommended, forecast.past_due, forecast.latest)
    return tuple("" if each is None else date.fromordinal(each).isoformat() for each in days)


def verdicts(forecast: GroupForecast) -> list[tuple[str, str]]:
    return [(str(each.status), str(each.cause)) for each in forecast.doses]


def test_the_first_dose_is_forecast_by_age(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), as_of="2025-02-01"))
    # 2 months after 31 January is 31 March; 3 months after it is 1 May, for want of 31 April.
    assert dates(forecast) == ("2025-03-31", "2025-05-01", "2025-06-30", "2035-01-30")
    assert (str(forecast.status), forecast.dose_number) == ("Not Complete", 1)
    assert forecast.vaccines == ("10",)


def test_a_dose_in_the_grace_period_counts_and_the_next_goes_by_interval(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), "2025-03-27/11"))
    assert verdicts(forecast) == [("Valid", "")]
    assert dates(forecast)[:3] == ("2025-04-24", "2025-05-22", "2025-06-25")
    assert forecast.dose_number == 2


def test_a_dose_too_young_does_not_count_and_the_interval_is_kept_from_it(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), "2025-03-26"))
    assert verdicts(forecast) == [("Not Valid", "Age: Too Young")]
    assert forecast.dose_number == 1


def test_two_doses_complete_the_series_and_a_third_is_extraneous(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), "2025-04-01", "2025-04-25", "2025-08-01"))
    assert [status for status, _ in verdicts(forecast)] == ["Valid", "Valid", "Extraneous"]
    assert (str(forecast.status), dates(forecast)) == ("Complete", ("", "", "", ""))


def test_a_dose_too_soon_is_not_valid(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), "2025-04-01", "2025-04-24"))
    assert verdicts(forecast)[1] == ("Not Valid", "Interval: Too Soon")
    assert dates(forecast)[0] == "2025-05-22"


def test_an_inadvertent_vaccine_is_not_valid_and_an_unlisted_one_neither(tmp_path: Path) -> None:
    schedule = one(tmp_path, series(TWO_DOSES.replace('allowable_vaccine: {cvx: "11"}', "")))
    forecast = only(ask(schedule, "2025-04-01/12", "2025-06-01/11"))
    assert verdicts(forecast) == [
        ("Not Valid", "Inadvertent Vaccine"),
        ("Not Valid", "Not a preferable or allowable vaccine"),
    ]


def test_from_the_maximum_age_on_the_series_is_aged_out(tmp_path: Path) -> None:
    schedule = one(tmp_path)
    assert str(only(ask(schedule, as_of="2035-01-30")).status) == "Not Complete"
    forecast = only(ask(schedule, as_of="2035-01-31"))
    assert (str(forecast.status), dates(forecast)) == ("Aged Out", ("", "", "", ""))


def test_a_risk_series_is_for_those_with_its_indication_at_its_ages(tmp_path: Path) -> None:
    indication = (
        "    indication: {observation_code: {code: '007', text: a risk}, begin_age: 1 year}"
    )
    risk = series(kind="Risk", name="risk", series_group="2", default="No", more=indication)
    schedule = one(tmp_path, risk)
    seen = (Observation("007"),)
    assert ask(schedule).groups == ()
    for as_of in ("2026-01-30", "2026-01-31"):  # ahead, and as it begins
        (found,) = ask(schedule, as_of=as_of, seen=seen).groups
        assert found.series == ("risk",)
    ahead = only(ask(schedule, as_of="2025-06-01", seen=seen))
    assert dates(ahead)[:2] == ("2026-01-31", "2026-01-31")
    assert dates(found)[0] == "2025-03-31"


def test_immunity_and_contraindication_are_statuses_with_their_reason(tmp_path: Path) -> None:
    about = (
        "immunity: {clinical_history: {guideline_code: '020', guideline_title: had it}}\n"
        "contraindications: {vaccine_group: {contraindication:"
        " {observation_code: '021', observation_title: pregnant}}}"
    )
    schedule = one(tmp_path, about=about)
    immune = only(ask(schedule, seen=(Observation("020"),)))
    barred = only(ask(schedule, seen=(Observation("021"),)))
    assert str(immune.status) == "Immune"
    assert "had it" in str(immune.why[0])
    assert str(barred.status) == "Contraindicated"
    assert "pregnant" in str(barred.why[0])


def test_a_skipped_dose_is_passed_over_in_the_forecast(tmp_path: Path) -> None:
    skip = (
        "        conditional_skip: {context: Both, set_logic: n/a, set: {set_id: '1',"
        " condition: {condition_id: '1', condition_type: Age, begin_age: 6 months}}}\n"
        '      - dose_number: "2"'
    )
    schedule = one(tmp_path, series(TWO_DOSES.replace('      - dose_number: "2"', skip)))
    assert only(ask(schedule, as_of="2025-07-30")).earliest == day("2025-03-31")
    late = only(ask(schedule, as_of="2025-07-31"))
    assert (late.earliest, late.dose_number) == (BORN.toordinal(), 1)
    given = only(ask(schedule, "2025-09-01"))
    assert str(given.status) == "Complete"


def test_live_vaccines_keep_apart(tmp_path: Path) -> None:
    conflict = (
        "live_virus_conflicts: {live_virus_conflict: {previous: {cvx: '11'}, current: {cvx: '10'},"
        " conflict_begin_interval: 1 day, min_conflict_end_interval: 28 days,"
        " conflict_end_interval: 30 days}}"
    )
    free = TWO_DOSES.replace("4 weeks - 4 days", "1 day")
    schedule = one(tmp_path, series(free), common=conflict)
    forecast = only(ask(schedule, "2025-04-01/11", "2025-04-28/10"))
    assert verdicts(forecast)[1] == ("Not Valid", "Live Virus Conflict")
    assert str(only(ask(schedule, "2025-04-01/11", "2025-04-29/10")).status) == "Complete"


def test_the_completed_series_of_a_group_stands_for_it(tmp_path: Path) -> None:
    long = TWO_DOSES + TWO_DOSES.split('      - dose_number: "2"')[1].join(
        ['      - dose_number: "3"', ""]
    )
    schedule = one(tmp_path, series(long, name="three"), series(name="two", default="No"))
    forecast = only(ask(schedule, "2025-04-01", "2025-06-01"))
    assert (forecast.series, str(forecast.status)) == (("two",), "Complete")


@pytest.mark.parametrize(("full", "number"), [("Yes", 1), ("No", 2)])
def test_antigens_given_together_are_blended(tmp_path: Path, full: str, number: int) -> None:
    later = TWO_DOSES.replace("3 months", "4 months").replace("2 months", "12 weeks")
    bodies = {
        "Alpha": series(antigen="Alpha", group="Both"),
        "Beta": series(later, antigen="Beta", group="Both"),
    }
    folder = write(tmp_path, bodies, groups={"Both": ("Alpha", "Beta")}, full=full)
    schedule = load(folder)
    fresh = only(ask(schedule, as_of="2025-02-01"))
    # The last earliest date, and the first recommended one.
    assert dates(fresh)[:2] == ("2025-04-25", "2025-05-01")
    one_valid = only(ask(schedule, "2025-04-10"))
    assert one_valid.dose_number == number


def test_what_cannot_be_computed_with_is_set_aside_and_said(tmp_path: Path) -> None:
    schedule = one(tmp_path)
    odd = ("2025-04", "2025", "", "2025-02-30", "2024-12-31", "2026-02-01", "2025-04-01/999")
    result = ask(schedule, *odd, "2025-04-01")
    reasons = (
        Aside.PARTIAL,
        Aside.PARTIAL,
        Aside.UNDATED,
        Aside.IMPOSSIBLE,
        Aside.BEFORE_BIRTH,
        Aside.FUTURE,
        Aside.UNKNOWN_VACCINE,
    )
    assert result.aside == tuple(SetAside(n, reason) for n, reason in enumerate(reasons))
    assert dates(only(result)) == dates(only(ask(schedule, "2025-04-01")))
    assert [each.administration.place for each in only(result).doses] == [7]


def test_every_reason_names_the_rule_and_the_line_of_the_schedule(tmp_path: Path) -> None:
    forecast = only(ask(one(tmp_path), "2025-04-01"))
    said = [str(why) for why in forecast.why + forecast.doses[0].why]
    assert all("alpha.yaml:" in each for each in said)
    assert any("minimum interval 28 days after 2025-04-01" in each for each in said)
