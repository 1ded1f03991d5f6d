"""Hold the engine against public test cases in the CDC's columns, and say every mismatch.

Read are tables of CDSi test cases saved as CSV: those of healthy children and adults, and those
with underlying conditions. A case agrees when the series status, the status of every dose and the
earliest, recommended and past-due dates are the expected ones. The logic lives in `engine`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from carnet.calendar.dates import Unusable, iso, read_day
from carnet.calendar.engine import Assessment, assess
from carnet.calendar.facts import Observation, Person, Written
from carnet.calendar.groups import GroupForecast
from carnet.calendar.schedule import Schedule

MOST_DOSES = 7  # that the columns have room for
MOST_OBSERVATIONS = 3
_GROUPS = {
    "DTAP": "DTaP/Tdap/Td",
    "POL": "Polio",
    "IPOL": "Polio",
    "PCV": "Pneumococcal",
    "VAR": "Varicella",
    "MCV": "Meningococcal",
    "ROTA": "Rotavirus",
    "MENB": "Meningococcal B",
    "FLU": "Influenza",
}
"""Vaccine groups that the cases name otherwise than the supporting data does."""

CHECKS = ("status", "doses", "earliest", "recommended", "past due")


class BadCase(ValueError):
    """A case cannot be read; the message says the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: the facts, and what is expected of them. A check that is absent expects none."""

    id: str
    title: str
    group: str
    as_of: int
    person: Person
    history: tuple[Written, ...]
    expected: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One check of a case that does not agree."""

    check: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case, what does not agree, and the engine's reasons."""

    case: Case
    mismatches: tuple[Mismatch, ...]
    why: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """How many cases of a vaccine group agree, in full and in each check."""

    cases: int = 0
    agreeing: int = 0
    checks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))

    def add(self, outcome: Outcome) -> None:
        """Count a case."""
        self.cases += 1
        self.agreeing += not outcome.mismatches
        missed = {each.check for each in outcome.mismatches}
        for check in CHECKS:
            self.checks[check] += check not in missed


def read_cases(file: TextIO, schedule: Schedule) -> Iterator[Case]:
    """Read cases from a table.

    Raises:
        BadCase: when a line lacks a column or holds what is no date or vaccine group.
    """
    names = {each.name.casefold(): each.name for each in schedule.groups}
    reader = csv.DictReader(file, restval="")
    for row in reader:
        try:
            yield _case(row, names)
        except (KeyError, ValueError) as error:
            raise BadCase(f"line {reader.line_num}: {error}") from error


def run(cases: Iterable[Case], schedule: Schedule) -> Iterator[Outcome]:
    """Assess every case and compare."""
    for case in cases:
        yield _compared(case, assess(case.person, case.history, schedule, case.as_of))


def tallies(outcomes: Iterable[Outcome]) -> dict[str, Tally]:
    """Count outcomes by vaccine group."""
    found: dict[str, Tally] = {}
    for outcome in outcomes:
        found.setdefault(outcome.case.group, Tally()).add(outcome)
    return dict(sorted(found.items()))


def _day(said: str) -> int:
    found = read_day(said)
    if isinstance(found, Unusable):
        raise ValueError(f"{found.reason} date {found.text!r}")
    return found


def _case(row: Mapping[str, str], names: Mapping[str, str]) -> Case:
    said = row["Vaccine_Group"].strip()
    group = names.get(_GROUPS.get(said.upper(), said).casefold())
    if group is None:
        raise ValueError(f"vaccine group {said!r} is not in the schedule")
    observations = tuple(
        Observation(code, _day(when) if (when := row[f"Observation_Date_{n}"].strip()) else None)
        for n in range(1, MOST_OBSERVATIONS + 1)
        if (code := row.get(f"Observation_Code_{n}", "").strip())
    )
    history, verdicts = _history(row)
    sex = (row.get("gender") or row.get("Gender") or "").strip()
    expected = {
        "status": row["Series_Status"].strip().casefold(),
        "doses": ", ".join(verdicts),
        "earliest": row["Earliest_Date"].strip(),
        "recommended": row["Recommended_Date"].strip(),
        "past due": row["Past_Due_Date"].strip(),
    }
    return Case(
        id=row["CDC_Test_ID"].strip(),
        title=row["Test_Case_Name"].strip(),
        group=group,
        as_of=_day(row["Assessment_Date"]),
        person=Person(_day(row["DOB"]), sex if sex in ("F", "M") else "U", observations),
        history=tuple(history),
        expected=expected,
    )


def _history(row: Mapping[str, str]) -> tuple[list[Written], list[str]]:
    history = []
    verdicts = []
    for n in range(1, MOST_DOSES + 1):
        given_on = row[f"Date_Administered_{n}"].strip()
        if given_on:
            name, mvx = row[f"Vaccine_Name_{n}"].strip(), row[f"MVX_{n}"].strip()
            history.append(Written(given_on, row[f"CVX_{n}"].strip(), mvx, name))
            verdicts.append(row[f"Evaluation_Status_{n}"].strip().casefold())
    return history, verdicts


def _compared(case: Case, result: Assessment) -> Outcome:
    """Compare with the forecast that the case is about.

    A person with an indication may have two of a vaccine group, that of risk series and that of
    standard ones, which are not blended (chapter 9); a case is about one, and does not say which.
    """
    forecasts = [each for each in result.groups if each.group == case.group]
    if not forecasts:
        none = Mismatch("status", case.expected["status"], "no series concerns the person")
        return Outcome(case, (none,), ())
    others = [each for each in result.groups if each.group != case.group]
    mismatches = min((_missed(case, each, others) for each in forecasts), key=len)
    return Outcome(case, mismatches, _why(forecasts) if mismatches else ())


def _missed(
    case: Case, forecast: GroupForecast, others: Sequence[GroupForecast]
) -> tuple[Mismatch, ...]:
    found = _found(case, forecast, others)
    return tuple(
        Mismatch(check, case.expected[check], found[check])
        for check in CHECKS
        if case.expected[check] != found[check]
    )


def _found(case: Case, forecast: GroupForecast, others: Sequence[GroupForecast]) -> dict[str, str]:
    """Write what was found as cases do; a dose for another vaccine group is judged by that one."""
    verdicts = {
        each.administration.place: each.status
        for group in (*others, forecast)
        for each in group.doses
    }
    doses = [
        verdicts[place].casefold() if place in verdicts else "not evaluated"
        for place in range(len(case.history))
    ]
    days = (forecast.earliest, forecast.recommended, forecast.past_due)
    said = ["" if day is None else iso(day) for day in days]
    values = (forecast.status.casefold(), ", ".join(doses), *said)
    return dict(zip(CHECKS, values, strict=True))


def _why(forecasts: Sequence[GroupForecast]) -> tuple[str, ...]:
    lines = []
    for each in forecasts:
        lines.append(f"{each.type}: {each.status}, by {'; '.join(each.series)}")
        lines.extend(f"  {why}" for why in each.why)
        for dose in each.doses:
            lines.append(f"  dose of {iso(dose.administration.given_on)}: {dose.status}")
            lines.extend(f"    {why}" for why in dose.why)
    return tuple(lines)
