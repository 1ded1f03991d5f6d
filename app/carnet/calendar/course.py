"""A person's way through one series: doses held against target doses, and what they were worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from carnet.calendar.dates import Period, add
from carnet.calendar.facts import Administration, Person
from carnet.calendar.schedule import Age, Dose, Interval, Series
from carnet.calendar.why import Why


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
