"""Identifiers of persons and professionals: their systems, check keys and normal form. Pure.

A wrong key is told, never refused: official specimens carry wrong keys.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from carnet.values import Identifier

INS_NIR = "urn:oid:1.2.250.1.213.1.4.8"  # the NIR used as national health identity
INS_NIA = "urn:oid:1.2.250.1.213.1.4.9"  # the same for who awaits a NIR
INS_NIR_TEST = "urn:oid:1.2.250.1.213.1.4.10"
INS_NIR_DEMO = "urn:oid:1.2.250.1.213.1.4.11"
INS_C = "urn:oid:1.2.250.1.213.1.4.2"  # computed from traits, before 2019; it has no NIR key
ID_NAT_PS = "urn:oid:1.2.250.1.71.4.2.1"  # a type digit, then the number: 8 for RPPS
RPPS = "https://rpps.esante.gouv.fr"

_WITH_KEY = frozenset({INS_NIR, INS_NIA, INS_NIR_TEST, INS_NIR_DEMO})
NATIONAL = _WITH_KEY | {INS_C}

_OID = re.compile(r"(?:urn:oid:|oid:)?([0-2](?:\.(?:0|[1-9]\d*))+)", re.ASCII | re.IGNORECASE)
_NIR = re.compile(r"(\d{5}(?:\d{2}|2[AB])\d{6})(\d{2})?", re.ASCII)
_RPPS = re.compile(r"\d{11}", re.ASCII)
_ID_NAT_PS_RPPS = re.compile(r"8(\d{11})", re.ASCII)
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"})


@lru_cache(maxsize=256)  # a handful of systems, asked about for every number
def normalize_system(system: str) -> str:
    """Return a system as a URI; an OID, bare or with a prefix, becomes ``urn:oid:…``."""
    system = system.strip()
    found = _OID.fullmatch(system)
    return f"urn:oid:{found[1]}" if found else system


def normalize(identifier: Identifier) -> Identifier:
    """Return the identifier in the form in which it is stored and compared.

    National numbers lose their spaces; other values lose only those around them.
    """
    system = normalize_system(identifier.system)
    value = identifier.value.strip()
    if system in NATIONAL:
        value = "".join(value.split()).upper()
    return Identifier(system, value)


def is_national(system: str) -> bool:
    """Tell whether the system numbers everyone in France, each number for one person."""
    return normalize_system(system) in NATIONAL


def key_valid(identifier: Identifier) -> bool | None:
    """Tell whether the check key of a NIR or NIA is right.

    Returns:
        None where there is no key to check: another system, or 13 characters alone.

    Source:
        INSEE: the key is 97 - (number mod 97), with 19 for 2A and 18 for 2B (Corsica).
    """
    identifier = normalize(identifier)
    if identifier.system not in _WITH_KEY:
        return None
    found = _NIR.fullmatch(identifier.value)
    if found is None:
        return False
    number, key = found.groups()
    return None if key is None else key == _key(number)


def spellings(identifier: Identifier) -> tuple[Identifier, ...]:
    """Return the forms under which a number may be stored, the shortest first.

    A NIR comes with its key and without; a wrong key stays a form of its own.
    """
    identifier = normalize(identifier)
    found = _NIR.fullmatch(identifier.value) if identifier.system in _WITH_KEY else None
    if found is None:
        return (identifier,)
    number = found[1]
    values = dict.fromkeys((number, number + _key(number), identifier.value))
    return tuple(Identifier(identifier.system, value) for value in values)


def _key(number: str) -> str:
    """Return the two digits that follow the 13 characters of a NIR."""
    department = {"2A": "19", "2B": "18"}.get(number[5:7], number[5:7])
    return f"{97 - int(number[:5] + department + number[7:]) % 97:02d}"


def rpps_valid(rpps: str) -> bool:
    """Tell whether these are 11 digits of which the last is the Luhn key of the others."""
    if _RPPS.fullmatch(rpps) is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(rpps)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def rpps_of(identifier: Identifier) -> str | None:
    """Return the RPPS number that an identifier of a professional holds, or None.

    The key is not looked at.
    """
    system, value = normalize_system(identifier.system), identifier.value.strip()
    if system == ID_NAT_PS:
        return rpps_of_national_id(value)
    return value if system == RPPS and _RPPS.fullmatch(value) else None


def rpps_of_national_id(value: str) -> str | None:
    """Return the RPPS number in an IdNatPS (``8`` and 11 digits), or None for another type."""
    found = _ID_NAT_PS_RPPS.fullmatch(value.strip())
    return found[1] if found else None


def fold_name(name: str) -> str:
    """Return a name for comparison: without case, accents, hyphens, apostrophes and spaces."""
    folded = name.casefold().translate(_LIGATURES)
    # One by one: normalizing sorts a run of accents, in quadratic time, and they are dropped here.
    plain = (part for letter in folded for part in unicodedata.normalize("NFKD", letter))
    return "".join(letter for letter in plain if letter.isalnum())
