"""The patient of an HL7 v2 message: its PID segment. Pure."""

from __future__ import annotations

import re

from carnet.errors import ValidationFailed
from carnet.intake.dates import read_day
from carnet.intake.hl7v2.message import Component, Segment
from carnet.intake.model import PatientClaim
from carnet.people.identifiers import is_national, normalize, normalize_system
from carnet.people.tables import Sex
from carnet.values import Identifier, PartialDate

VALUE_LIMIT = 200  # characters
WITHOUT_KEY = 13  # characters of a NIR before its key

_SEX = {"F": Sex.FEMALE, "M": Sex.MALE, "O": Sex.OTHER, "A": Sex.OTHER}
_INSEE = re.compile(r"\d[\dAB]\d{3}", re.ASCII)
_BIRTH_ADDRESS = "BDL"  # XAD-7: the address is the place of birth


def read_patient(pid: Segment) -> PatientClaim:
    """Return who a PID says the patient is."""
    birth_name, used_name, given_names = _names(pid)
    deceased_on = _day(pid.text(29))
    return PatientClaim(
        identifiers=_identifiers(pid),
        birth_family_name=birth_name,
        used_family_name=used_name,
        given_names=given_names,
        birth_date=_day(pid.text(7)),
        sex=_SEX.get(pid.text(8).upper(), Sex.UNKNOWN),
        birth_place_code=_birth_place(pid),
        is_deceased=deceased_on is not None or pid.text(30).upper() == "Y",
        deceased_on=deceased_on,
        is_reference=birth_name is None,
    )


def is_same_patient(one: PatientClaim, other: PatientClaim) -> bool:
    """Tell whether two claims can be the same person by their numbers.

    They have one in common; and where both have national numbers, one of these. The key at the
    end of a national number is left aside: some software omits it.
    """
    ours, theirs = _numbers(one), _numbers(other)
    our_national = {number for number in ours if is_national(number[0])}
    their_national = {number for number in theirs if is_national(number[0])}
    if our_national and their_national:
        return not our_national.isdisjoint(their_national)
    return not ours.isdisjoint(theirs)


def _numbers(claim: PatientClaim) -> set[tuple[str, str]]:
    plain = (normalize(identifier) for identifier in claim.identifiers)
    return {
        (each.system, each.value[:WITHOUT_KEY] if is_national(each.system) else each.value)
        for each in plain
    }


def authority(component: Component) -> str | None:
    """Return an assigning authority (HD) as a URI, or as it is named when it has no OID.

    A local name is taken together with its number and the number's kind: hospitals share names.
    """
    name, number, kind = (component.sub(part) for part in (1, 2, 3))
    if number and kind.upper() == "ISO":
        return normalize_system(number)
    parts = "&".join((name, number, kind)).strip("&")
    return parts if parts and len(parts) <= VALUE_LIMIT else None


def _identifiers(pid: Segment) -> tuple[Identifier, ...]:
    found: dict[tuple[str, str], Identifier] = {}
    for number in pid.repetitions(3):
        value, system = number.text(1), authority(number[4])
        if value and system and len(value) <= VALUE_LIMIT:
            found.setdefault((system, value), Identifier(system, value))
    return tuple(found.values())


def _names(pid: Segment) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the family name at birth, the one used, and the given names.

    In France the legal name (L) is the one at birth and the displayed one (D) is used; where a
    maiden name (M) is sent, that one is the name at birth.
    """
    families: dict[str, str] = {}
    given: dict[str, tuple[str, ...]] = {}
    for name in pid.repetitions(5):
        kind = name.text(7).upper() or "L"
        if kind == "S" or kind in families:  # a pseudonym is no civil name
            continue
        if name[1].sub(1):
            families[kind] = name[1].sub(1)[:VALUE_LIMIT]
        given[kind] = _given_names(name.text(2), name.text(3))
    birth = families.get("M") or families.get("L") or next(iter(families.values()), None)
    used = families.get("D") or (families.get("L") if "M" in families else None)
    names = next((given[kind] for kind in ("L", "M", *given) if given.get(kind)), ())
    return birth, used, names


def _given_names(first: str, others: str) -> tuple[str, ...]:
    """Return the first given name and the others; the list of all of them may repeat the first."""
    known = {word.casefold() for word in first.split()}
    words = [word for word in others.replace(",", " ").split() if word.casefold() not in known]
    return tuple(word[:VALUE_LIMIT] for word in ([first] if first else []) + words)[:20]


def _day(text: str) -> PartialDate | None:
    try:
        return read_day(text) if text else None
    except ValidationFailed:
        return None


def _birth_place(pid: Segment) -> str | None:
    """Return the INSEE code of the place of birth: the county of the address of that kind."""
    for address in pid.repetitions(11):
        found = _INSEE.fullmatch(address.text(9).upper())
        if address.text(7).upper() == _BIRTH_ADDRESS and found is not None:
            return found[0]
    return None
