"""A book of prevention rules, as its files write it: acts, facts, seasons and rules.

A rule is what a nurse would read: for whom, which act, when. `rule_series` turns it into series of
the Logic Specification, `items` asks them of a person. docs/schedules.md explains the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from carnet.calendar.dates import FIRST, LAST, Period
from carnet.calendar.schedule import Age, Interval, Place, Validity

ALWAYS = Validity()
PREGNANT = "PREGNANT"
"""The fact that holds while a pregnancy goes on; it is derived, nobody states it."""


class Kind(StrEnum):
    """What a rule asks for. Messages are refused by kind."""

    VACCINATION = "VACCINATION"
    SCREENING = "SCREENING"
    CHECK_UP = "CHECK_UP"
    CHILD_EXAMINATION = "CHILD_EXAMINATION"
    DENTAL = "DENTAL"
    MATERNITY = "MATERNITY"


class Level(StrEnum):
    """How strongly the law or the authority asks for it."""

    OBLIGATORY = "OBLIGATORY"
    RECOMMENDED = "RECOMMENDED"
    PROPOSED = "PROPOSED"


class Anchor(StrEnum):
    """From which day the ages of a rule count."""

    BIRTH = "birth"
    PREGNANCY = "pregnancy"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    fr: str
    en: str


@dataclass(frozen=True, slots=True)
class Act:
    """What a history holds. A dose is every act whose `diseases` it covers all of.

    `codings` are `SYSTEM|code` and make an entry this act whatever it covers; an entry that is the
    act `but_not` is not this one.
    """

    code: str
    words: Words
    diseases: frozenset[str] = frozenset()
    codings: frozenset[str] = frozenset()
    but_not: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """What can hold of a person; an active condition under one of the `icd10` prefixes says so."""

    code: str
    words: Words
    icd10: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Season:
    """A season or campaign, from its first to its last day; from `late` on one is late."""

    name: str
    label: str
    days: Validity
    late: int | None = None


@dataclass(frozen=True, slots=True)
class Suspension:
    """A fact that interrupts a rule, and what to do instead."""

    fact: str
    advice: Words


@dataclass(frozen=True, slots=True)
class LevelSince:
    """A level that holds from a day on, for those born from a day on."""

    level: Level
    since: int = FIRST
    born_from: int = FIRST


@dataclass(frozen=True, slots=True)
class Step:
    """One act of a scheme: its ages, and its intervals from the one before or from another act."""

    place: Place
    acts: frozenset[str]
    age: Age
    intervals: tuple[Interval, ...] = ()
    recurring: bool = False


@dataclass(frozen=True, slots=True)
class Scheme:
    """An ordered list of acts, for those who begin it between two ages or have a fact."""

    name: str
    place: Place
    steps: tuple[Step, ...]
    acts: frozenset[str] = frozenset()
    if_any: tuple[str, ...] = ()
    start_from: Period | None = None
    start_to: Period | None = None
    level: Level | None = None
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class Part:
    """An act that a rule asks for on its own; an act counts between two ages."""

    acts: tuple[str, ...]
    schemes: tuple[Scheme, ...]
    counts_from: Period | None = None
    counts_to: Period | None = None

    @property
    def name(self) -> str:
        """The first act, which tells the parts of a rule apart."""
        return self.acts[0]


@dataclass(frozen=True, slots=True)
class Each:
    """A rule that is asked again at ages `every` apart; acts count from `before` each of them."""

    start: int
    stop: int
    every: int
    before: int = 0

    def ages(self) -> range:
        """The ages in years."""
        return range(self.start, self.stop, self.every)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule: an act or some, for whom, when, how strongly, and by what source."""

    id: str
    kind: Kind
    words: Words
    level: Level
    place: Place
    parts: tuple[Part, ...]
    unconfirmed: str = ""
    levels: tuple[LevelSince, ...] = ()
    validity: Validity = ALWAYS
    anchor: Anchor = Anchor.BIRTH
    after_delivery: Period | None = None
    sex: str = ""
    or_fact: str = ""
    born_from: int = FIRST
    born_to: int = LAST
    unless: frozenset[str] = frozenset()
    suspension: Suspension | None = None
    season: str = ""
    each_season: bool = False
    each: Each | None = None

    def level_for(self, born_on: int, as_of: int, scheme: Level | None) -> Level:
        """Return how strongly it is asked of one who was born on a day."""
        for each in self.levels:
            if each.since <= as_of and each.born_from <= born_on:
                return each.level
        return scheme or self.level


@dataclass(frozen=True, slots=True, eq=False)
class RuleBook:
    """All rules of one version."""

    name: str
    version: str
    source: str
    acts: Mapping[str, Act]
    facts: Mapping[str, Fact]
    seasons: Mapping[str, tuple[Season, ...]]
    rules: Mapping[str, Rule]

    def acts_of(self, diseases: frozenset[str], codings: frozenset[str]) -> tuple[str, ...]:
        """Return which acts an entry of a history is.

        Args:
            diseases: what a vaccine protects against.
            codings: its codes, as `SYSTEM|code`.
        """
        found = {
            act.code
            for act in self.acts.values()
            if (act.diseases and act.diseases <= diseases) or not act.codings.isdisjoint(codings)
        }
        return tuple(sorted(code for code in found if self.acts[code].but_not not in found))

    def facts_of(self, icd10: str) -> tuple[str, ...]:
        """Return the facts that an active condition with this code of ICD-10 makes hold."""
        return tuple(
            fact.code for fact in self.facts.values() if icd10.startswith(fact.icd10 or ("\0",))
        )
