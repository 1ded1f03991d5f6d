"""Items of a prevention calendar: what, why, by when, and what to do next."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

import strawberry

from carnet.calendar.course import Status
from carnet.calendar.groups import DoseVerdict
from carnet.calendar.items import ItemStatus
from carnet.calendar.rules import Kind, Level, Words
from carnet.calendar.why import Why
from carnet.prevention import tables, words
from carnet.prevention.queries import Entry, RecordCalendar
from carnet.records.tables import Immunization as Dose
from carnet_graphql.appointments import Appointment, CalendarEntry
from carnet_graphql.codings import InLocale, Locale
from carnet_graphql.immunizations import Immunization

strawberry.enum(Kind, name="PreventionKind", description="What a rule of prevention asks for.")
strawberry.enum(Level, name="PreventionLevel", description="How strongly it is asked for.")
PreventionChoice = strawberry.enum(
    tables.Choice, name="PreventionChoice", description="What was decided on an item."
)


@strawberry.enum(description="Where the holder is with an item.")
class PreventionStatus(StrEnum):
    """See `carnet.calendar.items.ItemStatus`; what is open is told apart by the day."""

    UPCOMING = "UPCOMING"
    DUE = "DUE"
    OVERDUE = "OVERDUE"
    DONE = "DONE"
    MISSED = "MISSED"
    SUSPENDED = "SUSPENDED"
    REFUSED = "REFUSED"
    NOT_CONCERNED = "NOT_CONCERNED"


_CLOSED = {
    ItemStatus.COMPLETE: PreventionStatus.DONE,
    ItemStatus.AGED_OUT: PreventionStatus.MISSED,
    ItemStatus.SUSPENDED: PreventionStatus.SUSPENDED,
}


def status_of(entry: Entry, as_of: date) -> PreventionStatus:
    """Return where the holder is with an item on a day."""
    item = entry.item
    if item.status in _CLOSED:
        return _CLOSED[item.status]
    if entry.choice is not None:
        return PreventionStatus(entry.choice.choice.value)
    today = as_of.toordinal()
    if item.overdue is not None and item.overdue <= today:
        return PreventionStatus.OVERDUE
    return PreventionStatus.DUE if (item.due or 0) <= today else PreventionStatus.UPCOMING


def said(words_: Words, locale: Locale) -> str:
    """Return a text in a language."""
    return words_.fr if locale is Locale.FR else words_.en


def day_of(day: int | None) -> date | None:
    """Return a day number as a date."""
    return None if day is None else date.fromordinal(day)


@strawberry.type(description="One reason for what an item says.")
class PreventionReason:
    """See `carnet.calendar.why.Why`."""

    why: strawberry.Private[Why]

    @strawberry.field(description="The section of the CDSi Logic Specification that decided.")
    def logic(self) -> str:
        """Return the section."""
        return self.why.rule

    @strawberry.field(description="The facts used, in words and dates.")
    def facts(self) -> str:
        """Return the facts."""
        return self.why.told()

    @strawberry.field(description="Where the schedule writes the rule: file and line.")
    def place(self) -> str:
        """Return the place."""
        return str(self.why.place)

    @strawberry.field(description="The source of the rule.")
    def source(self) -> str:
        """Return the source."""
        return self.why.place.source


@strawberry.type(description="An act of the past, and what it is worth for an item.")
class PreventionVerdict:
    """See `carnet.calendar.groups.DoseVerdict`."""

    calendar: strawberry.Private[RecordCalendar]
    verdict: strawberry.Private[DoseVerdict]

    @strawberry.field(description="What was done.")
    def act(self, locale: InLocale = Locale.FR) -> str:
        """Return the act's name."""
        return said(self.calendar.book.acts[self.verdict.administration.cvx].words, locale)

    @strawberry.field(description="When.")
    def done_on(self) -> date:
        """Return the day."""
        return date.fromordinal(self.verdict.administration.given_on)

    @strawberry.field(description="Whether it counts.")
    def is_valid(self) -> bool:
        """Tell whether it counts."""
        return self.verdict.status is Status.VALID

    @strawberry.field(description="Why it does not count, in the words of CDSi; null when it does.")
    def reason(self) -> str | None:
        """Return the reason."""
        if self.verdict.status is Status.VALID:
            return None
        return self.verdict.cause.value or self.verdict.status.value

    @strawberry.field(description="The dose in the profile, where it is one.")
    def immunization(self) -> Immunization | None:
        """Return the dose."""
        source = self.calendar.sources[self.verdict.administration.place]
        return Immunization.of(source) if isinstance(source, Dose) else None


