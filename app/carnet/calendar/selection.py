"""Select among the series of one antigen: prioritized per series group, then best (CDSi ch. 8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carnet.calendar.course import Course, Status, age_rule
from carnet.calendar.dates import FIRST, LAST, Period, add
from carnet.calendar.facts import Person
from carnet.calendar.forecasting import Forecast, SeriesStatus
from carnet.calendar.schedule import Series, SeriesType

_OPEN = frozenset({SeriesStatus.NOT_COMPLETE, SeriesStatus.CONTRAINDICATED})


@dataclass(frozen=True, slots=True, eq=False)
class PatientSeries:
    """A series held against one person: how far they are in it, and what is next."""

    series: Series
    course: Course
    forecast: Forecast

    @property
    def complete(self) -> bool:
        """Tell whether all target doses are satisfied or skipped."""
        return self.forecast.status is SeriesStatus.COMPLETE

    @property
    def in_process(self) -> bool:
        """Tell whether some, but not all, target doses are satisfied."""
        return self.forecast.status in _OPEN and bool(self.course.valid)

    @property
    def remaining(self) -> int:
        """How many target doses are neither satisfied nor skipped."""
        return len(self.series.doses) - self.course.at

    @property
    def finish(self) -> int:
        """The earliest day on which the last target dose can be given, or `LAST`."""
        if self.complete:
            return max((d.given_on for d in self.course.valid), default=LAST)
        day = self.forecast.earliest
        if day is None:
            return LAST
        for dose in self.series.doses[self.course.at + 1 :]:
            lengths = [each.minimum for each in dose.intervals if each.minimum is not None]
            if lengths:
                start = day
                day = max(add(start, length) for length in lengths)
        return day

    @property
    def completable(self) -> bool:
        """Tell whether the series can be finished before the last target dose's maximum age."""
        finish = self.finish
        last = age_rule(self.series.doses[-1], finish)
        if finish == LAST or last is None or last.maximum is None:
            return finish < LAST
        return finish < self.course.age(last.maximum)

    @property
    def product_path(self) -> bool:
        """Tell whether all doses are of the one product that the series is for, and valid."""
        held = [e for e in self.course.evaluated if e.status is not Status.EXTRANEOUS]
        return self.series.product_path and all(e.status is Status.VALID for e in held)


def relevant(series: Series, person: Person, as_of: int) -> bool:
    """Tell whether a series concerns a person on a day: sex, indication and validity (5.1)."""
    if series.type is SeriesType.RISK and not person.observations:
        return False
    if series.genders and person.gender not in series.genders:
        return False
    if not series.validity.covers(as_of):
        return False
    if series.type is not SeriesType.RISK:
        return True
    codes = {each.code for each in person.observations}
    return any(
        each.code in codes and _within(person, as_of, each.begin_age, each.end_age)
        for each in series.indications
    )


def relevant_from(series: Series, person: Person, as_of: int) -> int | None:
    """Return the later day from which a risk series concerns a person, by their indications."""
    if series.type is not SeriesType.RISK or not person.observations:
        return None
    if series.genders and person.gender not in series.genders:
        return None
    if not series.validity.covers(as_of):
        return None
    codes = {each.code for each in person.observations}
    begins = (
        add(person.born_on, each.begin_age)
        for each in series.indications
        if each.code in codes and each.begin_age is not None
    )
    return min((day for day in begins if day > as_of), default=None)


def worth_asking(
    series: Sequence[Series], person: Person, as_of: int, *, vaccinated: bool
) -> list[Series]:
    """Leave out series that cannot be prioritized: without a dose, the default goes first (8.2)."""
    if vaccinated or any(each.type is not SeriesType.STANDARD for each in series):
        return list(series)
    defaults: dict[str, Series] = {}
    for each in series:
        if each.default and _within(person, as_of, each.min_age_to_start, None):
            defaults.setdefault(each.group, each)
    return [each for each in series if defaults.get(each.group, each) is each]


def best(candidates: Sequence[PatientSeries], as_of: int) -> list[PatientSeries]:
    """Return the best series of an antigen: at most one per series group (8.8)."""
    chosen: dict[str, PatientSeries] = {}
    for group in dict.fromkeys(each.series.group for each in candidates):
        members = [each for each in candidates if each.series.group == group]
        found = prioritized(members, as_of)
        if found is not None:
            chosen[group] = found
    return [each for each in chosen.values() if _is_best(each, chosen)]


def _is_best(each: PatientSeries, chosen: dict[str, PatientSeries]) -> bool:
    if each.complete:
        return True
    equivalents = [chosen[g] for g in each.series.equivalent_groups if g in chosen]
    if any(other.complete for other in equivalents):
        return False
    if each.series.type is SeriesType.EVALUATION_ONLY:
        return False
    if each.series.type is SeriesType.RISK:
        return True
    return not any(other.series.type is SeriesType.RISK for other in equivalents)


