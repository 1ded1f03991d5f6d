"""JSON of the archive: written for people and programs, a list as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import orjson

from carnet.values import PartialDate

NUMBER_DIGITS = 50  # beyond which a number is no measurement; bounds what one is written as


def dumps(value: Any) -> bytes:
    """Return the value as indented JSON. Decimals keep the digits that they were stated with."""
    return orjson.dumps(value, _plain, orjson.OPT_INDENT_2)


def _plain(value: Any) -> Any:
    match value:
        case PartialDate():
            return value.text
        case Decimal():
            return number(value)
        case str():
            return str(value)  # an enum's value
        case Mapping():
            return dict(value)
    raise TypeError(type(value).__name__)


def number(value: Decimal) -> Any:
    """Return a number so that it is written digit by digit; None for what JSON cannot write."""
    if not value.is_finite() or abs(value.adjusted()) > NUMBER_DIGITS:
        return None
    return orjson.Fragment(format(value, "f"))


async def array(items: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    """Yield the JSON of a list, an item at a time."""
    before = b"[\n"
    async for item in items:
        yield before + dumps(item)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"
