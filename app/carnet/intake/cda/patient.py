"""The patient of a CDA document: its one recordTarget, and nobody else it names. Pure."""

from __future__ import annotations

import re

from carnet.errors import ValidationFailed
from carnet.intake.cda.codes import attribute, code_of, identifiers_of, is_true
from carnet.intake.cda.xml import SDTC, Element
from carnet.intake.dates import read_day
from carnet.intake.model import PatientClaim
from carnet.people.tables import Sex
from carnet.values import PartialDate

NAME_LIMIT = 200  # characters
NAMES_LIMIT = 20  # names of one person, and parts of one name

_SEX = {"F": Sex.FEMALE, "M": Sex.MALE, "UN": Sex.OTHER, "O": Sex.OTHER}
_NOT_CIVIL = frozenset({"A", "I", "P", "R", "SRCH", "PHON", "SNDX"})  # artist, pseudonym, …
_INSEE = re.compile(r"\d[\dAB]\d{3}", re.ASCII)


def read_patient(role: Element) -> PatientClaim:
    """Return who a ``patientRole`` says the patient is."""
    person = role.find("patient")
    identifiers = tuple(identifiers_of(role))
    if person is None:
        return PatientClaim(identifiers=identifiers, is_reference=True)
    birth_name, used_name, given_names = _names(person)
    deceased_on = _day(person.find(f"{SDTC}deceasedTime"))
    deceased = person.find(f"{SDTC}deceasedInd")
    return PatientClaim(
        identifiers=identifiers,
        birth_family_name=birth_name,
        used_family_name=used_name,
        given_names=given_names,
        birth_date=_day(person.find("birthTime")),
        sex=_SEX.get(code_of(person.find("administrativeGenderCode")) or "", Sex.UNKNOWN),
        birth_place_code=_birth_place(person),
        is_deceased=deceased_on is not None
        or (deceased is not None and is_true(deceased, "value")),
        deceased_on=deceased_on,
    )


def _names(person: Element) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the family name at birth, the one used if it is another, and the given names.

    A French name has qualifiers: BR at birth, CL (usual) or SP (of the spouse) in use. Its given
    name without one is the list of all given names, of which BR is the first.
    """
    names = person.findall("name")[:NAMES_LIMIT]
    civil = [n for n in names if not _NOT_CIVIL & set((n.get("use") or "").split())] or names
    families: dict[str, str] = {}
    for name in names:
        for family in name.findall("family")[:NAMES_LIMIT]:
            text = text_of(family)
            qualifiers = (family.get("qualifier") or "").split()
            for qualifier in qualifiers or ([""] if name in civil else []):
                if text:
                    families.setdefault(qualifier, text)
    birth = families.get("BR") or families.get("")
    used = families.get("CL") or families.get("SP")
    if "BR" in families:
        used = used or families.get("")
    birth = birth or used or next(iter(families.values()), None)
    return birth, used, _given_names(civil)


def _given_names(names: list[Element]) -> tuple[str, ...]:
    for name in names:
        first: list[str] = []
        others: list[str] = []
        usual: list[str] = []
        for given in name.findall("given")[:NAMES_LIMIT]:
            text = text_of(given)
            qualifiers = (given.get("qualifier") or "").split()
            kind = first if "BR" in qualifiers else usual if "CL" in qualifiers else others
            kind.extend([text] if text else [])
        if first:
            listed = [word for text in others for word in text.split()]
            known = {word.casefold() for text in first for word in text.split()}
            found = [*first, *(word for word in listed if word.casefold() not in known)]
        else:
            found = others or usual
        if found:
            return tuple(dict.fromkeys(found))[:NAMES_LIMIT]
    return ()


def text_of(element: Element | None) -> str | None:
    """Return a name on one line, or None when it is empty, «null», or too long to be one."""
    text = " ".join((element.text or "").split()) if element is not None else ""
    return text if text and len(text) <= NAME_LIMIT and text.lower() != "null" else None


def _day(element: Element | None) -> PartialDate | None:
    text = attribute(element, "value")
    if text is None:
        return None
    try:
        return read_day(text)
    except ValidationFailed:
        return None


def _birth_place(person: Element) -> str | None:
    """Return the INSEE code of the place of birth, which French documents write as a county."""
    for path in ("birthplace/place/addr/county", "birthplace/place/addr/censusTract"):
        found = _INSEE.fullmatch((text_of(person.find(path)) or "").upper())
        if found is not None:
            return found[0]
    return None
