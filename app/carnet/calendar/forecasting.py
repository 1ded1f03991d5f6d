"""Forecast the next dose of one series: status, four dates and why (CDSi chapter 7)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from carnet.calendar.course import Cause, Course, age_rule, reference
from carnet.calendar.dates import LAST, Period, add
from carnet.calendar.facts import Person
from carnet.calendar.schedule import (
    Antigen,
    Conflict,
    Contraindication,
    Dose,
    Vaccine,
    Validity,
)
from carnet.calendar.skips import skips
from carnet.calendar.why import Day, Why

_YEAR = Period(1, 0, 0)


class SeriesStatus(StrEnum):
    """Where a person is in a series, or in a vaccine group."""

    NOT_COMPLETE = "Not Complete"
    COMPLETE = "Complete"
    AGED_OUT = "Aged Out"
    IMMUNE = "Immune"
    CONTRAINDICATED = "Contraindicated"
    NOT_RECOMMENDED = "Not Recommended"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next dose of a series. Days are day numbers; `latest` is the last day it may be given.

    `start` is the earliest day when a rule sets one, and None when only birth does.
    """

    status: SeriesStatus
    why: tuple[Why, ...]
    dose_number: int | None = None
    earliest: int | None = None
    recommended: int | None = None
    past_due: int | None = None
    latest: int | None = None
    start: int | None = None
    overrides: bool = False
    vaccines: tuple[str, ...] = ()


def forecast(
    course: Course, antigen: Antigen, conflicts: Mapping[str, Mapping[str, Conflict]], as_of: int
) -> Forecast:
    """Forecast a series from where its evaluation ended; skipped target doses are passed."""
    place = course.series.place
    immune = _immune(course, antigen)
    if immune is not None:
        return Forecast(SeriesStatus.IMMUNE, (immune,))
    barred = _contraindicated(course.person, antigen, as_of)
    while True:
        target = course.target
        if target is None:
            if course.satisfied:
                return Forecast(SeriesStatus.COMPLETE, (Why("7.4", place, ("all doses given",)),))
            why = Why("7.4", place, ("every target dose is skipped",))
            return Forecast(SeriesStatus.NOT_RECOMMENDED, (why,))
        target = _of_that_year(target, as_of)
        if not skips(course, target, as_of, forecast=True):
            result = _dates(course, target, antigen, conflicts, as_of)
            later = result.earliest
            if later is None or later <= as_of or not skips(course, target, later, forecast=True):
                break
        course.skipped.append(target.number)
        course.at += 1
    if barred is not None:
        return Forecast(SeriesStatus.CONTRAINDICATED, (barred,))
    return result


def _of_that_year(target: Dose, as_of: int) -> Dose:
    """Read a season as one that comes back each year, for a day long before the one that is given.

    A schedule writes the dates of its own season only.
    """
    season = target.season
    if season is None or season.cessation == LAST or add(as_of, _YEAR) >= season.effective:
        return target
    back = 0
    while add(season.cessation, Period(back - 1, 0, 0)) >= as_of:
        back -= 1
    moved = Validity(
        add(season.effective, Period(back, 0, 0)), add(season.cessation, Period(back, 0, 0))
    )
    return replace(target, season=moved)


def _immune(course: Course, antigen: Antigen) -> Why | None:
    person, place = course.person, course.series.place
    codes = {each.code for each in person.observations}
    for code in codes & antigen.immunity_codes.keys():
        return Why("7.2", place, ("observation", code, antigen.immunity_codes[code]))
    for rule in antigen.birth_immunity:
        if person.born_on < rule.before and codes.isdisjoint(rule.exclusions):
            if rule.country and person.country and rule.country != person.country:
                continue
            return Why("7.2", place, ("born before", Day(rule.before)))
    return None


def _applies(person: Person, rule: Contraindication | Vaccine, as_of: int) -> bool:
    if rule.begin_age is not None and as_of < add(person.born_on, rule.begin_age):
        return False
    return rule.end_age is None or as_of < add(person.born_on, rule.end_age)


def _contraindicated(person: Person, antigen: Antigen, as_of: int) -> Why | None:
    if not person.observations:
        return None
    codes = {each.code for each in person.observations}
    for rule in antigen.contraindications:
        if rule.code in codes and not rule.vaccines and _applies(person, rule, as_of):
            return Why("7.3", antigen.series[0].place, ("observation", rule.code, rule.text))
    return None


