"""What a book of rules asks of one person on a day: items, each with its dates and its why.

Pure, as the engine is: facts and a history in, items out. Rules that count from a pregnancy or a
delivery are asked with that day in the place of birth, and of the acts since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from functools import lru_cache

from carnet.calendar.course import Status
from carnet.calendar.dates import add
from carnet.calendar.engine import Engine
from carnet.calendar.facts import Administration, Observation, Person, SetAside, Written, examine
from carnet.calendar.forecasting import SeriesStatus
from carnet.calendar.groups import DoseVerdict, GroupForecast
from carnet.calendar.rule_series import Compiled, Occurrence, compiled
from carnet.calendar.rules import PREGNANT, Anchor, Level, Rule, RuleBook
from carnet.calendar.schedule import SeriesType
from carnet.calendar.untouched import untouched
from carnet.calendar.why import Why

LONGEST_PREGNANCY = 310  # days; without a delivery one that began longer ago goes on no more


REMEMBERED_DAYS = 512  # of birth: what is asked of those whom nothing touches


class _Ask(Enum):
    """In the place of an item that only the engine can tell."""

    ENGINE = auto()


class ItemStatus(StrEnum):
    """Where a person is with a rule."""

    NOT_COMPLETE = "NOT_COMPLETE"
    COMPLETE = "COMPLETE"
    AGED_OUT = "AGED_OUT"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True)
class Pregnancy:
    """A pregnancy from the day it began; ended with a delivery or without one."""

    began_on: int
    ended_on: int | None = None
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """The facts of one person. `sex` is F, M or U."""

    born_on: int
    sex: str = "U"
    facts: tuple[Observation, ...] = ()
    pregnancies: tuple[Pregnancy, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One rule, or one occurrence of it, for one person.

    Days are day numbers: `earliest` the first day the next act may be done, `due` the one it should
    be, `overdue` the first on which one is late, `latest` the last on which it makes sense.
    """

    occurrence: Occurrence
    status: ItemStatus
    level: Level
    why: tuple[Why, ...]
    anchored_on: int | None = None
    earliest: int | None = None
    due: int | None = None
    overdue: int | None = None
    latest: int | None = None
    number: int | None = None
    schemes: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    verdicts: tuple[DoseVerdict, ...] = ()

    @property
    def rule(self) -> Rule:
        """The rule that asks."""
        return self.occurrence.rule

    @property
    def done_on(self) -> int | None:
        """The day of the last act that counts."""
        return max(
            (v.administration.given_on for v in self.verdicts if v.status is Status.VALID),
            default=None,
        )


@dataclass(frozen=True, slots=True)
class Prevention:
    """The items of one person, and what of the history was set aside."""

    items: tuple[Item, ...]
    aside: tuple[SetAside, ...]


