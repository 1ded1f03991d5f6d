"""Conditional skip: when a target dose is not needed (CDSi 6.2 and 7.1)."""

from carnet.calendar.course import Course
from carnet.calendar.dates import add
from carnet.calendar.schedule import Condition, ConditionSet, Dose


def skips(course: Course, target: Dose, day: int, *, forecast: bool) -> bool:
    """Tell whether a target dose is skipped on a reference day.

    Args:
        course: the series as far as it is evaluated.
        target: the target dose.
        day: the day of the dose in evaluation; in a forecast the day of the assessment, or the
            earliest day of the dose when that is later.
        forecast: whether the context is the forecast.
    """
    for skip in target.skips:
        if not (skip.in_forecast if forecast else skip.in_evaluation):
            continue
        held = (_holds(course, each, day) for each in skip.sets)
        if all(held) if skip.every else any(held):
            return True
    return False


def _holds(course: Course, group: ConditionSet, day: int) -> bool:
    if not group.validity.covers(day):
        return False
    held = (_met(course, condition, day) for condition in group.conditions)
    return all(held) if group.every else any(held)


def _met(course: Course, condition: Condition, day: int) -> bool:
    if condition.kind == "age":
        return _within(course, condition, day)
    if condition.kind == "completed series":
        return not condition.series_groups.isdisjoint(course.complete_groups)
    if condition.kind == "interval":
        previous = course.previous
        return (
            previous is not None
            and condition.interval is not None
            and day >= add(previous.administration.given_on, condition.interval)
        )
    return _compare(_count(course, condition), condition)


def _within(course: Course, condition: Condition, day: int) -> bool:
    """Tell whether `day` lies in the condition's ages: begin included, end not."""
    if condition.begin_age is not None and day < course.age(condition.begin_age):
        return False
    return condition.end_age is None or day < course.age(condition.end_age)


def _count(course: Course, condition: Condition) -> int:
    """Doses already held against the series that the condition counts (CONDSKIP-2)."""
    doses = course.valid if condition.valid_only else [e.administration for e in course.evaluated]
    return sum(
        1
        for dose in doses
        if (not condition.vaccines or dose.cvx in condition.vaccines)
        and condition.start <= dose.given_on < condition.end
        and _within(course, condition, dose.given_on)
    )


def _compare(count: int, condition: Condition) -> bool:
    if condition.comparison == "greater than":
        return count > condition.dose_count
    if condition.comparison == "less than":
        return count < condition.dose_count
    return count == condition.dose_count
