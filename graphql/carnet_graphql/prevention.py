"""The prevention calendar of a record: items with their dates and why, and appointments."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.calendar.course import Status
from carnet.calendar.groups import DoseVerdict
from carnet.calendar.items import ItemStatus
from carnet.calendar.rules import Kind, Level, Words
from carnet.calendar.why import Why
from carnet.errors import BadCursor, ValidationFailed
from carnet.prevention import feeds, queries, tables, words
from carnet.prevention.queries import Entry, RecordCalendar
from carnet.records.tables import Immunization as Dose
from carnet.store.cursors import CURSOR_LIMIT
from carnet.store.keyset import Page, PageRequest
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url
from carnet_graphql.appointments import Appointment, CalendarEntry
from carnet_graphql.codings import InLocale, Locale
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection_of,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.immunizations import Immunization
from carnet_graphql.prevention_statements import (
    CalendarFeed,
    Pregnancy,
    PreventionAct,
    PreventionFact,
)

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


def _said(said: Words, locale: Locale) -> str:
    return said.fr if locale is Locale.FR else said.en


def _day(day: int | None) -> date | None:
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
        return _said(self.calendar.book.acts[self.verdict.administration.cvx].words, locale)

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
        on = _day(item.due if item.due is not None else item.done_on) or calendar.as_of
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
        return _said(self.entry.item.rule.words, locale)

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
        return _day(self.entry.item.earliest)

    @strawberry.field(description="The day the next act should be done.")
    def due(self) -> date | None:
        """Return the day."""
        return _day(self.entry.item.due)

    @strawberry.field(description="The first day on which one is late.")
    def overdue(self) -> date | None:
        """Return the day."""
        return _day(self.entry.item.overdue)

    @strawberry.field(description="The last day on which it makes sense.")
    def latest(self) -> date | None:
        """Return the day."""
        return _day(self.entry.item.latest)

    @strawberry.field(description="When the last act that counts was done.")
    def done_on(self) -> date | None:
        """Return the day."""
        return _day(self.entry.item.done_on)

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
        said = words.next_step(self.entry.item) if self.entry.choice is None else None
        return None if said is None else _said(said, locale)

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


@strawberry.type(description="An act of the past that cannot be computed with, and why.")
class SetAside:
    """See `carnet.calendar.facts.SetAside`."""

    act: str = strawberry.field(description="What was done.")
    written_on: str = strawberry.field(description="The date as it is written; may be empty.")
    reason: str = strawberry.field(description="Why it is set aside.")


@strawberry.type(description="A word of the schedule: an act or a fact that can be stated.")
class PreventionTerm:
    """A code and what it means."""

    code: str = strawberry.field(description="The code to state.")
    said: strawberry.Private[Words]

    @strawberry.field(description="What it means.")
    def label(self, locale: InLocale = Locale.FR) -> str:
        """Return the meaning."""
        return _said(self.said, locale)


@strawberry.type(description="What an item said by one version of the schedule.")
class PreventionShape:
    """See `carnet.prevention.reminders.shape`."""

    shape: strawberry.Private[dict[str, str]]

    @strawberry.field(description="How strongly it was asked for.")
    def level(self) -> Level:
        """Return the level."""
        return Level(self.shape["level"])

    @strawberry.field(description="Whether something was to be done.")
    def is_open(self) -> bool:
        """Tell whether it was open."""
        return self.shape["status"] == ItemStatus.NOT_COMPLETE.value

    @strawberry.field(description="The day it was due.")
    def due(self) -> date | None:
        """Return the day."""
        return date.fromisoformat(self.shape["due"]) if "due" in self.shape else None


@strawberry.type(description="What the newest version of the schedule changed for you.")
class PreventionChange:
    """See `carnet.prevention.tables.PreventionChange`."""

    row: strawberry.Private[tables.PreventionChange]

    @strawberry.field(description="The item.")
    def item_key(self) -> str:
        """Return the key."""
        return self.row.item_key

    @strawberry.field(description="What it said before; null: it was not there.")
    def before(self) -> PreventionShape | None:
        """Return what it said."""
        return PreventionShape(shape=self.row.was) if self.row.was else None

    @strawberry.field(description="What it says now; null: it is there no more.")
    def after(self) -> PreventionShape | None:
        """Return what it says."""
        return PreventionShape(shape=self.row.is_now) if self.row.is_now else None


Kinds = Annotated[
    list[Kind] | None, strawberry.argument(description="Only these kinds; without it, all.")
]
Statuses = Annotated[
    list[PreventionStatus] | None,
    strawberry.argument(description="Only these statuses; without it, all."),
]
ItemKey = Annotated[str, strawberry.argument(description="The item's key.")]


@strawberry.type(description="The whole of a record's prevention on a day.")
class Prevention:
    """See `carnet.prevention.queries.RecordCalendar`."""

    key: strawberry.Private[UUID]
    calendar: strawberry.Private[RecordCalendar]

    @strawberry.field(description="The day it is computed for, from the facts known now.")
    def as_of(self) -> date:
        """Return the day."""
        return self.calendar.as_of

    @strawberry.field(description="The schedule: its name and version.")
    def schedule(self) -> str:
        """Return the schedule."""
        return f"{self.calendar.book.name} {self.calendar.book.version}"

    @strawberry.field(description="What the schedule is made from.")
    def source(self) -> str:
        """Return the source."""
        return self.calendar.book.source

    @strawberry.field(description="False: the date of birth is not known to the day.")
    def is_computable(self) -> bool:
        """Tell whether anything can be computed."""
        return self.calendar.is_computable

    @strawberry.field(description="All items, the soonest due first; at most some hundred.")
    def items(self, kinds: Kinds = None, statuses: Statuses = None) -> list[PreventionItem]:
        """Return items."""
        made = [PreventionItem.of(self.calendar, entry) for entry in self.calendar.entries]
        wanted = [
            item
            for item in made
            if (kinds is None or item.entry.item.rule.kind in kinds)
            and (statuses is None or status_of(item.entry, self.calendar.as_of) in statuses)
        ]
        return sorted(wanted, key=lambda item: (item.on, item.entry.key))

    @strawberry.field(description="One item by its key.")
    def item(self, key: ItemKey) -> PreventionItem | None:
        """Return an item."""
        found = (entry for entry in self.calendar.entries if entry.key == key)
        return next((PreventionItem.of(self.calendar, entry) for entry in found), None)

    @strawberry.field(description="Acts of the past that cannot be computed with.")
    def set_aside(self, locale: InLocale = Locale.FR) -> list[SetAside]:
        """Return what is set aside."""
        history = self.calendar.known.history(self.calendar.book)
        return [
            SetAside(
                act=_said(self.calendar.book.acts[history[each.place][0].cvx].words, locale),
                written_on=history[each.place][0].given_on,
                reason=each.reason.value,
            )
            for each in self.calendar.aside
        ]

    @strawberry.field(description="What the newest version of the schedule changed.")
    async def changes(self, info: Info) -> list[PreventionChange]:
        """Return the changes."""
        rows = await info.context.load(queries.changes_of, self.key)
        return [PreventionChange(row=row) for row in rows or []]

    @strawberry.field(description="Acts that somebody says were done.")
    def acts(self) -> list[PreventionAct]:
        """Return the acts."""
        return [PreventionAct.of(row) for row in self.calendar.known.acts]

    @strawberry.field(description="Facts that were stated.")
    def facts(self) -> list[PreventionFact]:
        """Return the facts."""
        return [PreventionFact.of(row) for row in self.calendar.known.facts]

    @strawberry.field(description="Pregnancies that were stated.")
    def pregnancies(self) -> list[Pregnancy]:
        """Return the pregnancies."""
        return [Pregnancy.of(row) for row in self.calendar.known.pregnancies]

    @strawberry.field(description="Acts that can be stated as done.")
    def known_acts(self) -> list[PreventionTerm]:
        """Return the acts of the schedule that are no vaccines."""
        acts = self.calendar.book.acts.values()
        return [PreventionTerm(code=a.code, said=a.words) for a in acts if not a.diseases]

    @strawberry.field(description="Facts that can be stated.")
    def known_facts(self) -> list[PreventionTerm]:
        """Return the facts of the schedule."""
        return [
            PreventionTerm(code=f.code, said=f.words) for f in self.calendar.book.facts.values()
        ]

    @strawberry.field(description="Kinds about which no message comes.")
    def refused_kinds(self) -> list[Kind]:
        """Return the kinds."""
        return sorted(self.calendar.refused_kinds)

    @strawberry.field(description="Your addresses for phones.")
    async def feeds(self, info: Info) -> list[CalendarFeed]:
        """Return the viewer's feeds."""
        rows = await info.context.load(feeds.of_records, self.key)
        return [CalendarFeed.of(row) for row in rows or []]


