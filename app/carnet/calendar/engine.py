"""The engine's one entrance: facts, a schedule and a day in; items, each with its why, out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from carnet.calendar.evaluation import Course, evaluate
from carnet.calendar.facts import Administration, Person, SetAside, Written, examine
from carnet.calendar.forecasting import SeriesStatus, forecast
from carnet.calendar.groups import GroupForecast, blend
from carnet.calendar.schedule import Antigen, Association, Schedule, Series
from carnet.calendar.selection import PatientSeries, best, relevant


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a schedule asks of one person on a day, and what of the history was set aside."""

    groups: tuple[GroupForecast, ...]
    aside: tuple[SetAside, ...]


def assess(
    person: Person,
    history: Iterable[Written],
    schedule: Schedule,
    as_of: int,
    only: Iterable[str] | None = None,
) -> Assessment:
    """Evaluate a history and forecast every vaccine group of a schedule.

    Args:
        person: what is known of the person.
        history: the doses as written, in any order; what cannot be computed with is set aside.
        schedule: a loaded schedule.
        as_of: the day of the assessment, as a day number.
        only: names of vaccine groups; all without it.
    """
    doses, aside = examine(person.born_on, history, as_of, schedule.vaccines)
    wanted = None if only is None else set(only)
    found: list[GroupForecast] = []
    for group in schedule.groups:
        if wanted is None or group.name in wanted:
            bests = {
                name: _best(person, doses, schedule, schedule.antigens[name], as_of)
                for name in group.antigens
            }
            found.extend(blend(group, bests))
    return Assessment(tuple(found), aside)


def _counts(association: Association, antigen: str, course: Course, day: int) -> bool:
    if association.antigen != antigen:
        return False
    if association.begin_age is not None and day < course.age(association.begin_age):
        return False
    return association.end_age is None or day < course.age(association.end_age)


def _best(
    person: Person,
    history: Sequence[Administration],
    schedule: Schedule,
    antigen: Antigen,
    as_of: int,
) -> list[PatientSeries]:
    """Evaluate and forecast the relevant series of an antigen, and select the best."""
    found: dict[Series, PatientSeries] = {}
    complete: set[str] = set()
    # Series that ask whether another group is complete come after those that do not.
    for series in sorted(antigen.series, key=_asks_for_others):
        course = Course(series, person, history, frozenset(complete))
        if not relevant(series, course, as_of):
            continue
        doses = [
            dose
            for dose in history
            if any(
                _counts(each, antigen.name, course, dose.given_on)
                for each in schedule.vaccines[dose.cvx]
            )
        ]
        evaluate(course, doses, schedule.conflicts)
        result = PatientSeries(series, course, forecast(course, antigen, schedule.conflicts, as_of))
        found[series] = result
        if result.forecast.status is SeriesStatus.COMPLETE:
            complete.add(series.group)
    in_order = [found[series] for series in antigen.series if series in found]
    return best(antigen, in_order, as_of)


def _asks_for_others(series: Series) -> bool:
    return any(
        condition.kind == "completed series"
        for dose in series.doses
        for skip in dose.skips
        for group in skip.sets
        for condition in group.conditions
    )
