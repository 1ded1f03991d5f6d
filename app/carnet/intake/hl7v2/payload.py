"""The document inside an OBX: encapsulated data (ED) decoded. Pure."""

from __future__ import annotations

from binascii import Error, unhexlify
from dataclasses import dataclass, field

from carnet.errors import ValidationFailed
from carnet.intake import base64
from carnet.intake.hl7v2.message import Segment, unescape

_BOM = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes, and whether their base64 had to be repaired."""

    data: bytes = field(repr=False)
    was_repaired: bool = False

    @property
    def is_xml(self) -> bool:
        """Whether the bytes begin as XML does, in any common encoding."""
        start = self.data[:64].removeprefix(_BOM).lstrip(_WHITE_SPACE)
        return start.startswith((b"<", b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"\x00<"))


def read_payload(segment: Segment) -> Payload:
    """Decode OBX-5 (source, type, subtype, encoding, data).

    Raises:
        ValidationFailed: the data are not of the encoding that is declared.
    """
    value = segment.first(5)
    encoding, raw = value.text(4).upper(), value[5].raw
    if encoding == "BASE64":
        compact = raw.encode("utf-8").translate(None, _WHITE_SPACE)
        decoded = base64.decode(compact)
        return Payload(decoded.data, decoded.was_repaired)
    if encoding == "HEX":
        try:
            return Payload(unhexlify("".join(raw.split())))
        except (Error, ValueError):
            raise ValidationFailed("The data are not hexadecimal.") from None
    text = unescape(_whole(segment), segment.separators)
    return Payload(_BOM + text.strip().encode("utf-8"))  # whatever its XML declares


def _whole(segment: Segment) -> str:
    """Return the data component with what its own separators cut off."""
    parts = segment.raw(5).split(segment.separators.component, 4)
    return parts[4] if len(parts) > 4 else ""
