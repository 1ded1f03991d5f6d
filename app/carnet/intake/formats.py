"""Which reader reads a body: the content type decides, or a look at its first bytes."""

from __future__ import annotations

from collections.abc import Callable

from carnet.errors import UnsupportedMediaType, ValidationFailed
from carnet.intake import cda, fhir, hl7v2
from carnet.intake.model import Reading

Reader = Callable[[bytes], Reading]

READERS: dict[str, Reader] = {
    "application/fhir+json": fhir.read,
    "application/json": fhir.read,
    "application/hl7-cda+xml": cda.read,
    "application/cda+xml": cda.read,
    "application/xml": cda.read,
    "text/xml": cda.read,
    "application/hl7-v2": hl7v2.read,
    "application/hl7-v2+er7": hl7v2.read,
    "x-application/hl7-v2+er7": hl7v2.read,
    "application/edi-hl7": hl7v2.read,
    "application/edi-hl7v2": hl7v2.read,
    "text/hl7v2": hl7v2.read,
}
"""Content types as HL7 registers them, and those that software in the field sends."""

UNTYPED = ("", "application/octet-stream", "text/plain")


def reader_for(media_type: str, body: bytes) -> Reader:
    """Return the reader for a body.

    Raises:
        UnsupportedMediaType: the content type has no reader.
        ValidationFailed: the type says nothing and the first bytes are of no known format.
    """
    plain = media_type.partition(";")[0].strip().lower()
    reader = READERS.get(plain)
    if reader is not None:
        return reader
    if plain not in UNTYPED:
        raise UnsupportedMediaType(
            "Send application/fhir+json, application/hl7-cda+xml or application/hl7-v2."
        )
    start = body[:64].lstrip(b"\xef\xbb\xbf\xff\xfe\x00\x0b \t\r\n")
    if start.startswith(b"{"):
        return fhir.read
    if start.startswith(b"<"):
        return cda.read
    if start.startswith((b"MSH", b"FHS", b"BHS")):
        return hl7v2.read
    raise ValidationFailed("This is neither FHIR JSON, CDA XML nor an HL7 v2 message.")