class Calendar:
    """One book of rules, made ready to be asked."""

    def __init__(self, book: RuleBook) -> None:
        """Turn the rules into series."""
        self.book = book
        self.compiled: Compiled = compiled(book)
        self._engine = Engine(self.compiled.schedule)
        every = self.compiled.occurrences
        self._born = [o for o in every if o.rule.anchor is Anchor.BIRTH]
        self._later = [o for o in every if o.rule.anchor is not Anchor.BIRTH]
        self._deciding = frozenset(
            fact for rule in book.rules.values() for fact in (*rule.unless, rule.or_fact) if fact
        )
        self._of_day = lru_cache(maxsize=REMEMBERED_DAYS)(self._made)

    def assess(self, holder: Holder, history: Sequence[Written], as_of: int) -> Prevention:
        """Return what is asked of a person, and what was done of it.

        Args:
            holder: what is known of the person.
            history: acts, by their codes in the book, in any order; what cannot be used is told.
            as_of: the day of the assessment, as a day number.
        """
        known = [o for o in holder.facts if o.on is None or o.on <= as_of]
        if any(_goes_on(each, as_of) for each in holder.pregnancies):
            known.append(Observation(PREGNANT))
        holder = replace(holder, facts=tuple(known))
        held = frozenset(each.code for each in known)
        doses, _ = examine(holder.born_on, history, as_of, self.compiled.schedule.vaccines)
        done = frozenset(each.cvx for each in doses)
        items: list[Item] = []
        touched: list[Occurrence] = []
        for occurrence, item in self._untouched(holder.born_on, holder.sex, as_of, held):
            if occurrence.facts.isdisjoint(held) and not (
                not occurrence.acts.isdisjoint(done)
                and _is_touched(occurrence, holder.born_on, doses)
            ):
                if isinstance(item, Item):
                    items.append(item)
                    continue
                if item is None:
                    continue
            touched.append(occurrence)
        found = self._engine.assess(
            Person(holder.born_on, holder.sex, holder.facts), history, as_of, _groups(touched)
        )
        items += self._items(touched, found.groups, holder, as_of)
        for day, asked in _anchored(self._later, holder, held, as_of):
            person = Person(day, holder.sex, holder.facts)
            since = self._engine.assess(person, history, as_of, _groups(asked))
            items += (
                replace(item, anchored_on=day)
                for item in self._items(asked, since.groups, holder, as_of)
            )
        return Prevention(tuple(items), found.aside)

    def _untouched(
        self, born_on: int, sex: str, as_of: int, held: frozenset[str]
    ) -> Sequence[tuple[Occurrence, Item | _Ask | None]]:
        """Return what is asked of all who were born that day and whom nothing touches.

        Remembered, since people come in the order of their birth dates when all are recomputed.
        """
        return self._of_day(born_on, sex, as_of, held & self._deciding)

    def _made(
        self, born_on: int, sex: str, as_of: int, deciding: frozenset[str]
    ) -> list[tuple[Occurrence, Item | _Ask | None]]:
        like = Holder(born_on, sex)
        made: list[tuple[Occurrence, Item | _Ask | None]] = []
        for occurrence in _of_this_season(self._born, as_of):
            if not _concerns(occurrence, like, deciding, as_of):
                continue
            try:
                forecasts = [
                    untouched(self.compiled.schedule.antigens[name], born_on, as_of)
                    for name in occurrence.groups
                ]
            except NotImplementedError:
                made.append((occurrence, _Ask.ENGINE))
                continue
            parts = {f.group: [f] for f in forecasts if f is not None}
            made.append((occurrence, self._item(occurrence, parts, like, as_of)))
        return made

    def _items(
        self,
        asked: Sequence[Occurrence],
        forecasts: Sequence[GroupForecast],
        holder: Holder,
        as_of: int,
    ) -> list[Item]:
        by_group: dict[str, list[GroupForecast]] = {}
        for each in forecasts:
            by_group.setdefault(each.group, []).append(each)
        made = (self._item(occurrence, by_group, holder, as_of) for occurrence in asked)
        return [item for item in made if item is not None]

    def _item(
        self,
        occurrence: Occurrence,
        by_group: dict[str, list[GroupForecast]],
        holder: Holder,
        as_of: int,
    ) -> Item | None:
        parts = [_chosen(by_group[name]) for name in occurrence.groups if name in by_group]
        if not parts:
            return None
        pending = [p for p in parts if p.status is SeriesStatus.NOT_COMPLETE]
        status = _status(parts)
        season = occurrence.season
        if season is not None and season.days.cessation < as_of and status is not _DONE:
            return None
        of = pending if status is ItemStatus.NOT_COMPLETE else parts
        schemes = tuple(name for p in of for name in p.series)
        said = [self.compiled.schemes[(p.group, name)].level for p in of for name in p.series]
        scheme_level = next((level for level in said if level is not None), None)
        item = Item(
            occurrence=occurrence,
            status=status,
            level=occurrence.rule.level_for(holder.born_on, as_of, scheme_level),
            why=tuple(why for p in of for why in p.why),
            schemes=tuple(dict.fromkeys(schemes)),
            verdicts=_verdicts(parts),
        )
        return item if status is not ItemStatus.NOT_COMPLETE else _dated(item, pending)


_DONE = ItemStatus.COMPLETE
_STATUS = {
    SeriesStatus.CONTRAINDICATED: ItemStatus.SUSPENDED,
    SeriesStatus.NOT_COMPLETE: ItemStatus.NOT_COMPLETE,
    SeriesStatus.COMPLETE: ItemStatus.COMPLETE,
    SeriesStatus.IMMUNE: ItemStatus.COMPLETE,
}


def _status(parts: Iterable[GroupForecast]) -> ItemStatus:
    """The status of a rule from those of its parts: what is open, then what is done."""
    held = {_STATUS.get(part.status, ItemStatus.AGED_OUT) for part in parts}
    return next(
        each
        for each in (ItemStatus.SUSPENDED, ItemStatus.NOT_COMPLETE, _DONE, ItemStatus.AGED_OUT)
        if each in held
    )


def _chosen(forecasts: Sequence[GroupForecast]) -> GroupForecast:
    """The forecast for those at risk goes before the one for everybody."""
    return next((f for f in forecasts if f.type is SeriesType.RISK), forecasts[0])


