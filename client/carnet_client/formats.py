"""Tells health record files from others by their first bytes; the name of a file says little."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

LOOK_BYTES = 64 * 1024  # a FHIR resource or CDA header names itself well before that

FHIR_JSON = "application/fhir+json"
CDA = "application/hl7-cda+xml"
HL7_V2 = "application/hl7-v2"

_BLANK = b"\xef\xbb\xbf\x0b \t\r\n"
_CDA_SIGNS = (b"ClinicalDocument", b"urn:hl7-org:v3", b"<templateId")
"""One of them stands early in every CDA document, and in the fragments that software exports."""

_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]', re.DOTALL)


def media_type_of(path: Path) -> str | None:
    """Return the content type of a health record file, or None when it is no such file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        return media_type_of_bytes(handle.read(LOOK_BYTES))


def media_type_of_bytes(start: bytes) -> str | None:
    """Return the content type that the first bytes of a file speak of, or None."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start[2:].replace(b"\0", b"")
    start = start.lstrip(_BLANK)
    if start.startswith(b"{"):
        return FHIR_JSON if _names_resource(start) else None
    if start.startswith(b"<"):
        return CDA if any(sign in start for sign in _CDA_SIGNS) else None
    if start.startswith((b"MSH", b"FHS", b"BHS")):
        return HL7_V2
    return None


def guessed_media_type(path: Path) -> str:
    """Return what to call a file that somebody insists is a health record.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        start = handle.read(LOOK_BYTES)
    first = start.lstrip(_BLANK)[:1]
    fallback = {b"{": FHIR_JSON, b"[": FHIR_JSON, b"<": CDA}.get(first, "application/octet-stream")
    return media_type_of_bytes(start) or fallback


def _names_resource(start: bytes) -> bool:
    """Tell whether the JSON object itself, and not something inside it, is a FHIR resource.

    Where the object goes on after these bytes, a resource inside it speaks for it.
    """
    depth = 0
    is_inside = False
    for token in _JSON_TOKEN.finditer(start):
        text = token[0]
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif text == b'"resourceType"':
            if depth == 1:
                return True
            is_inside = True
    return is_inside and depth > 0
