"""What of an iCalendar file (RFC 5545) an appointment is made from, as text, in one pass over it.

The rest never reaches the library that parses: alarms, attendees, attachments, other components.
Neither do a file's own time zones (VTIMEZONE): a rule in one can be made to cost hours, and the
library keeps them for the whole process, so that one person's file would set another's times.
Zones are taken by their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from zoneinfo import available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from carnet.errors import ValidationFailed

MOST_EVENTS = 500
DEEPEST = 8  # components in each other
MOST_DATES = 1_000  # added to a recurrence, or taken out of it
HEAD_LIMIT = 400  # characters: a property's name and its parameters
VALUE_LIMIT = 4_000  # characters: a title and a place are cut there
_DATES = ("DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE")
_MANY = ("RDATE", "EXDATE")
_TEXTS = ("SUMMARY", "LOCATION")
_KEPT = frozenset((*_DATES, *_TEXTS, "DURATION", "UID", "STATUS", "SEQUENCE", "RRULE"))

UNREADABLE = "a property that cannot be read"
UNKNOWN_ZONE = "a time zone that is not known"
UNUSABLE_RULE = "a recurrence that cannot be reckoned"


@dataclass(slots=True)
class Entry:
    """An event's lines, or why it is left out."""

    lines: list[str] = field(default_factory=list, repr=False)
    names: set[str] = field(default_factory=set)
    dates: int = 0
    why_not: str | None = None

    def text(self) -> str:
        """Return the event alone, without what was not kept."""
        return "\r\n".join(("BEGIN:VEVENT", *self.lines, "END:VEVENT", ""))


@dataclass(slots=True)
class Sheet:
    """One calendar of a file; ``zone`` is that of times that are in none."""

    zone: str | None = None
    entries: list[Entry] = field(default_factory=list)


@cache
def zones() -> frozenset[str]:
    """Return the names of the time zones that are known here."""
    return frozenset(available_timezones())


def sheets(text: str) -> list[Sheet]:
    """Return the calendars of a file.

    Raises:
        ValidationFailed: it is no iCalendar file, or has too many events.
    """
    found: list[Sheet] = []
    inside: list[str] = []
    entry: Entry | None = None
    events = 0
    for line in _unfolded(text):
        name, parameters, value = _split(line)
        if name == "BEGIN":
            inside.append(value.strip().upper())
            if len(inside) > DEEPEST:
                raise ValidationFailed("This is no iCalendar file.", path=("ics",))
            if inside == ["VCALENDAR"] or not found:
                found.append(Sheet())
            if inside in (["VCALENDAR", "VEVENT"], ["VEVENT"]):
                entry = Entry()
                events += 1
                if events > MOST_EVENTS:
                    raise ValidationFailed(
                        f"A calendar has at most {MOST_EVENTS} events.", path=("ics",)
                    )
        elif name == "END":
            if not inside or inside.pop() != value.strip().upper():
                raise ValidationFailed("This is no iCalendar file.", path=("ics",))
            if entry is not None and "VEVENT" not in inside:
                found[-1].entries.append(entry)
                entry = None
        elif entry is not None and inside[-1] == "VEVENT":
            _keep(entry, name, parameters, value)
        elif inside == ["VCALENDAR"] and name == "X-WR-TIMEZONE":
            found[-1].zone = _zone(value.strip())
    if entry is not None:  # the file was cut off
        entry.why_not = UNREADABLE
        found[-1].entries.append(entry)
    if not found:
        raise ValidationFailed("This is no iCalendar file.", path=("ics",))
    return found


def _unfolded(text: str) -> Iterator[str]:
    """Yield the content lines; a line that begins with white space goes on with the last one."""
    parts: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line[:1] in (" ", "\t"):
            parts.append(line[1:])
            continue
        if parts:
            yield "".join(parts)
        parts = [line]
    yield "".join(parts)


def _split(line: str) -> tuple[str, str | None, str]:
    """Return a line's name, its parameters as written, and its value.

    The parameters are None where there is no value after as many characters as are read.
    """
    quoted = False
    for at, character in enumerate(line[:HEAD_LIMIT]):
        if character == '"':
            quoted = not quoted
        elif character == ":" and not quoted:
            name, _, parameters = line[:at].partition(";")
            return name.strip().upper(), parameters, line[at + 1 :]
    return line[:HEAD_LIMIT].partition(";")[0].strip().upper(), None, ""


def _keep(entry: Entry, name: str, parameters: str | None, value: str) -> None:
    if name == "EXRULE":
        entry.why_not = UNUSABLE_RULE
    if name not in _KEPT:
        return
    if name in entry.names and name not in _MANY:
        if name == "RRULE":
            entry.why_not = UNUSABLE_RULE
        return  # the first one counts
    entry.names.add(name)
    if name in _TEXTS:
        entry.lines.append(f"{name}:{value[:VALUE_LIMIT]}")
        return
    if name in _MANY:
        entry.dates += value.count(",") + 1
        if entry.dates > MOST_DATES:
            entry.why_not = UNUSABLE_RULE
            return
    elif len(value) > VALUE_LIMIT:
        parameters = None
    if parameters is None:
        entry.why_not = UNREADABLE
        return
    kept = "".join(_parameters(entry, parameters)) if name in _DATES else ""
    entry.lines.append(f"{name}{kept}:{value}")


def _parameters(entry: Entry, text: str) -> Iterator[str]:
    """Yield the parameters that say something about a date."""
    for part in text.split(";"):
        name, _, value = part.partition("=")
        match name.strip().upper():
            case "TZID":
                zone = _zone(value.strip().strip('"'))
                if zone is None:
                    entry.why_not = UNKNOWN_ZONE
                yield f";TZID={zone}"
            case "VALUE" if value.upper() in ("DATE", "DATE-TIME", "PERIOD"):
                yield f";VALUE={value.upper()}"
            case "RANGE" if value.upper() == "THISANDFUTURE":
                yield ";RANGE=THISANDFUTURE"


def _zone(name: str) -> str | None:
    """Return the known zone that a file names: by its own name, Windows' or a path's end."""
    if name in WINDOWS_TO_OLSON:
        return WINDOWS_TO_OLSON[name]
    parts = name.strip("/").split("/")
    for size in (3, 2, 1):
        known = "/".join(parts[-size:])
        if known in zones():
            return known
    return None
