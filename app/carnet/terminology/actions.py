"""What the operator does with terminology: loads published nomenclatures."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import UserMistake
from carnet.store.base import Base
from carnet.store.database import Work
from carnet.terminology import sources
from carnet.terminology.nuva import Nomenclature, Vaccine
from carnet.terminology.queries import KEYS_AT_ONCE
from carnet.terminology.sources import Kind, Source
from carnet.terminology.systems import NUVA, PUBLISHED
from carnet.terminology.tables import Concept, VaccineCode
from carnet.terminology.valuesets import ValueSet, read_value_sets

ONE_AT_A_TIME = 0x7465726D696E6F6C  # the advisory lock of loads: «terminol»

Key = tuple[str, str]
"""A code's system and the code."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one code system's vaccines, or of one value set.

    ``total`` codes are known now; ``changed`` of them are new or mean something else than before,
    and ``removed`` ones were known before.
    """

    name: str
    total: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did, and what it left out."""

    loaded: tuple[Loaded, ...]
    unknown_targets: Mapping[str, int]
    """Vaccines by the target of NUVA that is none of our diseases."""
    ignored: Mapping[str, int]
    """Codes by the system, in NUVA's words, that is not looked up."""
    skipped: tuple[Path, ...]
    """Files of folders that are not of a known kind."""


async def load(work: Work, paths: Sequence[Path], told: Callable[[str], None]) -> LoadReport:
    """Load published nomenclatures: the files of NUVA, and French value sets.

    All files of one load are read together, in any order. The codes of each system they speak of
    are replaced by what they say, those of each value set likewise; the rest stays. All changes
    belong to the caller's transaction. Loading the same files again changes nothing.

    Args:
        work: a write; loads wait for one another.
        paths: files, or folders, of which the files of unknown kinds are skipped.
        told: is called with the name of each file that is about to be read.

    Raises:
        UserMistake: a named file is of no known kind, or one is malformed (it says where), or
            NUVA's codes are loaded before its units.
    """
    files, skipped = await _read(paths, told)
    await work.session.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
    nuva = Nomenclature()
    loaded = []
    if any(kind is not Kind.VALUE_SET for kind in files):
        if Kind.UNITS not in files:
            nuva.vaccines = await _known_vaccines(work)
        await asyncio.to_thread(_add, nuva, files)
        loaded += await _store_vaccines(work, nuva)
    value_sets = await asyncio.to_thread(_value_sets, files[Kind.VALUE_SET])
    loaded += await _store_value_sets(work, value_sets)
    return LoadReport(tuple(loaded), dict(nuva.unknown_targets), dict(nuva.ignored), skipped)


async def _read(
    paths: Sequence[Path], told: Callable[[str], None]
) -> tuple[dict[Kind, list[Source]], tuple[Path, ...]]:
    """Return the files by kind and those skipped."""
    files: dict[Kind, list[Source]] = defaultdict(list)
    skipped = []
    for path, is_named in await asyncio.to_thread(sources.find, paths):
        told(path.name)
        source = await asyncio.to_thread(sources.read, path)
        if source is not None:
            files[source.kind].append(source)
        elif is_named:
            raise sources.mistake(path, "this is not a file of NUVA nor a value set.")
        else:
            skipped.append(path)
    if not files:
        raise UserMistake("There is no file of NUVA nor a value set in these folders.")
    return files, tuple(skipped)


def _add(nuva: Nomenclature, files: Mapping[Kind, Iterable[Source]]) -> None:
    """Read NUVA's files in the order in which they need each other."""
    for kind, add in (
        (Kind.UNITS, nuva.add_units),
        (Kind.CORE, nuva.add_core),
        (Kind.FRENCH, nuva.add_french),
        (Kind.ALIGNMENT, nuva.add_alignment),
    ):
        for source in files.get(kind, ()):
            add(source)


