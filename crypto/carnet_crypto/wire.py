"""Canonical binary layouts: fixed fields, big-endian numbers, length before what varies.

Everything has exactly one encoding, and a reader accepts nothing else: no unknown value, no
trailing byte, no number above 2^53 - 1 (a browser's largest exact one), no text that another
implementation might read differently (invalid UTF-8, U+0000). Receivers verify the bytes they got
and never encode them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import TypeVar

from carnet_crypto.errors import Malformed
from carnet_crypto.values import Fixed

LARGEST = 2**53 - 1
LARGEST_ITEMS = 2**16 - 1

_F = TypeVar("_F", bound=Fixed)
_E = TypeVar("_E", bound=IntEnum)
_T = TypeVar("_T")


def u8(number: int) -> bytes:
    """Return a number as one byte."""
    return _number(number, 1)


def u16(number: int) -> bytes:
    """Return a number as two bytes."""
    return _number(number, 2)


def u32(number: int) -> bytes:
    """Return a number as four bytes."""
    return _number(number, 4)


def u64(number: int) -> bytes:
    """Return a number up to 2^53 - 1 as eight bytes."""
    if number > LARGEST:
        raise Malformed("a number is too large")
    return _number(number, 8)


def opaque(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return u32(len(data)) + data


def text(characters: str) -> bytes:
    """Return text as UTF-8 with its length before it.

    Raises:
        Malformed: it holds U+0000 or half a surrogate pair.
    """
    if "\x00" in characters:
        raise Malformed("a text holds U+0000")
    try:
        return opaque(characters.encode())
    except UnicodeEncodeError as error:
        raise Malformed("a text is not Unicode") from error


def vector(items: Iterable[bytes]) -> bytes:
    """Return encoded items with their count before them."""
    encoded = list(items)
    if len(encoded) > LARGEST_ITEMS:
        raise Malformed("a list is too long")
    return u16(len(encoded)) + b"".join(encoded)


def check_ascending(keys: Sequence[bytes]) -> None:
    """Refuse a list that is not sorted, or holds something twice.

    Raises:
        Malformed: it is so.
    """
    if any(one >= other for one, other in pairwise(keys)):
        raise Malformed("a list is not in its order")


class Reader:
    """Reads fields one after the other; `end` refuses what is left.

    Every method raises `Malformed` where the bytes do not hold what was asked for.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at(self) -> int:
        """How many bytes have been read."""
        return self._at

    def take(self, length: int) -> bytes:
        """Read so many bytes."""
        start = self._at
        taken = self._data[start : start + length]
        if len(taken) != length:
            raise Malformed("it ends too early")
        self._at = start + length
        return taken

    def magic(self, expected: bytes) -> None:
        """Read bytes that can only be these."""
        if self.take(len(expected)) != expected:
            raise Malformed("it is something else, or of another version")

    def fixed(self, kind: type[_F]) -> _F:
        """Read a value of fixed length."""
        return kind(self.take(kind.SIZE))

    def u8(self) -> int:
        """Read one byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Read two bytes."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Read four bytes."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Read eight bytes, a number up to 2^53 - 1."""
        number = int.from_bytes(self.take(8), "big")
        if number > LARGEST:
            raise Malformed("a number is too large")
        return number

    def enum(self, kind: type[_E]) -> _E:
        """Read one byte that names something."""
        try:
            return kind(self.u8())
        except ValueError as error:
            raise Malformed("an unknown value") from error

    def flag(self) -> bool:
        """Read one byte, 0 or 1."""
        number = self.u8()
        if number > 1:
            raise Malformed("an unknown value")
        return bool(number)

    def opaque(self, most: int) -> bytes:
        """Read bytes with their length before them, at most so many."""
        length = self.u32()
        if length > most:
            raise Malformed("a field is too long")
        return self.take(length)

    def text(self, most: int) -> str:
        """Read text of at most so many bytes."""
        data = self.opaque(most)
        if b"\x00" in data:
            raise Malformed("a text holds U+0000")
        try:
            return data.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise Malformed("a text is not UTF-8") from error

    def vector(self, item: Callable[[Reader], _T], most: int) -> list[_T]:
        """Read items with their count before them, at most so many."""
        count = self.u16()
        if count > most:
            raise Malformed("a list is too long")
        return [item(self) for _ in range(count)]

    def rest(self) -> bytes:
        """Read all that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Refuse what is left."""
        if self._at != len(self._data):
            raise Malformed("something follows after its end")


def _number(number: int, size: int) -> bytes:
    try:
        return number.to_bytes(size, "big")
    except OverflowError as error:
        raise Malformed("a number does not fit") from error
