"""Which vaccines and observations can change what a vaccine group asks: what its rules name.

A forecast depends on nothing else of a person but birth, sex and country, so two people who are
alike in these have the same one. `engine` remembers forecasts by them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from carnet.calendar.schedule import Antigen, Dose, Schedule, Series, VaccineGroup


@dataclass(frozen=True, slots=True)
class Interest:
    """The vaccines (CVX) that the group's antigens or rules name, and the observations."""

    vaccines: frozenset[str]
    observations: frozenset[str]


def interest(schedule: Schedule, group: VaccineGroup) -> Interest:
    """Collect what can change a vaccine group's forecast."""
    antigens = [schedule.antigens[name] for name in group.antigens]
    counting = {
        code
        for code, associations in schedule.vaccines.items()
        if any(each.antigen in group.antigens for each in associations)
    }
    doses = [dose for each in antigens for series in each.series for dose in series.doses]
    named = {code for dose in doses for code in _vaccines(dose)}
    conflicting = {
        previous for current in counting | named for previous in schedule.conflicts.get(current, ())
    }
    observations = {code for each in antigens for code in _observations(each)}
    return Interest(frozenset(counting | named | conflicting), frozenset(observations))


def _vaccines(dose: Dose) -> Iterator[str]:
    yield from (each.cvx for each in dose.preferable)
    for interval in (*dose.intervals, *dose.allowable_intervals):
        yield from interval.from_most_recent
    for skip in dose.skips:
        for group in skip.sets:
            for condition in group.conditions:
                yield from condition.vaccines


def _observations(antigen: Antigen) -> Iterator[str]:
    yield from antigen.immunity_codes
    for rule in antigen.birth_immunity:
        yield from rule.exclusions
    yield from (each.code for each in antigen.contraindications)
    yield from _of_series(antigen.series)


def _of_series(series: Iterable[Series]) -> Iterator[str]:
    for each in series:
        yield from (indication.code for indication in each.indications)
        for dose in each.doses:
            for interval in (*dose.intervals, *dose.allowable_intervals):
                if interval.from_observation is not None:
                    yield interval.from_observation
