"""FHIR data types, written so that every validator takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, TypeAlias
from uuid import UUID

from carnet.values import PartialDate

Element: TypeAlias = dict[str, Any]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
ABSENT_UNKNOWN = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
URI = "urn:ietf:rfc:3986"  # the system of identifiers that are URIs themselves
NAMELESS = "?"  # a label of signs that cannot be shown
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_UCUM = re.compile(r"[A-Za-z0-9%\[\]{}/.*^_'+-]+", re.ASCII)


def words(text: str | None) -> str | None:
    """Return a text as FHIR and XML allow it; None for one that says nothing."""
    return _UNPRINTABLE.sub(" ", text).strip() or None if text else None


def token(text: str) -> str:
    """Return a code without the white space that codes cannot have."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def without_nothing(element: Mapping[str, Any]) -> Element:
    """Return the element without what is absent or empty, which FHIR does not allow."""
    return {name: value for name, value in element.items() if value not in (None, "", [], {})}


def unknown() -> Element:
    """Return what stands for a value that nobody stated."""
    return {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}


def urn(id_: UUID) -> str:
    """Return the full URL of the resource with this id."""
    return f"urn:uuid:{id_}"


def reference(id_: UUID) -> Element:
    """Return a reference to a resource of the same bundle."""
    return {"reference": urn(id_)}


def concept(text: str | None, codings: Sequence[Mapping[str, Any]] = ()) -> Element:
    """Return a CodeableConcept: the words as stated, and every coding."""
    given = [found for item in codings if (found := coding(item))]
    return without_nothing({"coding": given, "text": words(text)})


def named(label: str, codings: Sequence[Mapping[str, Any]] = ()) -> Element:
    """Return the CodeableConcept of a statement's label, which is never without words."""
    return concept(words(label) or NAMELESS, codings)


def coding(item: Mapping[str, Any]) -> Element:
    """Return a stored coding; a system that is no URI is left out, and the code kept."""
    system = item.get("system") or ""
    return without_nothing(
        {
            "system": None if re.search(r"\s", system) else system,
            "code": token(item.get("code") or ""),
            "display": words(item.get("display")),
        }
    )


def coded(system: str, code: str, display: str | None = None) -> Element:
    """Return a CodeableConcept of one code."""
    return {"coding": [without_nothing({"system": system, "code": code, "display": display})]}


def texts(*parts: str | None) -> list[Element]:
    """Return CodeableConcepts in words."""
    return [{"text": said} for part in parts if (said := words(part))]


def notes(*parts: str | None) -> list[Element]:
    """Return Annotations."""
    return texts(*parts)


def displays(*parts: str | None) -> list[Element]:
    """Return references by name to what is not in the bundle."""
    return [{"display": said} for part in parts if (said := words(part))]


def dated(name: str, start: PartialDate | None, end: PartialDate | None = None) -> Element:
    """Return a required time ``name[x]``: a day at its own precision, a period, or unknown."""
    if end is not None:
        return {f"{name}Period": period(start, end)}
    if start is not None:
        return {f"{name}DateTime": start.text}
    return {f"_{name}DateTime": unknown()}


def period(start: PartialDate | None, end: PartialDate | None) -> Element:
    """Return a Period."""
    return without_nothing({"start": start and start.text, "end": end and end.text})


def instant(moment: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ucum(unit: str | None) -> Element:
    """Return a unit; with its code too where it is written as UCUM writes them."""
    said = words(unit)
    if said is None:
        return {}
    return {"unit": said} | ({"system": UCUM, "code": said} if _UCUM.fullmatch(said) else {})


def narrative(*blocks: str) -> Element:
    """Return a Narrative of blocks of XHTML."""
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(blocks)}</div>',
    }


def paragraph(text: str) -> str:
    """Return a paragraph of XHTML."""
    return f"<p>{escape(words(text) or NAMELESS)}</p>"


def listed(items: Iterable[str]) -> str:
    """Return a list of XHTML."""
    return (
        "<ul>" + "".join(f"<li>{escape(words(item) or NAMELESS)}</li>" for item in items) + "</ul>"
    )
