"""The engine's one entrance: facts, a schedule and a day in; items, each with its why, out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from carnet.calendar.course import Course
from carnet.calendar.dates import add
from carnet.calendar.evaluation import evaluate
from carnet.calendar.facts import Administration, Person, SetAside, Written, examine
from carnet.calendar.forecasting import SeriesStatus, forecast
from carnet.calendar.groups import GroupForecast, blend
from carnet.calendar.interest import interest
from carnet.calendar.schedule import Antigen, Schedule, Series, SeriesType, VaccineGroup
from carnet.calendar.selection import PatientSeries, best, relevant, relevant_from, worth_asking

REMEMBERED = 1 << 15  # forecasts, of a few kilobytes each


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a schedule asks of one person on a day, and what of the history was set aside."""

    groups: tuple[GroupForecast, ...]
    aside: tuple[SetAside, ...]


class Engine:
    """One schedule, made ready to be asked. It remembers forecasts, which changes no answer."""

    def __init__(self, schedule: Schedule, remembered: int = REMEMBERED) -> None:
        """Make ready `schedule`; at most `remembered` forecasts of vaccine groups are kept."""
        self.schedule = schedule
        self._interests = {each.name: interest(schedule, each) for each in schedule.groups}
        self._asked = lru_cache(maxsize=remembered)(self._forecast)

    def assess(
        self,
        person: Person,
        history: Iterable[Written],
        as_of: int,
        only: Iterable[str] | None = None,
    ) -> Assessment:
        """Evaluate a history and forecast every vaccine group.

        Args:
            person: what is known of the person.
            history: the doses as written, in any order; what cannot be used is set aside.
            as_of: the day of the assessment, as a day number.
            only: names of vaccine groups; all without it.
        """
        doses, aside = examine(person.born_on, history, as_of, self.schedule.vaccines)
        wanted = None if only is None else set(only)
        found: list[GroupForecast] = []
        for group in self.schedule.groups:
            if wanted is None or group.name in wanted:
                of = self._interests[group.name]
                relevant_doses = tuple(dose for dose in doses if dose.cvx in of.vaccines)
                like = person
                if person.observations:
                    seen = tuple(o for o in person.observations if o.code in of.observations)
                    like = replace(person, observations=seen)
                found.extend(self._asked(group, like, relevant_doses, as_of))
        return Assessment(tuple(found), aside)

    def _forecast(
        self, group: VaccineGroup, person: Person, doses: tuple[Administration, ...], as_of: int
    ) -> tuple[GroupForecast, ...]:
        antigens = self.schedule.antigens
        return blend(
            group,
            {
                name: _best(person, doses, self.schedule, antigens[name], as_of)
                for name in group.antigens
            },
        )


@lru_cache(maxsize=4)
def _ready(schedule: Schedule) -> Engine:
    return Engine(schedule)


def assess(
    person: Person,
    history: Iterable[Written],
    schedule: Schedule,
    as_of: int,
    only: Iterable[str] | None = None,
) -> Assessment:
    """Assess a person by a schedule; see `Engine.assess`."""
    return _ready(schedule).assess(person, history, as_of, only)


def _counted(
    antigen: str, person: Person, history: Sequence[Administration], schedule: Schedule
) -> list[Administration]:
    """The doses that count for an antigen at the age at which they were given (4.2)."""
    return [
        dose
        for dose in history
        for each in schedule.vaccines[dose.cvx]
        if each.antigen == antigen
        and (each.begin_age is None or dose.given_on >= add(person.born_on, each.begin_age))
        and (each.end_age is None or dose.given_on < add(person.born_on, each.end_age))
        and each.given.covers(dose.given_on)
    ]


def _best(
    person: Person,
    history: Sequence[Administration],
    schedule: Schedule,
    antigen: Antigen,
    as_of: int,
) -> list[PatientSeries]:
    """Evaluate and forecast the relevant series of an antigen, and select the best.

    Where no risk series is relevant yet, those that will be are forecast beside what is asked now.
    """
    doses = _counted(antigen.name, person, history, schedule)

    def best_of(concerned: Sequence[Series], on: int) -> list[PatientSeries]:
        found: dict[Series, PatientSeries] = {}
        complete: set[str] = set()
        for series in worth_asking(concerned, person, as_of, vaccinated=bool(doses)):
            course = Course(series, person, history, frozenset(complete))
            evaluate(course, doses, schedule.conflicts)
            forecasted = forecast(course, antigen, schedule.conflicts, as_of)
            found[series] = PatientSeries(series, course, forecasted)
            if forecasted.status is SeriesStatus.COMPLETE:
                complete.add(series.group)
        return best([found[series] for series in antigen.series if series in found], on)

    in_order = _in_order(antigen)
    now = [series for series in in_order if relevant(series, person, as_of)]
    if any(series.type is SeriesType.RISK for series in now):
        return best_of(now, as_of)
    begins = {series: relevant_from(series, person, as_of) for series in in_order}
    later = [series for series, day in begins.items() if day is not None]
    if not later:
        return best_of(now, as_of)
    first = min(day for day in begins.values() if day is not None)
    ahead = [_not_before(each, begins[each.series] or first) for each in best_of(later, first)]
    return best_of(now, as_of) + ahead


def _not_before(each: PatientSeries, day: int) -> PatientSeries:
    """Put what is forecast off until the day from which it is asked."""
    found = each.forecast
    if found.earliest is None:
        return each
    dates = {
        name: max(day, value)
        for name in ("earliest", "recommended", "past_due", "start")
        if (value := getattr(found, name)) is not None
    }
    return replace(each, forecast=replace(found, **dates))


@lru_cache(maxsize=1024)
def _in_order(antigen: Antigen) -> tuple[Series, ...]:
    """Series that ask whether another group is complete come after those that do not."""
    return tuple(sorted(antigen.series, key=_asks_for_others))


def _asks_for_others(series: Series) -> bool:
    return any(
        condition.kind == "completed series"
        for dose in series.doses
        for skip in dose.skips
        for group in skip.sets
        for condition in group.conditions
    )
