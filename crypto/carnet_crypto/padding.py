"""Padding that leaves few sizes to tell things apart by (Padmé, PURBs 2019, section 4).

The overhead is at most 12 %, and a length tells only its leading bits. What is padded is the
content, then 0x80, then zeros; there is one valid length for each content, and a reader refuses
every other.
"""

from __future__ import annotations

from carnet_crypto.errors import Malformed

MARK = b"\x80"


def padme(length: int) -> int:
    """Return the smallest size of the class that a length belongs to."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    kept = exponent.bit_length()
    mask = (1 << (exponent - kept)) - 1 if exponent > kept else 0
    return (length + mask) & ~mask


def padded_length(length: int, least: int = 0) -> int:
    """Return how long a content of this length is with its padding."""
    return max(least, padme(length + 1))


def pad(content: bytes, least: int = 0) -> bytes:
    """Return the content with its padding."""
    size = padded_length(len(content), least)
    return content + MARK + bytes(size - len(content) - 1)


def pad_to(content: bytes, size: int) -> bytes:
    """Return the content padded to one given size.

    Raises:
        Malformed: it does not fit.
    """
    if len(content) >= size:
        raise Malformed("too long to be padded")
    return content + MARK + bytes(size - len(content) - 1)


def unpad(padded: bytes, least: int = 0) -> bytes:
    """Return the content.

    Raises:
        Malformed: the padding is not the one that `pad` makes.
    """
    content = strip(padded)
    if len(padded) != padded_length(len(content), least):
        raise Malformed("the padding is not canonical")
    return content


def strip(padded: bytes) -> bytes:
    """Return what stands before the mark, whatever the length.

    Raises:
        Malformed: there is no mark, or something after it.
    """
    content = padded.rstrip(b"\x00")
    if not content.endswith(MARK):
        raise Malformed("the padding is not canonical")
    return content[:-1]
