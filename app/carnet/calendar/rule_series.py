"""Rules turned into series of the Logic Specification, so that one engine computes them all.

Each occurrence of each part of a rule becomes an antigen with a vaccine group of its own; acts are
its vaccines. A scheme becomes a series: of type risk when it asks for a fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from carnet.calendar.dates import Period
from carnet.calendar.rules import Part, Rule, RuleBook, Scheme, Season, Step
from carnet.calendar.schedule import (
    Age,
    Antigen,
    Association,
    Contraindication,
    Dose,
    Indication,
    Schedule,
    Series,
    SeriesType,
    Vaccine,
    VaccineGroup,
    Validity,
)

_EVERYBODY, _AT_RISK = "1", "2"  # series groups; one whose risk series runs is asked no other


@dataclass(frozen=True, slots=True, eq=False)
class Occurrence:
    """A rule as it is asked once: at an age, in a season, or as it is.

    `groups` are its parts'; `acts` and `facts` are all that can touch it. An act does when it
    counts for a part by `counting`, or when an interval runs `after` it.
    """

    rule: Rule
    label: str
    season: Season | None
    groups: tuple[str, ...]
    acts: frozenset[str]
    facts: frozenset[str]
    counting: tuple[tuple[str, Association], ...]
    after: frozenset[str]

    @property
    def key(self) -> str:
        """The rule's id, with the age or season where the rule has several occurrences."""
        return f"{self.rule.id}/{self.label}" if self.label else self.rule.id


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A book, its occurrences, and the schedule that the engine runs."""

    book: RuleBook
    occurrences: tuple[Occurrence, ...]
    schedule: Schedule
    schemes: dict[tuple[str, str], Scheme]
    """By group and series name."""


def compiled(book: RuleBook) -> Compiled:
    """Turn a book of rules into a schedule."""
    occurrences: list[Occurrence] = []
    touched = {rule.id: (_acts(rule), _facts(rule), _after(rule)) for rule in book.rules.values()}
    antigens: dict[str, Antigen] = {}
    schemes: dict[tuple[str, str], Scheme] = {}
    associations: dict[str, list[Association]] = {code: [] for code in book.acts}
    for rule in book.rules.values():
        for label, years, season in _times(book, rule):
            names = []
            counting: list[tuple[str, Association]] = []
            for part in rule.parts:
                name = "#".join(filter(None, (f"{rule.id}/{label}", part.name)))
                names.append(name)
                antigens[name] = _antigen(name, rule, part, years, season)
                schemes.update({(name, scheme.name): scheme for scheme in part.schemes})
                counts = _counts(rule, part, years, season)
                for act in part.acts:
                    associations[act].append(replace(counts, antigen=name))
                    counting.append((act, counts))
            acts, facts, after = touched[rule.id]
            occurrences.append(
                Occurrence(rule, label, season, tuple(names), acts, facts, tuple(counting), after)
            )
    return Compiled(
        book,
        tuple(occurrences),
        Schedule(
            name=book.name,
            version=book.version,
            antigens=antigens,
            groups=tuple(VaccineGroup(name, (name,)) for name in antigens),
            vaccines={code: tuple(found) for code, found in associations.items()},
            vaccine_names={code: act.words.en for code, act in book.acts.items()},
            conflicts={},
            observations={code: fact.words.en for code, fact in book.facts.items()},
        ),
        schemes,
    )


def _acts(rule: Rule) -> frozenset[str]:
    """Return the acts that count for a rule, or that an interval of it runs from."""
    return _after(rule).union(act for part in rule.parts for act in part.acts)


def _after(rule: Rule) -> frozenset[str]:
    """Return the acts that an interval of a rule runs from."""
    intervals = (interval for step in _steps(rule) for interval in step.intervals)
    return frozenset(act for interval in intervals for act in interval.from_most_recent)


def _facts(rule: Rule) -> frozenset[str]:
    """Return the facts that a rule's dates can follow from."""
    found = {fact for part in rule.parts for scheme in part.schemes for fact in scheme.if_any}
    for step in _steps(rule):
        found |= {i.from_observation for i in step.intervals if i.from_observation is not None}
    if rule.suspension is not None:
        found.add(rule.suspension.fact)
    return frozenset(found)


def _steps(rule: Rule) -> Iterator[Step]:
    for part in rule.parts:
        for scheme in part.schemes:
            yield from scheme.steps


def _times(book: RuleBook, rule: Rule) -> Iterator[tuple[str, int, Season | None]]:
    """Yield the label, the age in years from which ages count, and the season."""
    if rule.each is not None:
        for age in rule.each.ages():
            yield str(age), age, None
    elif rule.season:
        for season in book.seasons[rule.season]:
            yield season.label, 0, season
    else:
        yield "", 0, None


def _later(length: Period | None, years: int) -> Period | None:
    return length and Period(length.years + years, length.months, length.days)


def _counts(rule: Rule, part: Part, years: int, season: Season | None) -> Association:
    begin, end = part.counts_from, part.counts_to
    if rule.each is not None:
        last = part.schemes[0].steps[-1].age.maximum
        begin, end = Period(years - rule.each.before, 0, 0), _later(last, years)
    in_season = season.days if season is not None and rule.each_season else Validity()
    return Association("", begin, end, in_season)


def _antigen(name: str, rule: Rule, part: Part, years: int, season: Season | None) -> Antigen:
    against = rule.suspension
    return Antigen(
        name=name,
        series=tuple(
            _series(name, rule, scheme, at, years, season) for at, scheme in enumerate(part.schemes)
        ),
        contraindications=(
            (Contraindication(against.fact, against.advice.en),) if against is not None else ()
        ),
    )


def _series(
    name: str, rule: Rule, scheme: Scheme, preference: int, years: int, season: Season | None
) -> Series:
    before = rule.each.before if rule.each is not None else 0
    return Series(
        name=scheme.name,
        antigen=name,
        vaccine_group=name,
        place=replace(scheme.place, source=rule.place.source),
        doses=tuple(
            _dose(number, step, scheme, rule, years, before, season)
            for number, step in enumerate(scheme.steps, 1)
        ),
        type=SeriesType.RISK if scheme.if_any else SeriesType.STANDARD,
        equivalent_groups=frozenset({_EVERYBODY, _AT_RISK}),
        group=_AT_RISK if scheme.if_any else _EVERYBODY,
        preference=preference,
        min_age_to_start=scheme.start_from,
        max_age_to_start=scheme.start_to,
        indications=tuple(Indication(fact) for fact in scheme.if_any),
        level=scheme.level or "",
        validity=scheme.validity,
    )


def _dose(
    number: int,
    step: Step,
    scheme: Scheme,
    rule: Rule,
    years: int,
    before: int,
    season: Season | None,
) -> Dose:
    age = step.age
    if years:
        least = Period(years - before, 0, 0) if before else _later(age.absolute_minimum, years)
        age = Age(
            least,
            _later(age.minimum, years),
            _later(age.earliest_recommended, years),
            _later(age.latest_recommended, years),
            _later(age.maximum, years),
        )
    return Dose(
        number=number,
        place=replace(step.place, source=rule.place.source),
        ages=(age,),
        intervals=step.intervals,
        preferable=tuple(Vaccine(act, forecast=True) for act in sorted(step.acts)),
        recurring=step.recurring,
        season=season.days if season is not None else None,
    )
