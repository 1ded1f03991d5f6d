"""Appointments out of an iCalendar file (RFC 5545). Pure, and bounded whatever the file says.

Every occurrence of a recurring event within the time that is looked at becomes an appointment of
its own. What cannot be taken is told, and the rest is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import recurring_ical_events  # type: ignore[import-untyped]  # it ships no types
from icalendar import Calendar, Component, Event

from carnet.errors import ValidationFailed
from carnet.prevention.appointments import (
    LONGEST,
    PLACE_LIMIT,
    TITLE_LIMIT,
    AppointmentDraft,
)

LARGEST = 1_000_000  # characters
MOST_EVENTS = 500
MOST_APPOINTMENTS = 500
UID_LIMIT = 500  # characters
BACK = timedelta(days=31)
AHEAD = timedelta(days=2 * 366)
_OFTEN = ("SECONDLY", "MINUTELY", "HOURLY")


@dataclass(frozen=True, slots=True)
class Imported:
    """One appointment: what it is, and the entry's own name, sequence and state."""

    uid: str = field(repr=False)
    draft: AppointmentDraft
    is_cancelled: bool = False


@dataclass(slots=True)
class Reading:
    """What a file holds: appointments, and how many entries were left out, by reason."""

    found: list[Imported] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        """Count an entry that is left out."""
        self.skipped[why] = self.skipped.get(why, 0) + 1


def read(text: str, now: datetime, time_zone: str = "Europe/Paris") -> Reading:
    """Read a file.

    Args:
        text: the file.
        now: the time that is looked at is from a month before to two years after.
        time_zone: of times that say none.

    Raises:
        ValidationFailed: it is no iCalendar file, or larger than is taken.
    """
    if len(text) > LARGEST:
        raise ValidationFailed(f"A calendar has at most {LARGEST} characters.", path=("ics",))
    try:
        calendars = Calendar.from_ical(text, multiple=True)
        events = [e for c in calendars for e in c.walk("VEVENT") if isinstance(e, Event)]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValidationFailed("This is no iCalendar file.", path=("ics",)) from error
    if len(events) > MOST_EVENTS:
        raise ValidationFailed(f"A calendar has at most {MOST_EVENTS} events.", path=("ics",))
    reading = Reading()
    for calendar in calendars:
        _read_calendar(calendar, now, time_zone, reading)
    return reading


def _read_calendar(calendar: Calendar, now: datetime, zone: str, reading: Reading) -> None:
    usable = Calendar()
    recurring: set[str] = set()  # every occurrence bears a RECURRENCE-ID, that of a single one too
    for zones in calendar.walk("VTIMEZONE"):
        usable.add_component(zones)
    for event in calendar.walk("VEVENT"):
        why = _why_not(event)
        if why is not None:
            reading.skip(why)
            continue
        usable.add_component(event)
        if any(name in event for name in ("RRULE", "RDATE", "RECURRENCE-ID")):
            recurring.add(str(event["UID"]).strip())
    for event in _occurrences(usable, now, reading):
        if len(reading.found) >= MOST_APPOINTMENTS:
            reading.skip("more than are taken at once")
            continue
        try:
            reading.found.append(_imported(event, zone, recurring))
        except (ValidationFailed, ValueError, KeyError, OverflowError, TypeError):
            reading.skip("a date, title or name that cannot be used")


def _why_not(event: Component) -> str | None:
    if "DTSTART" not in event or "UID" not in event:
        return "no start or no UID"
    if event.errors:
        return "a property that cannot be read"
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        if any(str(often).upper() in _OFTEN for often in rule.get("FREQ", [])):
            return "repeated more often than daily"
    return None


def _occurrences(calendar: Calendar, now: datetime, reading: Reading) -> Iterator[Event]:
    """Yield the occurrences in the time that is looked at, and cancelled entries."""
    try:
        between = recurring_ical_events.of(calendar, skip_bad_series=True).between(
            now - BACK, now + AHEAD
        )
        yield from sorted(between, key=lambda event: str(event.start))
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError):
        reading.skip("a recurrence that cannot be reckoned")


def _imported(event: Event, zone: str, recurring: Collection[str]) -> Imported:
    start = event.start
    uid = str(event["UID"]).strip()
    if not 0 < len(uid) <= UID_LIMIT:
        raise ValueError
    if uid in recurring:
        recurrence = getattr(event.get("RECURRENCE-ID"), "dt", start)
        uid = f"{uid}/{recurrence}"
    is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
    title = " ".join(str(event.get("SUMMARY", "")).split())[:TITLE_LIMIT] or "Rendez-vous"
    place = " ".join(str(event.get("LOCATION", "")).split())[:PLACE_LIMIT] or None
    if not isinstance(start, datetime):
        draft = AppointmentDraft(title=title, place=place, starts_on=start, time_zone=zone)
        return Imported(uid, draft.checked(), is_cancelled)
    named = str(start.tzinfo) if start.tzinfo is not None else zone
    known = named if named in available_timezones() else zone
    starts_at = start if start.tzinfo else start.replace(tzinfo=ZoneInfo(zone))
    draft = AppointmentDraft(
        title=title,
        place=place,
        starts_at=starts_at,
        ends_at=_end(event, starts_at),
        time_zone=known,
    )
    return Imported(uid, draft.checked(), is_cancelled)


def _end(event: Event, starts_at: datetime) -> datetime | None:
    """Return the end, where it is one that an appointment can have."""
    end: date | datetime = event.end
    if not isinstance(end, datetime):
        return None
    length = (end if end.tzinfo else end.replace(tzinfo=starts_at.tzinfo)) - starts_at
    return starts_at + length if timedelta() < length <= LONGEST else None
