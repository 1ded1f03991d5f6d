"""Evaluate doses administered against the target doses of one series (CDSi chapter 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from carnet.calendar.dates import LAST, Period, add
from carnet.calendar.facts import Administration, Person
from carnet.calendar.schedule import Age, Conflict, Dose, Interval, Series, Vaccine
from carnet.calendar.why import Day, Why


class Status(StrEnum):
    """What a dose administered is worth for a series."""

    VALID = "Valid"
    NOT_VALID = "Not Valid"
    EXTRANEOUS = "Extraneous"
    SUB_STANDARD = "Sub-standard"


class Cause(StrEnum):
    """Why a dose administered is not valid."""

    NONE = ""
    TOO_YOUNG = "Age: Too Young"
    TOO_OLD = "Age: Too Old"
    TOO_SOON = "Interval: Too Soon"
    CONFLICT = "Live Virus Conflict"
    VACCINE = "Not a preferable or allowable vaccine"
    INADVERTENT = "Inadvertent Vaccine"
    COMPLETE = "Series Already Complete"
    CONDITION = "Dose recalled, expired or otherwise sub-standard"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A dose administered, the target dose it was held against, and the verdict."""

    administration: Administration
    target: int | None
    status: Status
    cause: Cause
    why: Why


@dataclass(slots=True)
class Course:
    """How far a person is in a series. `at` is the index of the next target dose.

    `satisfied` maps a target dose's number to the day of the dose that satisfied it.
    """

    series: Series
    person: Person
    history: Sequence[Administration]
    complete_groups: frozenset[str] = frozenset()
    evaluated: list[Evaluated] = field(default_factory=list)
    satisfied: dict[int, int] = field(default_factory=dict)
    valid: list[Administration] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    at: int = 0

    @property
    def target(self) -> Dose | None:
        """The next target dose, or None when none is left."""
        doses = self.series.doses
        return doses[self.at] if self.at < len(doses) else None

    @property
    def previous(self) -> Evaluated | None:
        """The last dose that is valid or not valid, inadvertent ones left out (CALCDTINT-1)."""
        for each in reversed(self.evaluated):
            counts = each.status in (Status.VALID, Status.NOT_VALID)
            if counts and each.cause is not Cause.INADVERTENT:
                return each
        return None

    def age(self, length: Period) -> int:
        """The day on which the person reaches an age."""
        return add(self.person.born_on, length)


def age_rule(target: Dose, day: int) -> Age | None:
    """The age bounds in force on `day`."""
    for each in target.ages:
        if each.validity.covers(day):
            return each
    return None


def reference(course: Course, interval: Interval, before: int) -> int | None:
    """The day an interval counts from, or None when there is none (CALCDTINT-1, -2, -8, -9)."""
    if interval.from_previous:
        previous = course.previous
        return previous.administration.given_on if previous else None
    if interval.from_target_dose is not None:
        return course.satisfied.get(interval.from_target_dose)
    if interval.from_most_recent:
        unwanted = {
            e.administration.place for e in course.evaluated if e.cause is Cause.INADVERTENT
        }
        days = [
            each.given_on
            for each in course.history
            if each.cvx in interval.from_most_recent
            and each.given_on < before
            and not each.sub_standard
            and each.place not in unwanted
        ]
        return max(days, default=None)
    days = [
        each.on
        for each in course.person.observations
        if each.code == interval.from_observation and each.on is not None
    ]
    return max(days, default=None)


def evaluate(
    course: Course,
    doses: Sequence[Administration],
    conflicts: Mapping[str, Mapping[str, Conflict]],
    invalid: frozenset[int] = frozenset(),
) -> None:
    """Hold each dose of an antigen, in order of date, against the series' target doses.

    Args:
        course: the series, not begun; it is filled.
        doses: the doses that count for the antigen, sorted by date.
        conflicts: the schedule's live virus conflicts.
        invalid: ranks of doses known to be not valid, whose conflicts last the full interval.
    """
    if not doses:
        return
    from carnet.calendar.skips import skips

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
        verdict = _verdict(course, target, dose, conflicts, invalid)
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
    invalid: frozenset[int],
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
            full = other.place in invalid or other.place in not_valid
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
