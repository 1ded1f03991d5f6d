"""What a CDA document carries inside: its unstructured body, and files among its entries. Pure."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from dataclasses import dataclass

from carnet.documents.rules import CONTENT_PARTS_LIMIT
from carnet.errors import ValidationFailed
from carnet.intake.base64 import decode
from carnet.intake.cda.media import media_type_of
from carnet.intake.cda.xml import WHITE_SPACE, Element
from carnet.intake.model import ContentPart, Flag

SHA1_BYTES = 20

NOT_BASE64 = "The content is not base64; it stays within the document."
COMPRESSED = "Compressed content is not unpacked; it stays within the document."
TOO_MANY = "The document has too many embedded files; this one stays within it."


@dataclass(frozen=True, slots=True)
class Embedded:
    """All that was found. ``problems`` name what could not be taken out, as (element, why)."""

    parts: tuple[ContentPart, ...]
    flags: frozenset[Flag]
    problems: tuple[tuple[str, str], ...]


def read_embedded(document: Element) -> Embedded:
    """Take out the embedded content, the unstructured body first; references are not followed."""
    parts: list[ContentPart] = []
    flags: set[Flag] = set()
    problems: list[tuple[str, str]] = []
    body = document.find("component/nonXMLBody/text")
    for element in document.iter("text", "value"):
        kind = "nonXMLBody" if element is body else "observationMedia"
        if element is body and _is_reference(element):
            flags.add(Flag.CONTENT_NOT_ATTACHED)
        elif element is body or element.get("representation") == "B64":
            try:
                part, was_repaired = _part(element)
                if len(parts) + 1 >= CONTENT_PARTS_LIMIT:
                    raise ValidationFailed(TOO_MANY)
            except ValidationFailed as problem:
                problems.append((kind, problem.message))
                continue
            parts.append(part)
            flags |= {Flag.BASE64_REPAIRED} if was_repaired else set()
    return Embedded(tuple(parts), frozenset(flags), tuple(problems))


def _is_reference(element: Element) -> bool:
    return not (element.text or "").strip() and element.find("reference") is not None


def _part(element: Element) -> tuple[ContentPart, bool]:
    claimed = element.get("mediaType") or "text/plain"
    text = element.text or ""
    if element.get("compression"):
        raise ValidationFailed(COMPRESSED)
    if element.get("representation") == "B64" or not claimed.lower().startswith("text/"):
        try:
            decoded = decode(text.encode("utf-8").translate(None, WHITE_SPACE))
        except ValidationFailed:
            raise ValidationFailed(NOT_BASE64) from None
        data, was_repaired = decoded.data, decoded.was_repaired
    else:
        data, was_repaired = "".join(element.itertext()).encode("utf-8"), False
    if not data:
        raise ValidationFailed("There is no content.")
    part = ContentPart(data, media_type_of(claimed, data), claimed_sha1=_claimed_sha1(element))
    return part, was_repaired


def _claimed_sha1(element: Element) -> bytes | None:
    """Return the SHA-1 in ``integrityCheck``, which is CDA's default algorithm."""
    text = element.get("integrityCheck")
    if not text or element.get("integrityCheckAlgorithm") not in (None, "SHA-1"):
        return None
    try:
        digest = b64decode(text, validate=True)
    except (Error, ValueError):
        return None
    return digest if len(digest) == SHA1_BYTES else None