@strawberry.type(
    description="One item of prevention: what, why, by when, and what to do next. Information, not"
    " medical advice."
)
class PreventionItem(CalendarEntry):
    """See `carnet.calendar.items.Item`."""

    calendar: strawberry.Private[RecordCalendar]
    entry: strawberry.Private[Entry]

    @classmethod
    def of(cls, calendar: RecordCalendar, entry: Entry) -> PreventionItem:
        """Return an item; it stands on the day it is due, else on the one it was done."""
        item = entry.item
        on = day_of(item.due if item.due is not None else item.done_on) or calendar.as_of
        return cls(on=on, calendar=calendar, entry=entry)

    @strawberry.field(description="Names the item in this record; give it back to decide on it.")
    def key(self) -> str:
        """Return the key."""
        return self.entry.key

    @strawberry.field(description="The rule's id in the schedule.")
    def rule_id(self) -> str:
        """Return the rule."""
        return self.entry.item.rule.id

    @strawberry.field(description="The age or season, where a rule has several.")
    def occurrence(self) -> str | None:
        """Return the occurrence."""
        return self.entry.item.occurrence.label or None

    @strawberry.field(description="What it asks for.")
    def kind(self) -> Kind:
        """Return the kind."""
        return self.entry.item.rule.kind

    @strawberry.field(description="What it is.")
    def title(self, locale: InLocale = Locale.FR) -> str:
        """Return the title."""
        return said(self.entry.item.rule.words, locale)

    @strawberry.field(description="How strongly it is asked for.")
    def level(self) -> Level:
        """Return the level."""
        return self.entry.item.level

    @strawberry.field(description="Where the holder is with it on this day.")
    def status(self) -> PreventionStatus:
        """Return the status."""
        return status_of(self.entry, self.calendar.as_of)

    @strawberry.field(description="The first day the next act may be done.")
    def earliest(self) -> date | None:
        """Return the day."""
        return day_of(self.entry.item.earliest)

    @strawberry.field(description="The day the next act should be done.")
    def due(self) -> date | None:
        """Return the day."""
        return day_of(self.entry.item.due)

    @strawberry.field(description="The first day on which one is late.")
    def overdue(self) -> date | None:
        """Return the day."""
        return day_of(self.entry.item.overdue)

    @strawberry.field(description="The last day on which it makes sense.")
    def latest(self) -> date | None:
        """Return the day."""
        return day_of(self.entry.item.latest)

    @strawberry.field(description="When the last act that counts was done.")
    def done_on(self) -> date | None:
        """Return the day."""
        return day_of(self.entry.item.done_on)

    @strawberry.field(description="Which act of the series is next; the first is 1.")
    def dose_number(self) -> int | None:
        """Return the number."""
        return self.entry.item.number

    @strawberry.field(description="Which schemes of the rule it follows.")
    def schemes(self) -> list[str]:
        """Return the schemes."""
        return list(self.entry.item.schemes)

    @strawberry.field(description="What to do next; null where nothing is to be done.")
    def next_step(self, locale: InLocale = Locale.FR) -> str | None:
        """Return what to do."""
        step = words.next_step(self.entry.item) if self.entry.choice is None else None
        return None if step is None else said(step, locale)

    @strawberry.field(description="Why it says so.")
    def why(self) -> list[PreventionReason]:
        """Return the reasons."""
        return [PreventionReason(why=why) for why in self.entry.item.why]

    @strawberry.field(description="Acts of the past that were held against it.")
    def history(self) -> list[PreventionVerdict]:
        """Return the acts."""
        found = self.entry.item.verdicts
        return [PreventionVerdict(calendar=self.calendar, verdict=verdict) for verdict in found]

    @strawberry.field(description="The source of the rule.")
    def source(self) -> str:
        """Return the source."""
        return self.entry.item.rule.place.source

    @strawberry.field(description="What of the rule its sources leave open; null: nothing.")
    def unconfirmed(self) -> str | None:
        """Return what is not confirmed."""
        return self.entry.item.rule.unconfirmed or None

    @strawberry.field(description="The appointment that is set for it.")
    def appointment(self) -> Appointment | None:
        """Return the appointment."""
        return Appointment.of(self.entry.appointment) if self.entry.appointment else None


Kinds = Annotated[
    list[Kind] | None, strawberry.argument(description="Only these kinds; without it, all.")
]
