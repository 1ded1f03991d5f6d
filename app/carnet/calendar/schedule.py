"""A schedule: versioned, immutable data in CDSi terms. Ages and intervals are periods.

`None` in a bound means that the bound is not there. Names follow the CDC's supporting data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from carnet.calendar.dates import FIRST, LAST, Period


class SeriesType(StrEnum):
    """For whom a series is: everyone, those with an indication, or only to judge past doses."""

    STANDARD = "Standard"
    RISK = "Risk"
    EVALUATION_ONLY = "Evaluation Only"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule is written: the file and the line, and its source as the schedule cites it."""

    file: str
    line: int
    source: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Validity:
    """The days on which a rule is in force, both included (day numbers)."""

    effective: int = FIRST
    cessation: int = LAST

    def covers(self, day: int) -> bool:
        """Tell whether the rule is in force on `day`."""
        return self.effective <= day <= self.cessation


@dataclass(frozen=True, slots=True)
class Age:
    """Age bounds of a dose. A dose is too old from `maximum` on; the day itself is out."""

    absolute_minimum: Period | None = None
    minimum: Period | None = None
    earliest_recommended: Period | None = None
    latest_recommended: Period | None = None
    maximum: Period | None = None
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class Interval:
    """Interval bounds from exactly one reference: previous dose, target dose, vaccine, event."""

    from_previous: bool = False
    from_target_dose: int | None = None
    from_most_recent: frozenset[str] = frozenset()
    from_observation: str | None = None
    absolute_minimum: Period | None = None
    minimum: Period | None = None
    earliest_recommended: Period | None = None
    latest_recommended: Period | None = None
    overrides: bool = False
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class Vaccine:
    """A vaccine type (CVX) usable from `begin_age` until the day before `end_age`."""

    cvx: str
    name: str = ""
    begin_age: Period | None = None
    end_age: Period | None = None
    trade_name: str = ""
    mvx: str = ""
    forecast: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a conditional skip; `kind` is one of `CONDITION_KINDS`."""

    kind: str
    start: int = FIRST
    end: int = LAST
    begin_age: Period | None = None
    end_age: Period | None = None
    interval: Period | None = None
    dose_count: int = 0
    valid_only: bool = False
    comparison: str = "greater than"
    vaccines: frozenset[str] = frozenset()
    series_groups: frozenset[str] = frozenset()


CONDITION_KINDS = ("age", "interval", "vaccine count", "completed series")
COMPARISONS = ("greater than", "equal to", "less than")


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """Conditions joined by AND or OR, with the days on which the set is in force."""

    conditions: tuple[Condition, ...]
    every: bool
    description: str = ""
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class Skip:
    """A conditional skip: when it holds, the target dose is not needed."""

    in_evaluation: bool
    in_forecast: bool
    sets: tuple[ConditionSet, ...]
    every: bool = False


@dataclass(frozen=True, slots=True)
class Dose:
    """A target dose of a series."""

    number: int
    place: Place
    ages: tuple[Age, ...] = ()
    intervals: tuple[Interval, ...] = ()
    allowable_intervals: tuple[Interval, ...] = ()
    preferable: tuple[Vaccine, ...] = ()
    allowable: tuple[Vaccine, ...] = ()
    inadvertent: frozenset[str] = frozenset()
    skips: tuple[Skip, ...] = ()
    recurring: bool = False
    season: Validity | None = None


@dataclass(frozen=True, slots=True)
class Indication:
    """An observation that makes a risk series relevant between two ages."""

    code: str
    text: str = ""
    begin_age: Period | None = None
    end_age: Period | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """An ordered list of target doses for one antigen."""

    name: str
    antigen: str
    vaccine_group: str
    place: Place
    doses: tuple[Dose, ...]
    type: SeriesType = SeriesType.STANDARD
    equivalent_groups: frozenset[str] = frozenset()
    genders: frozenset[str] = frozenset()
    default: bool = False
    product_path: bool = False
    group: str = "1"
    group_name: str = ""
    priority: str = "A"
    preference: int = 99
    min_age_to_start: Period | None = None
    max_age_to_start: Period | None = None
    indications: tuple[Indication, ...] = ()
    guidance: tuple[str, ...] = ()
    level: str = ""
    confidence: str = "confirmed"
    validity: Validity = Validity()


@dataclass(frozen=True, slots=True)
class Contraindication:
    """An observation against an antigen or, when `vaccines` names some, against these only."""

    code: str
    text: str = ""
    begin_age: Period | None = None
    end_age: Period | None = None
    vaccines: tuple[Vaccine, ...] = ()


@dataclass(frozen=True, slots=True)
class BirthImmunity:
    """Presumed immunity of those born before a day, unless an excluded observation holds."""

    before: int
    country: str = ""
    exclusions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Antigen:
    """What a schedule says of one antigen."""

    name: str
    series: tuple[Series, ...]
    immunity_codes: Mapping[str, str] = field(default_factory=dict)
    birth_immunity: tuple[BirthImmunity, ...] = ()
    contraindications: tuple[Contraindication, ...] = ()


@dataclass(frozen=True, slots=True)
class Association:
    """An antigen that a vaccine counts for, between two ages and on certain days."""

    antigen: str
    begin_age: Period | None = None
    end_age: Period | None = None
    given: Validity = Validity()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two live vaccines too close: from `begin` until the day before the end interval."""

    begin: Period
    min_end: Period
    end: Period


@dataclass(frozen=True, slots=True)
class VaccineGroup:
    """Antigens given together; `full` when the whole group is given if one antigen is due."""

    name: str
    antigens: tuple[str, ...]
    full: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A loaded, validated schedule. `version` names the data, not the format."""

    name: str
    version: str
    antigens: Mapping[str, Antigen]
    groups: tuple[VaccineGroup, ...]
    vaccines: Mapping[str, tuple[Association, ...]]
    vaccine_names: Mapping[str, str]
    conflicts: Mapping[str, Mapping[str, Conflict]]
    observations: Mapping[str, str]
