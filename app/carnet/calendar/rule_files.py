"""Read a book of rules from a folder. All or nothing: the first broken rule refuses the folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from carnet.calendar.dates import FIRST, LAST, Period
from carnet.calendar.reading import choice, codes, day, flag, length, only, text, validity
from carnet.calendar.rules import (
    PREGNANT,
    Act,
    Anchor,
    Each,
    Fact,
    Kind,
    Level,
    LevelSince,
    Part,
    Rule,
    RuleBook,
    Scheme,
    Season,
    Step,
    Suspension,
    Words,
)
from carnet.calendar.schedule import Age, Interval, Place, Validity
from carnet.calendar.tree import BrokenSchedule, Node, read
from carnet.terminology.codes import diseases

FORMAT = "carnet-prevention/1"
SHIPPED = Path(__file__).parent / "schedules"
MOST_FILES = 100
MOST_RULES = 1000
MOST_OCCURRENCES = 100  # of one rule


def _names(said: str) -> frozenset[str]:
    return frozenset(said.split())


_SCHEDULE = _names("format kind name version source act fact season")
_RULE = _names(
    "id kind fr en level levels source unconfirmed valid_from valid_to anchor after_delivery sex"
    " or_fact born_from born_to unless suspended_by season each_season each part"
)
_PART = _names("act counts_from counts_to scheme")
_SCHEME = _names("name acts if_any start_from start_to level valid_from valid_to dose")
_DOSE = _names("acts age interval recurring")
_AGE = _names("abs_min min due late end")
_INTERVAL = _names("after_act after_fact abs_min min due late")
_KINDS = {each.value.casefold(): each for each in Kind}
_LEVELS = {each.value.casefold(): each for each in Level}
_ANCHORS = {each.value: each for each in Anchor}
_SEXES = {"f": "F", "m": "M"}


def load_rules(folder: Path) -> RuleBook:
    """Load the book in `folder`.

    Raises:
        BrokenSchedule: when any file breaks a rule of the format, or names what no file has.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    if len(paths) > MOST_FILES:
        raise BrokenSchedule(folder.name, 0, f"holds more than {MOST_FILES} files")
    common: list[Node] = []
    files: list[Node] = []
    for path in paths:
        root = read(path)
        if root.said("format") != FORMAT:
            raise root.broken(f"is not format: {FORMAT}")
        choice(root, "kind", {"schedule": common, "rules": files}).append(root)
    if len(common) != 1:
        raise BrokenSchedule(folder.name, 0, "needs exactly one file of kind schedule")
    return _Reader(common[0]).book(files)


def _needed(found: Period | None, node: Node, name: str) -> Period:
    if found is None:
        raise node.broken(f"{node.name} needs {name}")
    return found


def _years(node: Node, name: str, default: int | None = None) -> int:
    found = length(node, name)
    if found is None and default is not None:
        return default
    age = _needed(found, node, name)
    if age.months or age.days:
        raise node.broken(f"{name}: {age} is not in whole years")
    return age.years


def _in_order(node: Node, *bounds: Period | None) -> None:
    """Refuse bounds that go backwards, reckoned roughly: months of 30.4 days."""
    days = [b.years * 365.25 + b.months * 30.44 + b.days for b in bounds if b is not None]
    if days != sorted(days):
        raise node.broken(f"the bounds of this {node.name} are not in order")


