"""The bytes of documents: inline in an Attachment, or in a Binary of the same body."""

from __future__ import annotations

import re
from binascii import Error, unhexlify
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from carnet.documents.rules import CONTENT_PARTS_LIMIT
from carnet.errors import ValidationFailed
from carnet.intake.base64 import Decoded, decode
from carnet.intake.fhir.datatypes import Element, SetAside, malformed, token
from carnet.intake.fhir.references import REFERENCE_LIMIT, Source
from carnet.intake.model import ContentPart, Flag, Reason

UNTYPED = "application/octet-stream"
FHIR_JSON = "application/fhir+json"
SHA1_BYTES = 20
INT32 = 2**31  # FHIR's unsignedInt ends here

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}(?:\s?;[ -~]{0,100})?", re.ASCII)


@dataclass(slots=True)
class Contents:
    """The parts that the body holds, and what is not as claimed."""

    parts: list[ContentPart] = field(default_factory=list, repr=False)
    flags: set[Flag] = field(default_factory=set)

    @property
    def original(self) -> ContentPart | None:
        """The document itself, None when the body only refers to it."""
        return self.parts[0] if self.parts else None

    @property
    def embedded(self) -> tuple[ContentPart, ...]:
        """The other forms of it."""
        return tuple(self.parts[1:])


def read_attachments(source: Source, attachments: Sequence[Element]) -> Contents:
    """Read the Attachments of a document, the first first.

    Raises:
        SetAside: one of them is malformed, or there are too many.
    """
    if len(attachments) > CONTENT_PARTS_LIMIT:
        message = f"A document has at most {CONTENT_PARTS_LIMIT} parts."
        raise SetAside(Reason.MALFORMED, message, is_refused=True)
    contents = Contents()
    for attachment in attachments:
        _read(source, attachment, contents)
    if not contents.parts:
        contents.flags.add(Flag.CONTENT_NOT_ATTACHED)
    return contents


def media_type(element: Element, *fallbacks: str | None) -> str:
    """Return the contentType of an element, or of what else is known; it is safe in a header."""
    for said in (token(element, "contentType"), *fallbacks):
        if said and _MEDIA_TYPE.fullmatch(said):
            return said
    return UNTYPED


def _read(source: Source, attachment: Element, contents: Contents) -> None:
    kind: str | None = None
    if attachment.get("data") is not None:
        found: Decoded | None = _decode(attachment, "data")
    else:
        url = token(attachment, "url", REFERENCE_LIMIT)
        target = source.find_url(url) if url else None
        found, kind = _resource_bytes(source, target) if target else (None, None)
    if found is None:
        contents.flags.add(Flag.CONTENT_NOT_ATTACHED)
        return
    if found.was_repaired:
        contents.flags.add(Flag.BASE64_REPAIRED)
    contents.parts.append(
        ContentPart(
            data=found.data,
            media_type=media_type(attachment, kind),
            claimed_size_bytes=_claimed_size(attachment, contents),
            claimed_sha1=_claimed_sha1(attachment, contents),
        )
    )


def _resource_bytes(source: Source, target: Source) -> tuple[Decoded | None, str]:
    """Return what a resource of the body holds: a Binary's data, or itself as JSON."""
    resource, entry = target.resource, target.entry
    if target.kind == "Binary":
        kind = media_type(resource)
        if resource.get("data") is None:
            found = None
        elif target.is_contained:
            found = _decode(resource, "data")
        else:
            found = source.body.decoded.get(entry.key)
            if found is None:
                found = source.body.decoded[entry.key] = _decode(resource, "data")
    else:
        kind = FHIR_JSON
        try:
            found = Decoded(orjson.dumps(resource))
        except orjson.JSONEncodeError as error:
            message = "The content is nested too deeply."
            raise SetAside(Reason.MALFORMED, message, is_refused=True) from error
    if found is not None:
        source.take_content(len(found.data))
        source.body.contents.add(entry.key)
    return found, kind


def _decode(element: Element, name: str) -> Decoded:
    value = element[name]
    if not isinstance(value, str):
        raise malformed(name)
    try:
        return decode(value)
    except ValidationFailed as error:
        message = f"«{name}» is not base64, and not nearly."
        raise SetAside(Reason.MALFORMED, message, is_refused=True) from error


def _claimed_size(attachment: Element, contents: Contents) -> int | None:
    size = attachment.get("size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int):
        raise malformed("size")
    if 0 <= size < INT32:
        return size
    contents.flags.add(Flag.SIZE_MISMATCH)
    return None


def _claimed_sha1(attachment: Element, contents: Contents) -> bytes | None:
    """Return the claimed SHA-1; FHIR has its bytes in base64, some send its hexadecimal text."""
    claim = token(attachment, "hash")
    if claim is None:
        return None
    forms: list[bytes] = []
    try:
        forms.append(decode(claim).data)
    except ValidationFailed:
        forms.append(b"")  # it may still be hexadecimal
    for text in (forms[0], claim.encode()):
        try:
            forms.append(unhexlify(text))
        except Error:
            continue
    found = next((form for form in forms if len(form) == SHA1_BYTES), None)
    if found is None:
        contents.flags.add(Flag.HASH_MISMATCH)
    return found
