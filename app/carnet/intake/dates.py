"""HL7 timestamps (CDA's TS, v2's DTM) as partial dates and as moments. Pure.

Both are ``YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]``; the ISO 8601 forms that some vendors write
instead are understood too.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from carnet.errors import ValidationFailed
from carnet.values import PartialDate

FIRST_YEAR, LAST_YEAR = 1800, 2999  # of a living patient's record, with room

_TIMESTAMP = re.compile(
    r"(?P<year>\d{4})(?:-?(?P<month>\d{2})(?:-?(?P<day>\d{2})"
    r"(?:[T ]?(?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})"
    r"(?:[.,](?P<fraction>\d{1,9}))?)?)?)?)?)?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?",
    re.ASCII,
)
UNREADABLE = "A date of the document cannot be read."


def _paris() -> tzinfo:
    try:
        return ZoneInfo("Europe/Paris")
    except ZoneInfoNotFoundError:  # a system without the time zone database
        return timezone(timedelta(hours=1))


PARIS = _paris()
"""The zone of French timestamps that name none."""


def read_day(text: str) -> PartialDate:
    """Return the date of a timestamp, as exact as it is written.

    A month or day ``00`` means that it is not known. The day is the one written: it is not moved
    into another zone.

    Raises:
        ValidationFailed: it is no timestamp, names no real day, or lies outside 1800 to 2999.
    """
    found = _match(text)
    parts = [found["year"]]
    for name in ("month", "day"):
        if found[name] in (None, "00"):
            break
        parts.append(found[name])
    return PartialDate.parse("-".join(parts))


def read_moment(text: str, zone: tzinfo = UTC) -> datetime:
    """Return the moment of a timestamp; what it leaves out is the start of the year, day, hour.

    Args:
        text: the timestamp.
        zone: the zone of a timestamp that names none.

    Raises:
        ValidationFailed: it is no timestamp, or names no real moment from 1800 to 2999.
    """
    found = _match(text)
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    second = min(int(found["second"] or 0), 59)  # a leap second is the one before it
    try:
        return datetime(
            int(found["year"]),
            int(found["month"] or 1) or 1,
            int(found["day"] or 1) or 1,
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            second,
            int(fraction),
            tzinfo=_zone(found["zone"], zone),
        )
    except ValueError:
        raise ValidationFailed(UNREADABLE) from None


def is_day(text: str) -> bool:
    """Tell whether a text is a timestamp of a real day (or month, or year)."""
    try:
        read_day(text)
    except ValidationFailed:
        return False
    return True


def _match(text: str) -> re.Match[str]:
    found = _TIMESTAMP.fullmatch(text.strip()) if len(text) < 64 else None
    if found is None or not FIRST_YEAR <= int(found["year"]) <= LAST_YEAR:
        raise ValidationFailed(UNREADABLE)
    try:
        date(int(found["year"]), int(found["month"] or 1) or 1, int(found["day"] or 1) or 1)
    except ValueError:
        raise ValidationFailed(UNREADABLE) from None
    return found


def _zone(text: str | None, default: tzinfo) -> tzinfo:
    if text is None:
        return default
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset > timedelta(hours=15):
        raise ValidationFailed(UNREADABLE)
    return timezone(offset if text[0] == "+" else -offset)
