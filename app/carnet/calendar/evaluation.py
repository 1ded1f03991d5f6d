"""Evaluate doses administered against the target doses of one series (CDSi chapter 6)."""

from collections.abc import Mapping, Sequence

from carnet.calendar.course import Cause, Course, Evaluated, Status, age_rule, reference
from carnet.calendar.dates import LAST, Period, add
from carnet.calendar.facts import Administration
from carnet.calendar.schedule import Conflict, Dose, Vaccine
from carnet.calendar.skips import skips
from carnet.calendar.why import Day, Why


def evaluate(
    course: Course,
    doses: Sequence[Administration],
    conflicts: Mapping[str, Mapping[str, Conflict]],
) -> None:
    """Hold each dose of an antigen, in order of date, against the series' target doses.

    Args:
        course: the series, not begun; it is filled.
        doses: the doses that count for the antigen, sorted by date.
        conflicts: the schedule's live virus conflicts.
    """
    if not doses:
        return
    for dose in doses:
        if dose.sub_standard:
            place = course.series.place
            why = Why("6.1", place, ("condition of the dose",))
            verdict = Evaluated(dose, None, Status.SUB_STANDARD, Cause.CONDITION, why)
            course.evaluated.append(verdict)
            continue
        while (target := course.target) is not None and skips(
            course, target, dose.given_on, forecast=False
        ):
            course.skipped.append(target.number)
            course.at += 1
        if target is None:
            why = Why("6", course.series.place, ("no target dose is left",))
            course.evaluated.append(Evaluated(dose, None, Status.EXTRANEOUS, Cause.COMPLETE, why))
            continue
        verdict = _verdict(course, target, dose, conflicts)
        course.evaluated.append(verdict)
        if verdict.status is Status.VALID:
            course.satisfied[target.number] = dose.given_on
            course.valid.append(dose)
            if not target.recurring:
                course.at += 1


def _verdict(
    course: Course,
    target: Dose,
    dose: Administration,
    conflicts: Mapping[str, Mapping[str, Conflict]],
) -> Evaluated:
    number, day = target.number, dose.given_on

    def no(cause: Cause, rule: str, *facts: object) -> Evaluated:
        status = Status.EXTRANEOUS if cause is Cause.TOO_OLD else Status.NOT_VALID
        return Evaluated(dose, number, status, cause, Why(rule, target.place, facts))

    if dose.cvx in target.inadvertent:
        return no(Cause.INADVERTENT, "6.3", "vaccine", dose.cvx)
    previous = course.previous
    # The grace period before a minimum is not given twice in a row (6.4, 6.5).
    strict = (
        bool(course.satisfied)
        and previous is not None
        and previous.cause in (Cause.TOO_YOUNG, Cause.TOO_SOON)
    )
    age = age_rule(target, day)
    if age is not None:
        bound = age.minimum if strict else age.absolute_minimum
        if bound is not None and day < (limit := course.age(bound)):
            return no(Cause.TOO_YOUNG, "6.4", "before", Day(limit), "age", bound)
        if age.maximum is not None and day >= (limit := course.age(age.maximum)):
            return no(Cause.TOO_OLD, "6.4", "from", Day(limit), "age", age.maximum)
    late = _too_soon(course, target, day, strict)
    if late is not None and not _allowed(course, target, day):
        limit, length = late
        return no(Cause.TOO_SOON, "6.5", "before", Day(limit), "interval", length)
    against = conflicts.get(dose.cvx)
    if against:
        not_valid = {
            each.administration.place
            for each in course.evaluated
            if each.status is Status.NOT_VALID
        }
        for other in course.history:
            if other.given_on >= day:
                break
            rule = against.get(other.cvx)
            if rule is None:
                continue
            full = other.place in not_valid
            end = add(other.given_on, rule.end if full else rule.min_end)
            if add(other.given_on, rule.begin) <= day < end:
                return no(Cause.CONFLICT, "6.7", "until", Day(end), "vaccine", other.cvx)
    if not (
        any(_is(course, vaccine, dose) for vaccine in target.preferable)
        or any(_is(course, vaccine, dose) for vaccine in target.allowable)
    ):
        return no(Cause.VACCINE, "6.9", "vaccine", dose.cvx)
    why = Why("6.10", target.place, ("satisfies target dose", number))
    return Evaluated(dose, number, Status.VALID, Cause.NONE, why)


def _too_soon(course: Course, target: Dose, day: int, strict: bool) -> tuple[int, Period] | None:
    """The bound that a preferable interval sets after `day`, if one does (6.5)."""
    for interval in target.intervals:
        if not interval.validity.covers(day):
            continue
        bound = interval.minimum if strict else interval.absolute_minimum
        start = reference(course, interval, day)
        if bound is None or start is None:
            continue
        limit = add(start, bound)
        if day < limit:
            return limit, bound
    return None


def _allowed(course: Course, target: Dose, day: int) -> bool:
    """Tell whether the allowable intervals hold; with none, they do not (6.6)."""
    held = False
    for interval in target.allowable_intervals:
        start = reference(course, interval, day)
        if not interval.validity.covers(day) or start is None:
            continue
        if interval.absolute_minimum is not None and day < add(start, interval.absolute_minimum):
            return False
        held = True
    return held


def _of_brand(vaccine: Vaccine, dose: Administration) -> bool:
    """Tell whether the dose is of the brand that is asked for, if one is.

    A vaccine type and a manufacturer name a product together; trade names are written in many ways.
    """
    if vaccine.mvx:
        return vaccine.mvx == dose.mvx
    return not vaccine.trade_name or vaccine.trade_name.casefold() == dose.trade_name.casefold()


def _is(course: Course, vaccine: Vaccine, dose: Administration) -> bool:
    """Tell whether the dose is this vaccine at an age at which it may be used (6.8, 6.9)."""
    if vaccine.cvx != dose.cvx or not _of_brand(vaccine, dose):
        return False
    if vaccine.begin_age is not None and dose.given_on < course.age(vaccine.begin_age):
        return False
    end = LAST if vaccine.end_age is None else course.age(vaccine.end_age)
    return dose.given_on < end
