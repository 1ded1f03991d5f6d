"""A record's calendar: items and appointments between two days, page by page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.calendar.items import ItemStatus
from carnet.calendar.rules import Kind
from carnet.errors import BadCursor, ValidationFailed
from carnet.prevention import queries
from carnet.prevention.queries import Entry, RecordCalendar
from carnet.store.cursors import CURSOR_LIMIT
from carnet.store.keyset import Page, PageRequest
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url
from carnet_graphql.appointments import Appointment, CalendarEntry
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
from carnet_graphql.prevention import Prevention
from carnet_graphql.prevention_items import Kinds, PreventionItem, day_of

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
    end = day_of(item.latest) or date.max
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
