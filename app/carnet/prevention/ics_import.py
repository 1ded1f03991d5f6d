"""Appointments out of an iCalendar file (RFC 5545). Pure, and bounded whatever the file says.

Every occurrence of a recurring event within the time that is looked at becomes an appointment of
its own. What cannot be taken is told, and the rest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Event
from icalendar.prop import vDDDLists

from carnet.errors import ValidationFailed
from carnet.prevention.appointments import (
    LONGEST,
    PLACE_LIMIT,
    TITLE_LIMIT,
    AppointmentDraft,
)
from carnet.prevention.ics_lines import UNREADABLE, UNUSABLE_RULE, Sheet, sheets, zones
from carnet.prevention.recurrence import Budget, Rule, TooOften, Unusable

LARGEST = 1_000_000  # characters
MOST_APPOINTMENTS = 500
MOST_OCCURRENCES = 2_000  # reckoned, of which the first ones become appointments
MOST_DAYS = 100_000  # looked at for the recurrences of a file
UID_LIMIT = 500  # characters
BACK = timedelta(days=31)
AHEAD = timedelta(days=2 * 366)
_EARLIEST, _LATEST = 2, 9_998  # years in which a time has a place in every zone
_UNUSABLE = "a date, title or name that cannot be used"
_TOO_MANY = "more than are taken at once"
_FAULTS = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)

Moment = date | datetime


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


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event that can be used. ``replaces`` is the occurrence of its series that it is about."""

    event: Any = field(repr=False)  # an icalendar.Event; a property of it may be of any kind
    uid: str = field(repr=False)
    start: Moment
    length: timedelta
    replaces: Moment | None
    is_onward: bool  # and about all that follow

    @property
    def repeats(self) -> bool:
        """Whether it has occurrences of its own."""
        return "RRULE" in self.event or "RDATE" in self.event


@dataclass(frozen=True, slots=True)
class _Occurrence:
    entry: _Entry
    start: Moment
    original: Moment | None  # None: of an event that happens once


def read(text: str, now: datetime, time_zone: str = "Europe/Paris") -> Reading:
    """Read a file.

    Args:
        text: the file.
        now: the time that is looked at is from a month before to two years after.
        time_zone: of times that say none.

    Raises:
        ValidationFailed: it is no iCalendar file, or larger than is taken; or there is no such
            zone.
    """
    if len(text) > LARGEST:
        raise ValidationFailed(f"A calendar has at most {LARGEST} characters.", path=("ics",))
    if time_zone not in zones():
        raise ValidationFailed("There is no such time zone.", path=("timeZone",))
    reading, budget = Reading(), Budget(MOST_DAYS)
    for sheet in sheets(text):
        zone = ZoneInfo(sheet.zone or time_zone)
        found: list[_Occurrence] = []
        for occurrence in _occurrences(_entries(sheet, zone, reading), now, budget, reading):
            if len(found) >= MOST_OCCURRENCES:
                reading.skip(_TOO_MANY)
                break
            found.append(occurrence)
        for occurrence in sorted(found, key=lambda each: str(each.start)):
            if len(reading.found) >= MOST_APPOINTMENTS:
                reading.skip(_TOO_MANY)
                continue
            try:
                reading.found.append(_imported(occurrence, zone))
            except (ValidationFailed, *_FAULTS):
                reading.skip(_UNUSABLE)
    return reading


def _entries(sheet: Sheet, zone: ZoneInfo, reading: Reading) -> list[_Entry]:
    entries = []
    for lines in sheet.entries:
        why = lines.why_not
        if not {"DTSTART", "UID"} <= lines.names:
            why = "no start or no UID"
        try:
            if why is None:
                event: Any = Event.from_ical(lines.text())
                if event.errors:
                    why = UNREADABLE
                else:
                    entries.append(_entry(event, zone, is_local=sheet.zone is not None))
        except _FAULTS:
            why = _UNUSABLE
        if why is not None:
            reading.skip(why)
    return entries


def _entry(event: Any, zone: ZoneInfo, *, is_local: bool) -> _Entry:
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        if name in event:
            event[name].dt = _placed(event[name].dt, zone, is_local=is_local)
    uid = str(event["UID"]).strip()
    if not 0 < len(uid) <= UID_LIMIT:
        raise ValueError
    start, replaces = event.start, event.get("RECURRENCE-ID")
    for moment in (start, replaces.dt if replaces is not None else start):
        if not _EARLIEST <= moment.year <= _LATEST:
            raise ValueError
    return _Entry(
        event,
        uid,
        start,
        min(max(event.end - start, timedelta()), LONGEST),
        replaces.dt if replaces is not None else None,
        replaces is not None and "RANGE" in replaces.params,
    )