class _Reader:
    """What the common file declares, to hold rules against."""

    def __init__(self, root: Node) -> None:
        only(root, _SCHEDULE)
        self.root = root
        self.acts = {act.code: act for act in self._unique(root, "act", self._act)}
        self.facts = {fact.code: fact for fact in self._unique(root, "fact", self._fact)}
        for node in root.all("act"):
            self._known(node, "but_not", codes(node, "but_not"), self.acts)
        self.seasons: dict[str, tuple[Season, ...]] = {}
        for node in root.all("season"):
            season = self._season(node)
            others = self.seasons.get(season.name, ())
            if others and others[-1].days.cessation >= season.days.effective:
                raise node.broken("a season begins before the one above it has ended")
            self.seasons[season.name] = (*others, season)

    def book(self, files: list[Node]) -> RuleBook:
        rules: dict[str, Rule] = {}
        for root in files:
            only(root, _names("format kind rule"))
            for node in root.all("rule"):
                rule = self._rule(node)
                if rule.id in rules:
                    raise node.broken(f"rule {rule.id} stands in {rules[rule.id].place} too")
                rules[rule.id] = rule
        if not 0 < len(rules) <= MOST_RULES:
            raise self.root.broken(f"a schedule has 1 to {MOST_RULES} rules, not {len(rules)}")
        root = self.root
        name, version, source = text(root, "name"), text(root, "version"), text(root, "source")
        return RuleBook(name, version, source, self.acts, self.facts, self.seasons, rules)

    @staticmethod
    def _unique(root: Node, name: str, make):  # type: ignore[no-untyped-def]
        seen: set[str] = set()
        for node in root.all(name):
            made = make(node)
            if made.code in seen:
                raise node.broken(f"{name} {made.code} stands twice")
            seen.add(made.code)
            yield made

    @staticmethod
    def _known(node: Node, what: str, named: Collection[str], among: Collection[str]) -> None:
        for name in named:
            if name not in among:
                raise node.broken(f"{what}: the schedule has no {name!r}")

    def _act(self, node: Node) -> Act:
        only(node, _names("code fr en diseases codings but_not"))
        covered = codes(node, "diseases")
        self._known(node, "diseases", covered, diseases())
        return Act(
            text(node, "code"), _words(node), covered, codes(node, "codings"), node.said("but_not")
        )

    def _fact(self, node: Node) -> Fact:
        only(node, _names("code fr en icd10"))
        return Fact(text(node, "code"), _words(node), tuple(sorted(codes(node, "icd10"))))

    @staticmethod
    def _season(node: Node) -> Season:
        only(node, _names("name label from late to"))
        days = validity(node, "from", "to")
        late = day(node, "late", FIRST)
        if days.effective == FIRST or days.cessation == LAST:
            raise node.broken("a season needs from and to")
        if late != FIRST and not days.covers(late):
            raise node.broken("late is not in the season")
        return Season(
            text(node, "name"), text(node, "label"), days, None if late == FIRST else late
        )

    def _rule(self, node: Node) -> Rule:
        only(node, _RULE)
        unless = codes(node, "unless")
        or_fact = node.said("or_fact")
        self._known(node, "unless", unless, self.facts)
        self._known(node, "or_fact", [or_fact] if or_fact else (), self.facts)
        season = node.said("season")
        self._known(node, "season", [season] if season else (), self.seasons)
        each = self._each(node)
        anchor = choice(node, "anchor", _ANCHORS, Anchor.BIRTH)
        if each is not None and (season or anchor is not Anchor.BIRTH):
            raise node.broken("each goes with ages from birth, without season")
        parts = tuple(map(self._part, node.all("part")))
        if not parts or len({part.name for part in parts}) < len(parts):
            raise node.broken("a rule needs parts, of one act each")
        born = validity(node, "born_from", "born_to")
        return Rule(
            id=text(node, "id"),
            kind=choice(node, "kind", _KINDS),
            words=_words(node),
            level=choice(node, "level", _LEVELS),
            place=Place(node.file, node.line, text(node, "source")),
            parts=parts,
            unconfirmed=node.said("unconfirmed"),
            levels=tuple(map(_level_since, node.all("levels"))),
            validity=validity(node, "valid_from", "valid_to"),
            anchor=anchor,
            after_delivery=length(node, "after_delivery"),
            sex=choice(node, "sex", _SEXES) if node.said("sex") else "",
            or_fact=or_fact,
            born_from=born.effective,
            born_to=born.cessation,
            unless=unless,
            suspension=self._suspension(node),
            season=season,
            each_season=flag(node, "each_season"),
            each=each,
        )

    def _suspension(self, node: Node) -> Suspension | None:
        found = node.one("suspended_by")
        if found is None:
            return None
        only(found, _names("fact fr en"))
        fact = text(found, "fact")
        self._known(found, "fact", [fact], self.facts)
        return Suspension(fact, _words(found))

    @staticmethod
    def _each(node: Node) -> Each | None:
        found = node.one("each")
        if found is None:
            return None
        only(found, _names("from to every before"))
        each = Each(
            _years(found, "from"),
            _years(found, "to"),
            _years(found, "every"),
            _years(found, "before", 0),
        )
        if each.every < 1 or not 0 < len(each.ages()) <= MOST_OCCURRENCES:
            raise found.broken(f"each makes 1 to {MOST_OCCURRENCES} ages")
        return each

    def _part(self, node: Node) -> Part:
        only(node, _PART)
        acts = tuple(each.text for each in node.all("act"))
        self._known(node, "act", acts, self.acts)
        schemes = tuple(self._scheme(each, acts) for each in node.all("scheme"))
        if not acts or not schemes:
            raise node.broken("part needs act and scheme")
        if len({scheme.name for scheme in schemes}) < len(schemes):
            raise node.broken("two schemes have one name")
        counts = length(node, "counts_from"), length(node, "counts_to")
        _in_order(node, *counts)
        return Part(acts, schemes, *counts)

    def _scheme(self, node: Node, acts: tuple[str, ...]) -> Scheme:
        only(node, _SCHEME)
        used = codes(node, "acts") or frozenset(acts)
        self._known(node, "acts", used, acts)
        if_any = tuple(sorted(codes(node, "if_any")))
        self._known(node, "if_any", if_any, self.facts)
        steps = tuple(self._step(each, used) for each in node.all("dose"))
        if not steps:
            raise node.broken("scheme needs a dose")
        if any(step.recurring for step in steps[:-1]):
            raise node.broken("only the last dose of a scheme recurs")
        start = length(node, "start_from"), length(node, "start_to")
        _in_order(node, *start)
        return Scheme(
            name=text(node, "name"),
            place=Place(node.file, node.line),
            steps=steps,
            acts=used,
            if_any=if_any,
            start_from=start[0],
            start_to=start[1],
            level=choice(node, "level", _LEVELS) if node.said("level") else None,
            validity=validity(node, "valid_from", "valid_to"),
        )

    def _step(self, node: Node, acts: frozenset[str]) -> Step:
        only(node, _DOSE)
        used = codes(node, "acts") or acts
        self._known(node, "acts", used, acts)
        return Step(
            place=Place(node.file, node.line),
            acts=used,
            age=_age(node.one("age")),
            intervals=tuple(map(self._interval, node.all("interval"))),
            recurring=flag(node, "recurring"),
        )

    def _interval(self, node: Node) -> Interval:
        only(node, _INTERVAL)
        act, fact = node.said("after_act"), node.said("after_fact")
        if act and fact:
            raise node.broken("an interval counts from one thing")
        self._known(node, "after_act", [act] if act else (), self.acts)
        self._known(node, "after_fact", [fact] if fact else (), self.facts)
        least, minimum, due, late = (
            length(node, name) for name in ("abs_min", "min", "due", "late")
        )
        _in_order(node, least, minimum, due, late)
        return Interval(
            from_previous=not (act or fact),
            from_most_recent=frozenset([act]) if act else frozenset(),
            from_observation=fact or None,
            absolute_minimum=minimum if least is None else least,
            minimum=minimum,
            earliest_recommended=due,
            latest_recommended=late,
        )


def _age(node: Node | None) -> Age:
    if node is None:
        return Age()
    only(node, _AGE)
    least, minimum, due, late, end = (
        length(node, name) for name in ("abs_min", "min", "due", "late", "end")
    )
    _in_order(node, least, minimum, due, late, end)
    return Age(minimum if least is None else least, minimum, due, late, end)


def _words(node: Node) -> Words:
    return Words(text(node, "fr"), text(node, "en"))


def _level_since(node: Node) -> LevelSince:
    only(node, _names("level since born_from"))
    return LevelSince(
        choice(node, "level", _LEVELS), day(node, "since", FIRST), day(node, "born_from", FIRST)
    )


def shipped() -> Iterator[str]:
    """Yield the names of the books that come with Carnet."""
    yield from sorted(each.name for each in SHIPPED.iterdir() if each.is_dir())


__all__ = ["FORMAT", "PREGNANT", "SHIPPED", "Validity", "load_rules", "shipped"]
