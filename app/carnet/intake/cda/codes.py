"""Codes, names and identifiers as CDA writes them (its datatypes CD, CE and II). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from carnet.intake.cda.xml import Element
from carnet.people.identifiers import normalize_system as identifier_system
from carnet.terminology.systems import CVX, normalize_system
from carnet.values import Coding, Identifier

CODE_LIMIT = 200  # characters of a code or an identifier; longer ones are no codes
DISPLAY_LIMIT = 500  # characters
CODINGS_LIMIT = 20

_SYSTEMS = {
    "2.16.840.1.113883.6.59": CVX,  # the number that CVX had first
    "2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
    "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "2.16.840.1.113883.6.69": "http://hl7.org/fhir/sid/ndc",
    "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "2.16.840.1.113883.5.111": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
}
"""What FHIR calls the systems that medical facts come in; the same fact then has the same code."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_OID = re.compile(r"[0-2](?:\.\d+)+", re.ASCII)


def is_true(element: Element, name: str) -> bool:
    """Tell whether an attribute says ``true``."""
    return (element.get(name) or "").strip().lower() in ("true", "1")


def attribute(element: Element | None, name: str, limit: int = CODE_LIMIT) -> str | None:
    """Return an attribute without the spaces around it, or None where there is nothing usable."""
    text = (element.get(name) or "").strip() if element is not None else ""
    return text if text and len(text) <= limit else None


def code_of(element: Element | None) -> str | None:
    """Return the bare code of an element, or None when it has none."""
    return attribute(element, "code")


def display_of(element: Element | None) -> str | None:
    """Return the name that a code comes with, on one line; signs alone (``????``) are none."""
    text = " ".join(((element.get("displayName") if element is not None else "") or "").split())
    return text[:DISPLAY_LIMIT] if any(map(str.isalnum, text)) else None


def coding_of(element: Element | None) -> Coding | None:
    """Return a code with its system, or None when either is missing."""
    code = code_of(element)
    if element is None or code is None:
        return None
    system = attribute(element, "codeSystem") or attribute(element, "codeSystemName")
    if system is None:
        return None
    bare = system.removeprefix("urn:oid:")
    return Coding(_SYSTEMS.get(bare) or normalize_system(system), code, display_of(element))


def codings_of(element: Element | None) -> tuple[Coding, ...]:
    """Return a code and its translations, each once."""
    if element is None:
        return ()
    found: dict[tuple[str, str], Coding] = {}
    for each in (
        element,
        *element.findall("translation"),
        *element.findall("translation/translation"),
    ):
        coding = coding_of(each)
        if coding is not None:
            found.setdefault((coding.system, coding.code), coding)
    return tuple(found.values())[:CODINGS_LIMIT]


def codes_within(element: Element | None) -> set[str]:
    """Return the bare codes of an element and of its translations."""
    if element is None:
        return set()
    codes = (code_of(each) for each in (element, *element.findall("translation")))
    return {code for code in codes if code}


def templates(element: Element) -> set[str]:
    """Return the ids of the templates that an element claims to follow."""
    return {root.strip() for each in element.findall("templateId") if (root := each.get("root"))}


def unique_id(element: Element | None) -> str | None:
    """Return a document's identifier as XDS writes it: ``root``, or ``root^extension``."""
    root, extension = attribute(element, "root"), attribute(element, "extension")
    if root is None:
        return None
    return f"{root}^{extension}" if extension else root


def identifier_of(element: Element) -> Identifier | None:
    """Return an identifier of a person or organization, or None when it has none.

    Without an extension the root alone is the identifier, if it names one thing: a UUID.
    """
    root, extension = attribute(element, "root"), attribute(element, "extension")
    if root is None:
        return None
    if extension is None:
        return (
            Identifier("urn:ietf:rfc:3986", f"urn:uuid:{root.lower()}") if is_uuid(root) else None
        )
    return Identifier(identifier_system(root), extension)


def identifiers_of(parent: Element) -> Iterator[Identifier]:
    """Yield the identifiers among the children of an element."""
    for each in parent.findall("id"):
        found = identifier_of(each)
        if found is not None:
            yield found


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID."""
    return _UUID.fullmatch(text) is not None


def is_oid(text: str) -> bool:
    """Tell whether a text is an OID."""
    return _OID.fullmatch(text) is not None
