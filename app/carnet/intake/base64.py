"""Base64 as software in the field writes it: two harmless faults are repaired and told.

Repaired: missing padding, and white space anywhere. Everything else that is not base64 (RFC 4648,
section 4) is refused: another alphabet, padding in the middle or too much of it, a lone character.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from dataclasses import dataclass, field

from carnet.errors import ValidationFailed

WHITE_SPACE = b" \t\r\n\f\v"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The bytes, and whether their base64 had to be repaired first."""

    data: bytes = field(repr=False)
    was_repaired: bool = False


def decode(text: str | bytes, *, limit_bytes: int | None = None) -> Decoded:
    """Decode base64.

    Args:
        text: the base64; memory use is at most some four times its length.
        limit_bytes: the most that the result may have; None for no bound but that of the text.

    Raises:
        ValidationFailed: it is not base64 even after repair, or the result is too large.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ValidationFailed("This is not base64.") from error
    if limit_bytes is not None and len(raw) // 4 * 3 > limit_bytes + 3:
        raw = raw.translate(None, WHITE_SPACE)  # white space does not count
        if len(raw) // 4 * 3 > limit_bytes + 3:
            raise ValidationFailed(f"The content has more than {limit_bytes} bytes.")
    if not raw:
        return Decoded(b"")
    data = _strict(raw)
    was_repaired = data is None
    if data is None:
        compact = raw.translate(None, WHITE_SPACE)
        data = _strict(compact + b"=" * (-len(compact) % 4))
    if data is None:
        raise ValidationFailed("This is not base64.")
    if limit_bytes is not None and len(data) > limit_bytes:
        raise ValidationFailed(f"The content has more than {limit_bytes} bytes.")
    return Decoded(data, was_repaired)


def _strict(raw: bytes) -> bytes | None:
    """Return the bytes of flawless base64, else None."""
    if len(raw) % 4 or raw.endswith(b"==="):  # Python's strict mode lets surplus padding pass
        return None
    try:
        return a2b_base64(raw, strict_mode=True)
    except Error:
        return None