def _placed(moment: Moment, zone: ZoneInfo, *, is_local: bool) -> Moment:
    """Return a time in its zone; a calendar with a zone of its own means it by UTC as well."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=zone)
    return moment.astimezone(zone) if is_local and str(moment.tzinfo) == "UTC" else moment


def _occurrences(
    entries: list[_Entry], now: datetime, budget: Budget, reading: Reading
) -> Iterator[_Occurrence]:
    """Yield the occurrences in the time that is looked at: those of single events first."""
    since, until = now - BACK, now + AHEAD
    repeating = {entry.uid for entry in entries if entry.repeats}
    changes: dict[str, dict[Moment, _Entry]] = {}
    for entry in entries:
        if entry.replaces is not None:
            changes.setdefault(entry.uid, {})[_key(entry.replaces)] = entry
    for entry in entries:
        if not entry.repeats or entry.replaces is not None:
            original = entry.replaces
            if original is None and entry.uid in (changes.keys() | repeating):
                original = entry.start
            one = _Occurrence(entry, entry.start, original)
            if _is_within(one, since, until) and (
                entry.replaces is not None or _key(entry.start) not in changes.get(entry.uid, {})
            ):
                yield one
    for entry in entries:
        if entry.repeats and entry.replaces is None:
            try:
                series = list(_series(entry, changes.get(entry.uid, {}), since, until, budget))
            except TooOften:
                reading.skip("repeated more often than daily")
            except _FAULTS:
                reading.skip(UNUSABLE_RULE)
            else:
                yield from (one for one in series if _is_within(one, since, until))


def _series(
    entry: _Entry, changes: dict[Moment, _Entry], since: datetime, until: datetime, budget: Budget
) -> Iterator[_Occurrence]:
    """Yield the occurrences of a series that have not been changed one by one."""
    left_out = {_key(_like(entry.start, moment)) for moment in _dates(entry.event, "EXDATE")}
    onward = sorted(
        (change for change in changes.values() if change.is_onward and change.replaces is not None),
        key=lambda change: _instant(change.replaces or change.start),
    )
    told: set[Moment] = set()
    for start in _starts(entry, since, until, budget):
        key = _key(start)
        if key in told or key in left_out or key in changes:
            continue
        told.add(key)
        source, moved = entry, start
        for change in onward:
            if change.replaces is not None and _instant(change.replaces) <= _instant(start):
                source = change
                moved = start + (_instant(change.start) - _instant(change.replaces))
        yield _Occurrence(source, moved, start)


def _starts(entry: _Entry, since: datetime, until: datetime, budget: Budget) -> Iterator[Moment]:
    start, event = entry.start, entry.event
    yield start
    for moment in _dates(event, "RDATE"):
        yield _like(start, moment)
    if "RRULE" not in event:
        return
    parts = {str(name).upper(): values for name, values in event["RRULE"].items()}
    for name, own in (("BYHOUR", "hour"), ("BYMINUTE", "minute"), ("BYSECOND", "second")):
        said = [str(value) for value in parts.pop(name, ())]
        if len(said) > 1:
            raise TooOften
        if said and said != [str(getattr(start, own, 0))]:
            raise Unusable  # not at the time of the first one
    rule = Rule.of(parts)
    ends = parts.get("UNTIL", [])
    last = (until + timedelta(1)).date()
    for day in rule.days(_day(start), (since - entry.length).date() - timedelta(1), last, budget):
        at = datetime.combine(day, start.timetz()) if isinstance(start, datetime) else day
        if any(_is_after(at, end) for end in ends):
            return
        yield at


def _is_after(moment: Moment, end: Moment) -> bool:
    """Tell whether an occurrence is after its rule's end, which may be a day or a time."""
    if isinstance(moment, datetime) and isinstance(end, datetime):
        return moment > (end if end.tzinfo else end.replace(tzinfo=moment.tzinfo))
    return _day(moment) > _day(end)


def _dates(event: Any, name: str) -> Iterator[Moment]:
    found = event.get(name, [])
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, vDDDLists):
            raise Unusable
        for value in each.dts:
            moment = value.dt[0] if isinstance(value.dt, tuple) else value.dt
            if not isinstance(moment, date):
                raise Unusable
            yield moment


def _like(start: Moment, moment: Moment) -> Moment:
    """Return a date of a series as its start is: with its zone, or at its time of day."""
    if not isinstance(start, datetime):
        return _day(moment)
    if not isinstance(moment, datetime):
        return datetime.combine(moment, start.timetz())
    return moment if moment.tzinfo else moment.replace(tzinfo=start.tzinfo)


def _day(moment: Moment) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _key(moment: Moment) -> Moment:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment


def _instant(moment: Moment) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), UTC)


def _is_within(one: _Occurrence, since: datetime, until: datetime) -> bool:
    start = _instant(one.start)
    return start < until and (start >= since or start + one.entry.length > since)


def _imported(one: _Occurrence, zone: ZoneInfo) -> Imported:
    event, start, uid = one.entry.event, one.start, one.entry.uid
    if one.original is not None:
        uid = f"{uid}/{one.original}"
    is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
    title = " ".join(str(event.get("SUMMARY", "")).split())[:TITLE_LIMIT] or "Rendez-vous"
    place = " ".join(str(event.get("LOCATION", "")).split())[:PLACE_LIMIT] or None
    if not isinstance(start, datetime):
        draft = AppointmentDraft(title=title, place=place, starts_on=start, time_zone=str(zone))
        return Imported(uid, draft.checked(), is_cancelled)
    named = str(start.tzinfo)
    length = event.end - event.start
    draft = AppointmentDraft(
        title=title,
        place=place,
        starts_at=start,
        ends_at=start + length if timedelta() < length <= LONGEST else None,
        time_zone=named if named in zones() else str(zone),
    )
    return Imported(uid, draft.checked(), is_cancelled)
