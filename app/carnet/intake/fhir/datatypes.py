"""FHIR data types as Carnet's values. Every function trusts nothing about the JSON it is given.

What has the wrong JSON type, a null character, or a form that FHIR does not know raises
`SetAside`, which costs the one item and not the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from carnet.errors import CarnetError, ValidationFailed
from carnet.intake.dates import PARIS, read_moment
from carnet.intake.model import Reason
from carnet.people.identifiers import normalize_system
from carnet.records.sections import CODINGS_LIMIT, LABEL_LIMIT, NOTE_LIMIT
from carnet.terminology.codes import display
from carnet.values import Coding, Identifier, PartialDate

Element: TypeAlias = dict[str, Any]

TOKEN_LIMIT = 500  # characters of a code, identifier or system; real ones have under 200
NUMBER_DIGITS = 15  # places before and after the point; a double holds no more

_DATE = re.compile(r"(\d{4}(?:-\d\d(?:-\d\d)?)?)(T\d\d:\d\d.{0,30})?", re.ASCII | re.DOTALL)
RFC_3986 = "urn:ietf:rfc:3986"  # the system of identifiers that are URIs themselves


class SetAside(CarnetError):
    """This item does not land; the others do."""

    def __init__(self, reason: Reason, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_refused = is_refused


def malformed(element: str) -> SetAside:
    """Return the refusal of an item because of one element, named and never quoted."""
    return SetAside(Reason.MALFORMED, f"«{element}» is not as FHIR has it.", is_refused=True)


def child(element: Element, name: str) -> Element | None:
    """Return a complex element, None when it is absent."""
    value = element.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise malformed(name)


def children(element: Element, name: str) -> list[Element]:
    """Return a repeating complex element."""
    value = element.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise malformed(name)


def cut(text: str, limit: int = LABEL_LIMIT) -> str:
    """Return the text, cut to the limit with an ellipsis at its end."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def text(element: Element, name: str, limit: int = LABEL_LIMIT) -> str | None:
    """Return a text for people, trimmed and cut; None when absent or blank."""
    value = element.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise malformed(name)
    return cut(value.strip(), limit) or None


def texts(element: Element, name: str) -> tuple[str, ...]:
    """Return a repeating text without its blanks."""
    value = element.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise malformed(name)
    found = [text({name: item}, name) for item in value]
    return tuple(item for item in found if item)


def token(element: Element, name: str, limit: int = TOKEN_LIMIT) -> str | None:
    """Return a code, URI or number that machines compare: trimmed, never cut."""
    value = element.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise malformed(name)
    value = value.strip()
    if len(value) > limit:
        raise malformed(name)
    return value or None


def truth(element: Element, name: str) -> bool:
    """Return a boolean; absent is false."""
    value = element.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise malformed(name)


def number(element: Element, name: str) -> Decimal | None:
    """Return a number as it was written, as far as a double holds it."""
    value = element.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise malformed(name)
    found = Decimal(repr(value))
    if found and abs(found.adjusted()) > NUMBER_DIGITS:
        raise malformed(name)
    whole = found.to_integral_value()
    return whole.quantize(Decimal(1)) if found == whole else found


def positive(element: Element, name: str) -> int | None:
    """Return a whole number above zero."""
    value = element.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise malformed(name)
    return value


def partial_date(element: Element, name: str) -> PartialDate | None:
    """Return a date or dateTime at its own precision: of a time, the local day as written."""
    value = token(element, name)
    if value is None:
        return None
    found = _DATE.fullmatch(value)
    if found is None or (found[2] and len(found[1]) != 10):
        raise malformed(name)
    try:
        return PartialDate.parse(found[1])
    except ValidationFailed as error:
        raise malformed(name) from error


def moment(element: Element, name: str) -> datetime | None:
    """Return a dateTime or instant; where it names no zone, or is only a date, it is in Paris."""
    value = token(element, name)
    if value is None or partial_date(element, name) is None:
        return None
    try:
        return read_moment(value, PARIS)
    except ValidationFailed as error:
        raise malformed(name) from error


def period(element: Element, name: str) -> tuple[PartialDate | None, PartialDate | None]:
    """Return the start and end of a Period."""
    found = child(element, name) or {}
    return partial_date(found, "start"), partial_date(found, "end")