def _value_sets(files: Iterable[Source]) -> list[ValueSet]:
    """Return the value sets by name; one that is in several files is what they say together."""
    found: dict[str, ValueSet] = {}
    for source in files:
        for each in read_value_sets(source):
            earlier = found.get(each.name)
            displays = {**each.displays, **earlier.displays} if earlier else each.displays
            found[each.name] = ValueSet(each.name, displays)
    return [found[name] for name in sorted(found)]


async def _known_vaccines(work: Work, system: str = NUVA) -> dict[str, Vaccine]:
    """Return the codes of a system as an earlier load left them."""
    rows = await work.session.scalars(select(VaccineCode).where(VaccineCode.system == system))
    return {row.code: Vaccine(row.label, frozenset(row.disease_codes)) for row in rows}


async def _store_vaccines(work: Work, nuva: Nomenclature) -> list[Loaded]:
    names = {system: name for name, system in PUBLISHED.items()}
    loaded = []
    for system, codes in nuva.rows().items():
        known = await _known_vaccines(work, system)
        changed = {code: means for code, means in codes.items() if known.get(code) != means}
        removed = known.keys() - codes.keys()
        await _put(
            work,
            VaccineCode,
            [
                {
                    "system": system,
                    "code": code,
                    "label": means.label,
                    "disease_codes": sorted(means.diseases),
                    "loaded_at": work.now,
                }
                for code, means in changed.items()
            ],
        )
        await _remove(work, VaccineCode, [(system, code) for code in removed])
        loaded.append(Loaded(names[system], len(codes), len(changed), len(removed)))
    return loaded


async def _store_value_sets(work: Work, value_sets: Sequence[ValueSet]) -> list[Loaded]:
    """Replace the value sets.

    A code that several value sets have is one row. It belongs to one of them, and means what was
    loaded last; within one load, the first value set by name decides.
    """
    sets = {value_set.name: value_set.displays for value_set in value_sets}
    decides: dict[Key, str] = {}
    for name, displays in sets.items():
        for key in displays:
            decides.setdefault(key, name)
    known = await _known_concepts(work, sets.keys(), decides.keys())
    changed: dict[Key, dict[str, object]] = {}
    for key, name in decides.items():
        display, owner = sets[name][key], name
        if key in known:
            before, holder = known[key]
            owner = holder if holder not in sets or key in sets[holder] else name
            if (before, holder) == (display, owner):
                continue
        changed[key] = {
            "system": key[0],
            "code": key[1],
            "display": display,
            "value_set": owner,
            "loaded_at": work.now,
        }
    removed = known.keys() - decides.keys()
    await _put(work, Concept, list(changed.values()))
    await _remove(work, Concept, removed)
    changes = Counter(decides[key] for key in changed)
    removals = Counter(known[key][1] for key in removed)
    return [Loaded(name, len(sets[name]), changes[name], removals[name]) for name in sets]


async def _known_concepts(
    work: Work, names: Collection[str], keys: Collection[Key]
) -> dict[Key, tuple[str, str]]:
    """Return what the keys mean and to which value set they belong; all keys of the value sets."""
    rows = list(await work.session.scalars(select(Concept).where(Concept.value_set.in_(names))))
    columns = tuple_(Concept.system, Concept.code)
    for some in _batches(sorted(keys)):
        rows += await work.session.scalars(select(Concept).where(columns.in_(some)))
    return {(row.system, row.code): (row.display, row.value_set) for row in rows}


async def _put(work: Work, table: type[Base], rows: Sequence[dict[str, object]]) -> None:
    """Insert the rows, or overwrite those of the same system and code."""
    if not rows:
        return
    statement = insert(table)
    others = rows[0].keys() - {"system", "code"}
    statement = statement.on_conflict_do_update(
        index_elements=["system", "code"],
        set_={name: statement.excluded[name] for name in others},
    )
    await work.session.execute(statement, rows)


async def _remove(work: Work, table: type[VaccineCode | Concept], keys: Collection[Key]) -> None:
    columns = tuple_(table.system, table.code)
    for some in _batches(sorted(keys)):
        await work.session.execute(delete(table).where(columns.in_(some)))


def _batches(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Cut the keys into pieces that fit into one statement."""
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
