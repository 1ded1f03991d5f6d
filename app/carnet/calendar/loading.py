"""Load a folder as one schedule: the CDC's supporting data (XML) or our own format (YAML).

All or nothing: the first broken rule refuses the folder, and says its file, line and rule.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from carnet.calendar import building
from carnet.calendar.reading import as_cvx, cvx, flag, length, needed_length, only, text
from carnet.calendar.schedule import (
    Antigen,
    Association,
    Conflict,
    Schedule,
    VaccineGroup,
)
from carnet.calendar.tree import BrokenSchedule, Node, read

FORMAT = "carnet-schedule/1"
MOST_FILES = 500
_VERSION = re.compile(r"(\d+\.\d+)")
_PARTS = frozenset(
    {
        "format",
        "kind",
        "name",
        "version",
        "live_virus_conflicts",
        "vaccine_groups",
        "vaccine_group_to_antigen_map",
        "cvx_to_antigen_map",
        "observations",
    }
)


def load(folder: Path) -> Schedule:
    """Load the schedule in `folder`.

    Raises:
        BrokenSchedule: when any file breaks a rule of the format, or two files disagree.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".xml", ".yaml", ".yml"))
    if len(paths) > MOST_FILES:
        raise BrokenSchedule(folder.name, 0, f"holds more than {MOST_FILES} files")
    common: list[Node] = []
    antigens: dict[str, Antigen] = {}
    for path in paths:
        root = read(path)
        if _kind(root) == "schedule":
            common.append(root)
            continue
        found = building.antigen(root)
        if found.name in antigens:
            raise root.broken(f"antigen {found.name!r} is in another file too")
        antigens[found.name] = found
    if len(common) != 1:
        raise BrokenSchedule(folder.name, 0, "needs exactly one file of kind schedule")
    return _schedule(common[0], antigens, folder)


def _kind(root: Node) -> str:
    if root.name == "antigen_supporting_data":
        return "antigen"
    if root.name == "schedule_supporting_data":
        return "schedule"
    if root.name != "schedule" or root.said("format") != FORMAT:
        raise root.broken(f"is neither the CDC's supporting data nor format: {FORMAT}")
    kind = text(root, "kind")
    if kind not in ("schedule", "antigen"):
        raise root.broken(f"kind: {kind!r} is neither schedule nor antigen")
    return kind


def _listed(root: Node, holder: str, item: str) -> Iterable[Node]:
    parent = root.one(holder)
    if parent is None:
        return
    only(parent, frozenset({item}))
    yield from parent.all(item)


def _schedule(root: Node, antigens: Mapping[str, Antigen], folder: Path) -> Schedule:
    only(root, _PARTS)
    groups = tuple(_groups(root, antigens))
    known = {name: group.name for group in groups for name in group.antigens}
    for each in antigens.values():
        for series in each.series:
            if known.get(each.name) != series.vaccine_group:
                place = series.place
                rule = f"vaccine_group {series.vaccine_group!r} does not map to {each.name!r}"
                raise BrokenSchedule(place.file, place.line, rule)
    vaccines: dict[str, tuple[Association, ...]] = {}
    names: dict[str, str] = {}
    for node in _listed(root, "cvx_to_antigen_map", "cvx_map"):
        code = cvx(node)
        if code in vaccines:
            raise node.broken(f"cvx {code} is mapped twice")
        vaccines[code] = tuple(
            Association(text(a, "antigen"), length(a, "association_begin_age"),
                        length(a, "association_end_age"))
            for a in node.all("association")
        )  # fmt: skip
        names[code] = node.said("short_description")
    version = _VERSION.search(folder.name)
    return Schedule(
        name=root.said("name", "CDC CDSi supporting data"),
        version=root.said("version", version[1] if version else "unknown"),
        antigens=antigens,
        groups=groups,
        vaccines=vaccines,
        vaccine_names=names,
        conflicts=_conflicts(root),
        observations={
            text(node, "observation_code"): node.said("observation_title")
            for node in _listed(root, "observations", "observation")
        },
    )


def _groups(root: Node, antigens: Mapping[str, Antigen]) -> Iterable[VaccineGroup]:
    full = {
        text(node, "name"): flag(node, "administer_full_vaccine_group")
        for node in _listed(root, "vaccine_groups", "vaccine_group")
    }
    seen: set[str] = set()
    for node in _listed(root, "vaccine_group_to_antigen_map", "vaccine_group_map"):
        name = text(node, "name")
        members = tuple(each.text for each in node.all("antigen"))
        if name not in full:
            raise node.broken(f"vaccine group {name!r} is not declared")
        for member in members:
            if member not in antigens or member in seen:
                raise node.broken(f"antigen {member!r} has no file, or is in two vaccine groups")
            seen.add(member)
        yield VaccineGroup(name, members, full[name])


def _conflicts(root: Node) -> dict[str, dict[str, Conflict]]:
    """Conflicts by current vaccine, then by previous vaccine."""
    found: dict[str, dict[str, Conflict]] = {}
    for node in _listed(root, "live_virus_conflicts", "live_virus_conflict"):
        previous, current = node.one("previous"), node.one("current")
        if previous is None or current is None:
            raise node.broken("live_virus_conflict needs previous and current")
        found.setdefault(as_cvx(text(current, "cvx")), {})[as_cvx(text(previous, "cvx"))] = (
            Conflict(
                needed_length(node, "conflict_begin_interval"),
                needed_length(node, "min_conflict_end_interval"),
                needed_length(node, "conflict_end_interval"),
            )
        )
    return found