def coding(element: Element) -> Coding | None:
    """Return a Coding; None for one without system or code, which names nothing."""
    system, code = token(element, "system"), token(element, "code")
    if system is None or code is None:
        return None
    return Coding(normalize_system(system), code, text(element, "display"))


def codings(*concepts: Element | None) -> tuple[Coding, ...]:
    """Return the different codings of CodeableConcepts, the first twenty."""
    found: dict[tuple[str, str], Coding] = {}
    for concept in concepts:
        for element in children(concept, "coding") if concept else ():
            item = coding(element)
            if item is not None:
                found.setdefault((item.system, item.code), item)
    return tuple(found.values())[:CODINGS_LIMIT]


def first_coding(*concepts: Element | None) -> Coding | None:
    """Return the first coding of CodeableConcepts."""
    return next(iter(codings(*concepts)), None)


def codes(*concepts: Element | None) -> frozenset[str]:
    """Return the bare codes of CodeableConcepts, those without a system too."""
    found = (
        token(element, "code")
        for concept in concepts
        for element in (children(concept, "coding") if concept else ())
    )
    return frozenset(code for code in found if code)


def label(concept: Element | None) -> str | None:
    """Return what a person reads for a CodeableConcept: its text, a display, or a code.

    Of several displays the first in Latin letters is taken: French and English are read here.
    A code without any is named in French where Carnet's own tables know it.
    """
    if concept is None:
        return None
    said = text(concept, "text")
    if said:
        return said
    elements = children(concept, "coding")
    displays = [found for element in elements if (found := text(element, "display"))]
    if displays:
        return next((found for found in displays if _is_latin(found)), displays[0])
    known = (display(item.system, item.code, "fr") for item in codings(concept))
    bare = (token(element, "code") for element in elements)
    return next(filter(None, known), None) or next(filter(None, bare), None)


def labels(concepts: Iterable[Element]) -> str | None:
    """Return the labels of several concepts in one line."""
    found = dict.fromkeys(filter(None, map(label, concepts)))
    return cut(", ".join(found)) or None


def _is_latin(words: str) -> bool:
    return any(letter.isascii() and letter.isalpha() for letter in words)


def identifier(element: Element) -> Identifier | None:
    """Return an Identifier; None for one without system or value, which identifies nothing."""
    system, value = token(element, "system"), token(element, "value")
    return Identifier(system, value) if system and value else None


def identifiers(element: Element, name: str = "identifier") -> tuple[Identifier, ...]:
    """Return the identifiers in force, each once; old ones are left out."""
    found = (identifier(item) for item in children(element, name) if item.get("use") != "old")
    return tuple(dict.fromkeys(item for item in found if item is not None))


def unique_id(element: Element | None) -> str | None:
    """Return an Identifier as an XDS uniqueId: an OID or UUID without its prefix.

    A value in the system of an OID becomes ``root^extension``, as CDA's ``II`` in XDS.
    """
    value = token(element, "value") if element else None
    if element is None or value is None:
        return None
    bare = bare_uri(value)
    system = normalize_system(token(element, "system") or RFC_3986)
    if bare != value or system == RFC_3986:
        return bare
    root = bare_uri(system)
    return f"{root}^{value}" if root != system else f"{system}|{value}"


def bare_uri(uri: str) -> str:
    """Return a URI without ``urn:oid:`` or ``urn:uuid:``."""
    for prefix in ("urn:oid:", "urn:uuid:"):
        if uri[: len(prefix)].lower() == prefix:
            return uri[len(prefix) :]
    return uri


def extensions(element: Element, ending: str) -> Iterator[Element]:
    """Yield the extensions whose URL ends in this name: hosts of one guide change over time."""
    for item in children(element, "extension"):
        url = item.get("url")
        if isinstance(url, str) and url.rpartition("/")[2] == ending:
            yield item


def note(*parts: str | None) -> str | None:
    """Return the parts that there are, each on its own line."""
    return cut("\n".join(part for part in parts if part), NOTE_LIMIT) or None


def remarks(element: Element, name: str = "note") -> str | None:
    """Return the texts of Annotations."""
    return note(*(text(item, "text", NOTE_LIMIT) for item in children(element, name)))
