"""A record's calendar as iCalendar (RFC 5545, 7986), for phones. Pure: the same input, the same
bytes.

Without details nothing of it tells of health: neither what is due nor what an appointment is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, vDuration

from carnet.calendar.rules import Words
from carnet.prevention.feeds import Entered
from carnet.prevention.tables import Appointment
from carnet.prevention.words import next_step

PRODUCT = "-//Carnet//Prevention calendar//FR"
REFRESH = timedelta(hours=12)
_NEUTRAL = Words("Prévention : quelque chose est à faire", "Prevention: something is due")
_NEUTRAL_APPOINTMENT = Words("Rendez-vous", "Appointment")
_NAME = Words("Carnet, prévention", "Carnet, prevention")


def said(words: Words, language: str) -> str:
    """Return a text in French, or in English where that is wanted."""
    return words.en if language == "en" else words.fr


def feed(
    feed_id: UUID,
    entered: Iterable[Entered],
    appointments: Iterable[Appointment],
    *,
    is_detailed: bool,
    language: str = "fr",
) -> bytes:
    """Write a feed.

    Args:
        feed_id: names the feed; the UIDs of items follow from it and from their keys.
        entered: the items.
        appointments: the appointments, cancelled ones too.
        is_detailed: say what is due and what appointments are for.
        language: "fr" or "en".
    """
    calendar = Calendar()
    calendar.add("PRODID", PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("METHOD", "PUBLISH")
    calendar.add("NAME", said(_NAME, language))
    calendar.add("X-WR-CALNAME", said(_NAME, language))
    calendar.add("REFRESH-INTERVAL", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", vDuration(REFRESH))
    for each in entered:
        calendar.add_component(_of_item(feed_id, each, is_detailed, language))
    for appointment in appointments:
        calendar.add_component(_of_appointment(appointment, is_detailed, language))
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _event(uid: UUID, sequence: int, changed_at: datetime, is_cancelled: bool) -> Event:
    event = Event()
    event.add("UID", f"{uid}@carnet")
    event.add("SEQUENCE", sequence)
    event.add("DTSTAMP", changed_at)
    event.add("LAST-MODIFIED", changed_at)
    event.add("CLASS", "PRIVATE")
    event.add("STATUS", "CANCELLED" if is_cancelled else "CONFIRMED")
    return event


def _of_item(feed_id: UUID, each: Entered, is_detailed: bool, language: str) -> Event:
    event = _event(uuid5(feed_id, each.key), each.sequence, each.changed_at, each.is_cancelled)
    item = each.item
    told = is_detailed and item is not None
    event.add("SUMMARY", said(item.rule.words if told and item else _NEUTRAL, language))
    if told and item is not None:
        step = next_step(item)
        lines = [said(step, language)] if step is not None else []
        lines.append(item.rule.place.source)
        event.add("DESCRIPTION", "\n".join(lines))
    event.add("DTSTART", each.on)
    event.add("DTEND", each.on + timedelta(days=1))
    event.add("TRANSP", "TRANSPARENT")
    return event


def _of_appointment(row: Appointment, is_detailed: bool, language: str) -> Event:
    event = _event(row.id, row.sequence, row.updated_at, row.cancelled_at is not None)
    event.add("SUMMARY", row.title if is_detailed else said(_NEUTRAL_APPOINTMENT, language))
    if is_detailed and row.place:
        event.add("LOCATION", row.place)
    if row.starts_at is not None:
        zone = ZoneInfo(row.time_zone)
        event.add("DTSTART", row.starts_at.astimezone(zone))
        if row.ends_at is not None:
            event.add("DTEND", row.ends_at.astimezone(zone))
    elif row.starts_on is not None:
        event.add("DTSTART", row.starts_on)
        event.add("DTEND", row.starts_on + timedelta(days=1))
    if row.remind_minutes is not None and row.cancelled_at is None:
        alarm = Alarm()
        alarm.add("ACTION", "DISPLAY")
        alarm.add("DESCRIPTION", said(_NEUTRAL_APPOINTMENT, language))
        alarm.add("TRIGGER", -timedelta(minutes=row.remind_minutes))
        event.add_component(alarm)
    return event
