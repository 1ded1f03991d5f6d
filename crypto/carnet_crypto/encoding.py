"""Canonical base64url: the one text form of protocol bytes, without padding.

Every byte string has exactly one accepted text, so that texts can be compared and signed over.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError

from carnet_crypto.errors import DecodeError

__all__ = ["DecodeError", "from_base64url", "to_base64url"]


def to_base64url(data: bytes) -> str:
    """Return the bytes as base64url without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Read canonical base64url.

    Raises:
        DecodeError: a character outside the alphabet, padding, or bits that re-encode otherwise.
    """
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (BinasciiError, UnicodeEncodeError, ValueError) as error:
        raise DecodeError("not base64url") from error
    if to_base64url(data) != text:
        raise DecodeError("not canonical base64url")
    return data