AsOf = Annotated[
    date | None, strawberry.argument(description="The day to compute for; today without it.")
]
SPAN_LIMIT = 366 * 120  # days that a calendar covers at most


@strawberry.type
class RecordPrevention:
    """The calendar, on the type of a record."""

    key: strawberry.Private[UUID]

    @strawberry.field(
        description="What is asked of the holder and was done of it, on a day: by default today."
        " Null where you may not see the profile."
    )
    async def prevention(self, info: Info, as_of: AsOf = None) -> Prevention | None:
        """Return the whole of the record's prevention."""
        found = await info.context.load(queries.calendars, self.key, as_of)
        return None if found is None else Prevention(key=self.key, calendar=found)

    @strawberry.field(
        description="Items and appointments between two days, the soonest first: items that are"
        " open or were done then. By default from today on, for a year."
    )
    async def calendar(
        self,
        info: Info,
        from_: Annotated[
            date | None, strawberry.argument(name="from", description="The first day.")
        ] = None,
        to: Annotated[date | None, strawberry.argument(description="The last day.")] = None,
        kinds: Kinds = None,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[CalendarEntry]:
        """Return a page of the calendar."""
        request = page_request(first, after, last, before)
        found = await info.context.load(queries.calendars, self.key, None)
        if found is None:
            return connection_of(Page([], [], False, False), _same, _counter(0))
        start = from_ or found.as_of
        stop = to or start + timedelta(days=366)
        if not 0 <= (stop - start).days <= SPAN_LIMIT:
            raise ValidationFailed("The last day is before the first, or far away.", path=("to",))
        entries = _between(found, start, stop, kinds)
        return connection_of(_page(entries, request), _same, _counter(len(entries)))


def _same(entry: CalendarEntry) -> CalendarEntry:
    return entry


def _counter(count: int) -> Callable[[], Awaitable[int]]:
    async def counted() -> int:
        return count

    return counted


def _between(
    calendar: RecordCalendar, start: date, stop: date, kinds: list[Kind] | None
) -> list[CalendarEntry]:
    """Return what stands between two days, in order."""
    found: list[CalendarEntry] = []
    of_kind: set[str] = set()
    for entry in calendar.entries:
        if kinds is not None and entry.item.rule.kind not in kinds:
            continue
        of_kind.add(entry.key)
        item = PreventionItem.of(calendar, entry)
        if _touches(entry, item.on, start, stop):
            found.append(item)
    for row in calendar.appointments:
        appointment = Appointment.of(row)
        if start <= appointment.on <= stop and (kinds is None or row.item_key in of_kind):
            found.append(appointment)
    return sorted(found, key=_place)


def _touches(entry: Entry, on: date, start: date, stop: date) -> bool:
    item = entry.item
    if item.status is ItemStatus.AGED_OUT or (item.due is None and item.done_on is None):
        return False
    if item.due is None:
        return start <= on <= stop
    end = _day(item.latest) or date.max
    return on <= stop and end >= start


def _place(entry: CalendarEntry) -> tuple[str, str]:
    name = entry.entry.key if isinstance(entry, PreventionItem) else ""
    name = name or str(getattr(entry, "key", ""))
    return entry.on.isoformat(), name


def _page(entries: list[CalendarEntry], request: PageRequest) -> Page[CalendarEntry]:
    """Return a page of a list in memory; a cursor is the place after which it goes on."""
    places = [_place(entry) for entry in entries]
    begin = 0 if request.after is None else bisect_right(places, _read_cursor(request.after))
    end = len(places) if request.before is None else bisect_left(
        places, _read_cursor(request.before)
    )  # fmt: skip
    end = max(begin, end)
    if request.last is not None:
        begin = max(begin, end - request.last)
    elif request.first is not None:
        end = min(end, begin + request.first)
    return Page(
        entries[begin:end],
        [_write_cursor(place) for place in places[begin:end]],
        end < len(places),
        begin > 0,
    )


def _write_cursor(place: tuple[str, str]) -> str:
    return to_base64url("\0".join(place).encode())


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        day, name = from_base64url(cursor[:CURSOR_LIMIT]).decode().split("\0")
    except (DecodeError, ValueError):
        raise BadCursor(path=("after",)) from None
    return day, name
