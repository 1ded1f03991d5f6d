"""The scalars of the schema, each strict: one text form in, one text form out.

`SCALARS` is what ``StrawberryConfig(scalar_map=…)`` takes. Annotate fields and arguments with the
Python type: ``datetime``, ``date``, ``Decimal``, ``UUID``, `carnet.values.PartialDate`, `URL`,
`Cursor`. No message repeats the refused value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from carnet.errors import CarnetError
from carnet.values import PartialDate
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

URL = NewType("URL", str)
Cursor = NewType("Cursor", str)

_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _scalar(
    name: str,
    description: str,
    *,
    read: Callable[[str], object],
    write: Callable[[Any], str] = str,
    specified_by: str | None = None,
) -> ScalarDefinition:
    def parse(value: object) -> object:
        try:
            if isinstance(value, str):
                return read(value)
        except (ValueError, OverflowError, CarnetError, DecodeError):
            pass
        raise GraphQLError(f"{name}: {description}") from None

    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=specified_by,
        serialize=write,
        parse_value=parse,
    )


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError
    return text


def _read_moment(text: str) -> datetime:
    return datetime.fromisoformat(_matching(_MOMENT, text).upper()).astimezone(UTC)


def _write_moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise TypeError("a moment without zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


SCALARS: dict[object, ScalarDefinition] = {
    datetime: _scalar(
        "DateTime",
        "A moment with its zone, as RFC 3339 writes it: `2026-03-28T14:05:00Z`."
        " Answers are in UTC.",
        read=_read_moment,
        write=_write_moment,
        specified_by="https://www.rfc-editor.org/rfc/rfc3339",
    ),
    date: _scalar(
        "Date",
        "A calendar day: `1975-03-28`.",
        read=lambda text: date.fromisoformat(_matching(_DAY, text)),
        write=date.isoformat,
        specified_by="https://www.rfc-editor.org/rfc/rfc3339",
    ),
    PartialDate: _scalar(
        "PartialDate",
        "A date known to the year, the month or the day: `1975`, `1975-03` or `1975-03-28`.",
        read=PartialDate.parse,
        write=str,
    ),
    Decimal: _scalar(
        "Decimal",
        'A decimal number as text, so that no digit is lost: `"37.2"`.',
        read=lambda text: Decimal(_matching(_DECIMAL, text)),
        write=lambda number: f"{number:f}",
    ),
    UUID: _scalar(
        "UUID",
        "A UUID in its hyphenated form.",
        read=lambda text: UUID(_matching(_UUID, text)),
        specified_by="https://www.rfc-editor.org/rfc/rfc9562",
    ),
    URL: _scalar(
        "URL",
        "A web address. One that starts with a slash is on this server.",
        read=str,
        specified_by="https://url.spec.whatwg.org/",
    ),
    bytes: _scalar(
        "Base64Bytes",
        "Bytes as canonical base64url without padding (RFC 4648, section 5).",
        read=from_base64url,
        write=to_base64url,
        specified_by="https://www.rfc-editor.org/rfc/rfc4648#section-5",
    ),
    Cursor: _scalar(
        "Cursor",
        "An opaque place in one list in one order.",
        read=str,
    ),
}