def _verdicts(parts: Iterable[GroupForecast]) -> tuple[DoseVerdict, ...]:
    found = [verdict for part in parts for verdict in part.doses]
    return tuple(sorted(found, key=lambda v: (v.administration.given_on, v.administration.place)))


def _dated(item: Item, pending: Sequence[GroupForecast]) -> Item | None:
    """Date the next act; None when its season, or the rule, is over before it can be done."""
    season = item.occurrence.season
    dated = [(p.earliest, p.recommended or p.earliest) for p in pending if p.earliest is not None]
    if not dated:
        return None
    due = min(due for _, due in dated)
    # Parts that cannot be given with the one that is due first wait for their own turn.
    earliest = max(earliest for earliest, _ in dated if earliest <= due)
    overdue = min((p.past_due + 1 for p in pending if p.past_due is not None), default=None)
    latest = min((p.latest for p in pending if p.latest is not None), default=None)
    if season is not None:
        overdue = season.late if overdue is None else overdue
        last = season.days.cessation
        latest = last if latest is None else min(latest, last)
        if earliest > latest:
            return None
    if earliest > item.rule.validity.cessation:
        return None
    if overdue is not None:
        overdue = max(earliest, overdue)
        overdue = overdue if latest is None or overdue <= latest + 1 else None
    return replace(
        item,
        earliest=earliest,
        due=max(earliest, due),
        overdue=overdue,
        latest=latest,
        number=max((p.dose_number for p in pending if p.dose_number is not None), default=None),
        acts=tuple(dict.fromkeys(act for p in pending for act in p.vaccines)),
    )


def _is_touched(occurrence: Occurrence, born_on: int, doses: Sequence[Administration]) -> bool:
    """Tell whether an act of the history can change what is asked."""
    for dose in doses:
        if dose.cvx in occurrence.after:
            return True
        for act, counts in occurrence.counting:
            if (
                act == dose.cvx
                and counts.given.covers(dose.given_on)
                and (counts.begin_age is None or dose.given_on >= add(born_on, counts.begin_age))
                and (counts.end_age is None or dose.given_on < add(born_on, counts.end_age))
            ):
                return True
    return False


def _groups(asked: Iterable[Occurrence]) -> list[str]:
    return [group for occurrence in asked for group in occurrence.groups]


def _concerns(occurrence: Occurrence, holder: Holder, held: frozenset[str], as_of: int) -> bool:
    """Tell whether a rule is in force for a person like this, before any date is looked at."""
    rule = occurrence.rule
    if not (rule.validity.covers(as_of) and rule.born_from <= holder.born_on <= rule.born_to):
        return False
    if rule.sex and rule.sex != holder.sex and rule.or_fact not in held:
        return False
    return rule.unless.isdisjoint(held)


def _goes_on(pregnancy: Pregnancy, as_of: int, after: int = 0) -> bool:
    if pregnancy.began_on > as_of:
        return False
    if pregnancy.ended_on is None or pregnancy.ended_on > as_of:
        return as_of - pregnancy.began_on <= LONGEST_PREGNANCY
    return pregnancy.delivered and as_of <= after


def _anchored(
    later: Sequence[Occurrence], holder: Holder, held: frozenset[str], as_of: int
) -> Iterator[tuple[int, list[Occurrence]]]:
    """Yield the days of pregnancies and deliveries, with what is asked from each of them."""
    if not holder.pregnancies:
        return
    asked = [o for o in _of_this_season(later, as_of) if _concerns(o, holder, held, as_of)]
    for each in holder.pregnancies:
        ended = each.ended_on
        going = [
            o
            for o in asked
            if o.rule.anchor is Anchor.PREGNANCY and _goes_on(each, as_of, _until(o.rule, ended))
        ]
        if going:
            yield each.began_on, going
        if each.delivered and ended is not None and ended <= as_of:
            yield ended, [o for o in asked if o.rule.anchor is Anchor.DELIVERY]


def _until(rule: Rule, ended: int | None) -> int:
    """The day until which a rule of pregnancy is asked after a delivery."""
    return 0 if ended is None or rule.after_delivery is None else add(ended, rule.after_delivery)


def _of_this_season(asked: Sequence[Occurrence], as_of: int) -> list[Occurrence]:
    """Of a rule with seasons keep the nearest that has not ended; of one for each, past ones too.

    A past season is shown when it was made use of.
    """
    nearest: dict[str, Occurrence] = {}
    for each in asked:
        if each.season is not None and as_of <= each.season.days.cessation:
            nearest.setdefault(each.rule.id, each)
    return [
        each
        for each in asked
        if each.season is None
        or nearest.get(each.rule.id) is each
        or (each.rule.each_season and each.season.days.cessation < as_of)
    ]