def _barred_vaccines(person: Person, antigen: Antigen, as_of: int) -> set[str]:
    if not person.observations:
        return set()
    codes = {each.code for each in person.observations}
    return {
        vaccine.cvx
        for rule in antigen.contraindications
        if rule.code in codes
        for vaccine in rule.vaccines
        if _applies(person, vaccine, as_of)
    }


def _dates(
    course: Course,
    target: Dose,
    antigen: Antigen,
    conflicts: Mapping[str, Mapping[str, Conflict]],
    as_of: int,
) -> Forecast:
    """Generate the dates of a target dose and judge the need for it (7.4 to 7.6)."""
    place = target.place
    barred = _barred_vaccines(course.person, antigen, as_of)
    usable = [vaccine for vaccine in target.preferable if vaccine.cvx not in barred]
    bounds: list[tuple[int, Why]] = [(course.person.born_on, Why("7.5", place, ("birth",)))]
    age = age_rule(target, as_of)
    recommended = past_due = latest = None
    if age is not None:
        if age.minimum is not None:
            day = course.age(age.minimum)
            bounds.append((day, Why("7.5", place, ("minimum age", age.minimum))))
        if age.earliest_recommended is not None:
            recommended = course.age(age.earliest_recommended)
        if age.latest_recommended is not None:
            past_due = course.age(age.latest_recommended) - 1
        if age.maximum is not None:
            latest = course.age(age.maximum) - 1
    wanted: list[int] = []
    due: list[int] = []
    overrides = False
    for interval in target.intervals:
        start = reference(course, interval, as_of + 1)
        if start is None or not interval.validity.covers(as_of):
            continue
        overrides = overrides or interval.overrides
        if interval.minimum is not None:
            day = add(start, interval.minimum)
            facts = ("minimum interval", interval.minimum, "after", Day(start))
            bounds.append((day, Why("7.5", place, facts)))
        if interval.earliest_recommended is not None:
            wanted.append(add(start, interval.earliest_recommended))
        if interval.latest_recommended is not None:
            due.append(add(start, interval.latest_recommended) - 1)
    bounds.extend(_other_bounds(course, target, usable, conflicts))
    earliest, why = max(bounds, key=lambda bound: bound[0])
    if recommended is None:
        recommended = max(wanted, default=earliest)
    if past_due is None:
        past_due = max(due, default=None)
    result = Forecast(
        status=SeriesStatus.NOT_COMPLETE,
        why=(why,),
        dose_number=_number(course, target),
        earliest=earliest,
        recommended=max(earliest, recommended),
        past_due=None if past_due is None else max(earliest, past_due),
        latest=latest,
        start=earliest if len(bounds) > 1 else None,
        overrides=overrides,
        vaccines=tuple(v.cvx for v in usable if v.forecast),
    )
    if latest is not None and max(as_of, earliest) > latest:
        why = Why("7.4", place, ("too old from", Day(latest + 1)))
        return Forecast(SeriesStatus.AGED_OUT, (why,))
    if target.season is not None and as_of > target.season.cessation:
        why = Why("7.4", place, ("the season ended on", Day(target.season.cessation)))
        return Forecast(SeriesStatus.NOT_COMPLETE, (why,))
    return result


def _number(course: Course, target: Dose) -> int:
    """The number of the next dose; in a seasonal series, the number in this season."""
    start = course.person.born_on if target.season is None else target.season.effective
    return 1 + sum(1 for dose in course.valid if dose.given_on >= start)


def _other_bounds(
    course: Course,
    target: Dose,
    usable: list[Vaccine],
    conflicts: Mapping[str, Mapping[str, Conflict]],
) -> list[tuple[int, Why]]:
    """Bounds by season, by live virus conflicts and by inadvertent doses (FORECASTDT-1)."""
    place = target.place
    bounds: list[tuple[int, Why]] = []
    if target.season is not None:
        bounds.append((target.season.effective, Why("7.5", place, ("the season starts",))))
    if course.previous is not None:
        day = course.previous.administration.given_on
        bounds.append((day, Why("7.5", place, ("the dose before",))))
    for each in course.evaluated:
        if each.cause is Cause.INADVERTENT:
            day = each.administration.given_on
            bounds.append((day, Why("7.5", place, ("inadvertent dose",))))
    for vaccine in usable:
        against = conflicts.get(vaccine.cvx)
        if not against:
            continue
        for dose in course.history:
            rule = against.get(dose.cvx)
            if rule is not None:
                facts = ("live virus vaccine", dose.cvx, "on", Day(dose.given_on))
                bounds.append((add(dose.given_on, rule.end), Why("7.5", place, facts)))
    return bounds
