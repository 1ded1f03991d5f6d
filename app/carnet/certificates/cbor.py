"""CBOR (RFC 8949) as certificates need it: plain values, few and shallow, looked at beforehand.

A general decoder turns tags into decimals, fractions, patterns or messages, whose making takes
seconds for a few hundred compressed characters. None of them is in a certificate, and what is
read is not signed by anybody yet: so it is walked once, and refused, before one value is made.
"""

from __future__ import annotations

from typing import Any

import cbor2

COSE_SIGN1 = 18  # RFC 9052; the only tag that a certificate has
MOST_VALUES = 4_000
DEEPEST = 16  # arrays, maps and tags in each other

_BYTES, _TEXT, _ARRAY, _MAP, _TAG = 2, 3, 4, 5, 6
_BREAK = 0xFF
_UNKNOWN = 31  # of unknown length, up to a break


class Unreadable(ValueError):
    """It is no CBOR, or more or other than a certificate has."""


def load(data: bytes) -> Any:
    """Return the one value that the bytes are.

    Raises:
        Unreadable: see there.
    """
    _check(data)
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, ArithmeticError) as error:
        raise Unreadable(type(error).__name__) from None


def _check(data: bytes) -> None:
    """Walk over the values without making any: time and memory are those of the bytes."""
    at = values = 0
    left = [1]  # values to come at each depth; -1 is «up to a break»
    while left:
        if left[-1] == 0:
            left.pop()
            continue
        if at >= len(data):
            raise Unreadable("it ends too early")
        first = data[at]
        if first == _BREAK and left[-1] < 0:
            left.pop()
            at += 1
            continue
        left[-1] -= left[-1] > 0
        values += 1
        if values > MOST_VALUES or len(left) > DEEPEST:
            raise Unreadable("too many values, or too deep")
        kind, (argument, at) = first >> 5, _argument(data, at)
        if kind in (_BYTES, _TEXT) and argument is not None:
            at += argument
        elif kind == _TAG:
            if argument != COSE_SIGN1:
                raise Unreadable("a tag that no certificate has")
            left.append(1)
        elif argument is None:
            left.append(-1)
        elif kind in (_ARRAY, _MAP):
            left.append(argument * (kind - _ARRAY + 1))
    if at != len(data):
        raise Unreadable("something follows it")


def _argument(data: bytes, at: int) -> tuple[int | None, int]:
    """Return a head's argument, None where a break ends it, and where the head ends."""
    kind, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return short, at + 1
    if short < 28:
        end = at + 1 + (1 << short - 24)
        if end > len(data):
            raise Unreadable("it ends too early")
        return int.from_bytes(data[at + 1 : end]), end
    if short == _UNKNOWN and kind in (_BYTES, _TEXT, _ARRAY, _MAP):
        return None, at + 1
    raise Unreadable("a head that CBOR does not have")
