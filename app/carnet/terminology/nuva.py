"""The vaccine nomenclature NUVA as it is published: vaccines, what is in them, their codes. Pure.

A vaccine has valences, a valence has a target, a target is a disease. Codes of other systems are
said to be codes of vaccines; where one code is said of several, it means what all of them share.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from carnet.terminology.codes import diseases
from carnet.terminology.sources import NUVA_ID, Source, is_code, label_of, mistake
from carnet.terminology.systems import NUVA, PUBLISHED, plain_code
from carnet.terminology.units import Unit, load_yaml, read_units

PARENTS_LIMIT = 20  # valences above one another; published ones have 4 at most
_OWN_CODE = "NUVACode"  # a vaccine's own id without its letters


@dataclass(frozen=True, slots=True)
class Vaccine:
    """What is known of one code for vaccines."""

    label: str
    diseases: frozenset[str]


@dataclass(slots=True)
class Nomenclature:
    """What the files of one load say together, as they are added."""

    vaccines: dict[str, Vaccine] = field(default_factory=dict)
    """By NUVA id; from the units, or from an earlier load."""
    codes: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """NUVA ids by code, by NUVA's name of the system."""
    labels: dict[str, str] = field(default_factory=dict)
    french: dict[str, str] = field(default_factory=dict)
    unknown_targets: Counter[str] = field(default_factory=Counter)
    """Vaccines by the target that none of our diseases is."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Codes by the system that is not looked up."""

    def rows(self) -> dict[str, dict[str, Vaccine]]:
        """Return what each code means, by the system's URI; a code for nothing known is kept."""
        made: dict[str, dict[str, Vaccine]] = {}
        if self.vaccines:
            made[NUVA] = {
                id_: Vaccine(
                    self.french.get(id_) or self.labels.get(id_) or known.label, known.diseases
                )
                for id_, known in self.vaccines.items()
            }
        for name, codes in self.codes.items():
            made[PUBLISHED[name]] = {
                code: _shared([made[NUVA][id_] for id_ in sorted(ids)])
                for code, ids in codes.items()
            }
        return made

    def _say(self, name: str, code: str, id_: str) -> None:
        codes = self.codes.setdefault(name, {})
        codes.setdefault(plain_code(PUBLISHED[name], code), set()).add(id_)

    def add_units(self, source: Source) -> None:
        """Add the archive of the units.

        Raises:
            UserMistake: it is damaged, too large, or a unit lacks what it needs.
        """
        units = read_units(source)
        targets = _targets(source, units.valences)
        ours = {disease.nuva: disease.code for disease in diseases().values() if disease.nuva}
        for id_, unit in units.vaccines.items():
            label = label_of(unit.text("label"))
            if not label:
                raise unit.mistake("a vaccine needs a label.")
            held = set()
            for valence in unit.texts("valences"):
                if valence not in targets:
                    raise unit.mistake("it has a valence that is not in the archive.")
                held.add(targets[valence])
            self.unknown_targets.update(held - ours.keys())
            self.vaccines[id_] = Vaccine(label, frozenset(ours[t] for t in held & ours.keys()))
            for name, codes in unit.lists("codes").items():
                if name in PUBLISHED:
                    for code in codes:
                        if not is_code(code):
                            raise unit.mistake("it has a code that is none.")
                        self._say(name, code, id_)
                elif name != _OWN_CODE:
                    self.ignored[name] += len(codes)

    def add_alignment(self, source: Source) -> None:
        """Add the codes of one system: its name, ``NUVA`` and ``Label`` head the columns.

        Call it when the vaccines are known.

        Raises:
            UserMistake: a row is not as it should be, or names no known vaccine.
        """
        heading, rows = _table(source, 3)
        name = heading[0]
        if name not in PUBLISHED:
            self.ignored[name] += len(rows)
            return
        if not self.vaccines:
            raise mistake(
                source.path,
                "what these vaccines protect against is not known yet;"
                " load nuva_units.tar.gz before, or with it.",
            )
        self.codes.setdefault(name, {})
        for line, (code, id_, _) in rows:
            code = code.strip().removeprefix(f"{name}-")
            if not is_code(code):
                raise mistake(source.path, "this is no code.", line=line)
            if id_ not in self.vaccines:
                raise mistake(source.path, "NUVA's units have no such vaccine.", line=line)
            self._say(name, code, id_)

    def add_core(self, source: Source) -> None:
        """Add the English names of vaccines.

        Raises:
            UserMistake: a row is not as it should be.
        """
        for line, (id_, label, *_) in _table(source, 4)[1]:
            self.labels[id_] = label_of(label)
            if not (NUVA_ID.fullmatch(id_) and self.labels[id_]):
                raise mistake(source.path, "a vaccine needs an id and a label.", line=line)

    def add_french(self, source: Source) -> None:
        """Add the French names of vaccines, whose keys are their ids and an L.

        Raises:
            UserMistake: it is not YAML, or not of this form.
        """
        loaded = load_yaml(source.path, source.text)
        names = loaded.get("fr")
        vaccines = names.get("vaccine") if isinstance(names, dict) else None
        if not isinstance(vaccines, dict):
            raise mistake(source.path, "there is no list of French names of vaccines.")
        for key, label in vaccines.items():
            if isinstance(key, str) and key.endswith("L") and NUVA_ID.fullmatch(key[:-1]):
                name = label_of(label) if isinstance(label, str) else ""
                if not name:
                    raise mistake(source.path, f"the name of {key[:-1]} should be a text.")
                self.french[key[:-1]] = name


def _shared(vaccines: Iterable[Vaccine]) -> Vaccine:
    first, *others = vaccines
    return Vaccine(first.label, first.diseases.intersection(*(v.diseases for v in others)))


def _targets(source: Source, valences: Mapping[str, Unit]) -> dict[str, str]:
    """Return each valence's target, its own or that of the nearest valence above it."""
    found = {}
    for id_, unit in valences.items():
        above: Unit | None = unit
        for _ in range(PARENTS_LIMIT):
            if above is None or above.text("target"):
                break
            above = valences.get(above.text("parent"))
        target = above.text("target") if above else ""
        if not is_code(target):
            raise unit.mistake("neither this valence nor one above it has a target.")
        found[id_] = target
    return found


def _table(source: Source, columns: int) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the heading and the numbered rows of a CSV file."""
    try:
        lines = source.text.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        line = source.text.count(b"\n", 0, error.start) + 1
        raise mistake(source.path, "this is not UTF-8.", line=line) from None
    reader = csv.reader(lines, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        heading = next(reader)
        for row in reader:
            if row:
                rows.append((reader.line_num, row))
            if row and len(row) != columns:
                raise mistake(
                    source.path,
                    f"{columns} columns are expected, not {len(row)}.",
                    line=reader.line_num,
                )
    except csv.Error:
        raise mistake(source.path, "this is not CSV.", line=reader.line_num) from None
    return heading, rows
