"""The whole of a record's prevention on a day."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from carnet.calendar.items import ItemStatus
from carnet.calendar.rules import Kind, Level, Words
from carnet.prevention import feeds, queries, tables
from carnet.prevention.queries import RecordCalendar
from carnet_graphql.codings import InLocale, Locale
from carnet_graphql.context import Info
from carnet_graphql.prevention_items import Kinds, PreventionItem, PreventionStatus, said, status_of
from carnet_graphql.prevention_statements import (
    CalendarFeed,
    Pregnancy,
    PreventionAct,
    PreventionFact,
)


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
    meaning: strawberry.Private[Words]

    @strawberry.field(description="What it means.")
    def label(self, locale: InLocale = Locale.FR) -> str:
        """Return the meaning."""
        return said(self.meaning, locale)


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
                act=said(self.calendar.book.acts[history[each.place][0].cvx].words, locale),
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
        return [PreventionTerm(code=a.code, meaning=a.words) for a in acts if not a.diseases]

    @strawberry.field(description="Facts that can be stated.")
    def known_facts(self) -> list[PreventionTerm]:
        """Return the facts of the schedule."""
        return [
            PreventionTerm(code=f.code, meaning=f.words) for f in self.calendar.book.facts.values()
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