def prioritized(members: Sequence[PatientSeries], as_of: int) -> PatientSeries | None:
    """Return the one series that stands for a series group, if any (8.1 to 8.7)."""
    members = [each for each in members if _old_enough(each, as_of)]
    barred = SeriesStatus.CONTRAINDICATED
    candidates = [m for m in members if m.forecast.status is not barred] or members
    scorable = _scorable(candidates, as_of)
    default = [each for each in candidates if each.series.default]
    if not scorable:
        return default[0] if default else None
    if len(scorable) == 1:
        return scorable[0]
    complete = [each for each in scorable if each.complete]
    if len(complete) == 1:
        return complete[0]
    if complete:
        return _highest(complete, _COMPLETE_RULES)
    in_process = [each for each in scorable if each.in_process]
    if len(in_process) == 1:
        return in_process[0]
    if in_process:
        return _highest(in_process, _IN_PROCESS_RULES)
    default = [each for each in scorable if each.series.default]
    return default[0] if default else _highest(scorable, _NO_VALID_RULES)


def _scorable(candidates: Sequence[PatientSeries], as_of: int) -> list[PatientSeries]:
    """Leave out what cannot stand for its group (8.1)."""
    risks = [each for each in candidates if each.series.type is SeriesType.RISK]
    highest = min((each.series.priority for each in risks), default="")
    started = any(each.course.valid for each in candidates)
    default = any(each.series.default for each in candidates)
    found = []
    for each in candidates:
        kind = each.series.type
        if kind is SeriesType.RISK:
            wanted = each.series.priority == highest and _startable(each, as_of)
        elif kind is SeriesType.STANDARD and each.course.valid:
            wanted = _startable(each, as_of)
        elif kind is SeriesType.STANDARD:
            wanted = not started and not default and _startable(each, as_of)
        else:
            wanted = each.complete
        if wanted:
            found.append(each)
    return found


def _old_enough(each: PatientSeries, as_of: int) -> bool:
    begin = each.series.min_age_to_start
    return begin is None or bool(each.course.valid) or as_of >= each.course.age(begin)


def _startable(each: PatientSeries, as_of: int) -> bool:
    valid = each.course.valid
    start = min((dose.given_on for dose in valid), default=as_of)
    return _within(each.course.person, start, None, each.series.max_age_to_start)


def _within(person: Person, day: int, begin: Period | None, end: Period | None) -> bool:
    first = FIRST if begin is None else add(person.born_on, begin)
    last = LAST if end is None else add(person.born_on, end)
    return first <= day < last


_Test = Callable[[PatientSeries, Sequence[PatientSeries]], bool]
_Rule = tuple[_Test, int, int, int]


def _most_valid(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    return len(each.course.valid) == max(len(other.course.valid) for other in among)


def _closest(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    return each.remaining == min(other.remaining for other in among)


def _finishes_first(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    days = [other.finish for other in among if other.complete or other.completable]
    return (each.complete or each.completable) and each.finish == min(days)


def _starts_first(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    days = [d for other in among if (d := other.forecast.start) is not None]
    return bool(days) and each.forecast.start == min(days)


def _product(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    return each.product_path


def _completable(each: PatientSeries, among: Sequence[PatientSeries]) -> bool:
    return each.completable


# Points when the condition holds for one series only, for several, and when it does not hold.
_COMPLETE_RULES: tuple[_Rule, ...] = ((_most_valid, 1, 0, -1),)
_IN_PROCESS_RULES: tuple[_Rule, ...] = (
    (_product, 2, 2, -2),
    (_completable, 3, 3, -3),
    (_most_valid, 2, 0, -2),
    (_closest, 2, 0, -2),
    (_finishes_first, 1, 0, -1),
)
_NO_VALID_RULES: tuple[_Rule, ...] = (
    (_starts_first, 1, 0, -1),
    (_completable, 1, 1, -1),
    (_product, -1, -1, 1),
)


def _highest(among: Sequence[PatientSeries], rules: Sequence[_Rule]) -> PatientSeries:
    """The series with the most points (8.4 to 8.6); of equals, the preferred one (8.7)."""
    points = [0] * len(among)
    for test, alone, shared, missed in rules:
        held = [test(each, among) for each in among]
        reward = alone if sum(held) == 1 else shared
        points = [p + (reward if h else missed) for p, h in zip(points, held, strict=True)]
    top = max(points)
    winners = [each for each, p in zip(among, points, strict=True) if p == top]
    return min(winners, key=lambda each: each.series.preference)
