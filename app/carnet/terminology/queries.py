"""Look-ups in the shipped tables first, and in the loaded ones for what is left."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select, tuple_

from carnet.store.database import Work
from carnet.terminology.codes import diseases_of_code, display, vaccine_key
from carnet.terminology.systems import FACILITY_TYPES, normalize_system
from carnet.terminology.tables import Concept, VaccineCode
from carnet.values import Coding

KEYS_AT_ONCE = 5_000


async def diseases_of_many(
    work: Work, vaccines: Sequence[Sequence[Coding]]
) -> list[frozenset[str]]:
    """Return what each vaccine protects against, by all of its codes.

    Args:
        work: asked only for codes that the shipped tables do not know, all at once.
        vaccines: the codings of each vaccine; empty ones protect against nothing known.
    """
    keys = [[vaccine_key(coding) for coding in codings] for codings in vaccines]
    shipped = {key: diseases_of_code(*key) for vaccine in keys for key in vaccine}
    loaded = await _loaded(work, [key for key, found in shipped.items() if found is None])
    return [
        frozenset(
            disease for key in vaccine for disease in shipped[key] or loaded.get(key, frozenset())
        )
        for vaccine in keys
    ]


async def _loaded(
    work: Work, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    columns = tuple_(VaccineCode.system, VaccineCode.code)
    for start in range(0, len(keys), KEYS_AT_ONCE):
        statement = select(VaccineCode).where(columns.in_(keys[start : start + KEYS_AT_ONCE]))
        for row in await work.session.scalars(statement):
            found[row.system, row.code] = frozenset(row.disease_codes)
    return found


async def is_facility_type(work: Work, code: str) -> bool:
    """Tell whether a code is an XDS healthcareFacilityTypeCode, shipped or loaded."""
    if any(display(system, code, "fr") is not None for system in FACILITY_TYPES):
        return True
    loaded = select(Concept.code).where(Concept.system.in_(FACILITY_TYPES), Concept.code == code)
    return await work.session.scalar(loaded.limit(1)) is not None


async def displays(
    _actor: object, work: Work, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return what codes of loaded value sets mean, by (system, code); public to everybody."""
    columns = tuple_(Concept.system, Concept.code)
    wanted = {(normalize_system(system), code): (system, code) for system, code in keys}
    rows = await work.session.scalars(select(Concept).where(columns.in_(list(wanted))))
    return {wanted[row.system, row.code]: row.display for row in rows}
