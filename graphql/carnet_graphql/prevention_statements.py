"""What was stated for a prevention calendar: acts, facts, pregnancies; and its addresses."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from carnet.prevention import feeds, queries, tables
from carnet.values import PartialDate
from carnet_graphql.context import Info
from carnet_graphql.node import Node, register_node
from carnet_graphql.profile import StatedBy
from carnet_graphql.scalars import URL


@strawberry.type(description="An act that somebody says was done.")
class PreventionAct(Node):
    """See `carnet.prevention.tables.PreventionAct`."""

    row: strawberry.Private[tables.PreventionAct]

    @classmethod
    def of(cls, row: tables.PreventionAct) -> PreventionAct:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The act's code in the schedule.")
    def act(self) -> str:
        """Return the code."""
        return self.row.act

    @strawberry.field(description="When; null: done, date unknown.")
    def done_on(self) -> PartialDate | None:
        """Return the date."""
        return self.row.done_on

    @strawberry.field(description="What kind of actor said so.")
    def stated_by(self) -> StatedBy:
        """Return who said so."""
        return self.row.stated_by


@strawberry.type(description="A fact that holds of the holder, and changes what is asked.")
class PreventionFact(Node):
    """See `carnet.prevention.tables.PreventionFact`."""

    row: strawberry.Private[tables.PreventionFact]

    @classmethod
    def of(cls, row: tables.PreventionFact) -> PreventionFact:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The fact's code in the schedule.")
    def code(self) -> str:
        """Return the code."""
        return self.row.code

    @strawberry.field(description="From when; null: always.")
    def since(self) -> date | None:
        """Return the first day."""
        return self.row.since

    @strawberry.field(description="Until when; null: it still holds.")
    def until(self) -> date | None:
        """Return the last day."""
        return self.row.until

    @strawberry.field(description="What kind of actor stated it.")
    def stated_by(self) -> StatedBy:
        """Return who stated it."""
        return self.row.stated_by


@strawberry.type(description="A pregnancy of the holder.")
class Pregnancy(Node):
    """See `carnet.prevention.tables.PregnancyEpisode`."""

    row: strawberry.Private[tables.PregnancyEpisode]

    @classmethod
    def of(cls, row: tables.PregnancyEpisode) -> Pregnancy:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The day it began: two weeks after the last period.")
    def began_on(self) -> date:
        """Return the day."""
        return self.row.began_on

    @strawberry.field(description="The day it ended; null: it goes on.")
    def ended_on(self) -> date | None:
        """Return the day."""
        return self.row.ended_on

    @strawberry.field(description="Whether it ended with a delivery.")
    def is_delivered(self) -> bool:
        """Tell whether it ended with a delivery."""
        return self.row.is_delivered


@strawberry.type(description="An address at which a phone reads the calendar; only yours.")
class CalendarFeed(Node):
    """See `carnet.prevention.tables.CalendarFeed`."""

    row: strawberry.Private[tables.CalendarFeed]

    @classmethod
    def of(cls, row: tables.CalendarFeed) -> CalendarFeed:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(
        description="The secret address, from this server's root: whoever has it reads the feed."
    )
    def path(self, info: Info) -> URL:
        """Return the path."""
        return URL(f"/calendar/{info.context.feeds.seal(self.key)}.ics")

    @strawberry.field(description="Whether it says what is due, or only that something is.")
    def is_detailed(self) -> bool:
        """Tell whether it has details."""
        return self.row.is_detailed

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        """Return the moment."""
        return self.row.created_at


register_node(PreventionAct, queries.acts_by_ids, PreventionAct.of)
register_node(PreventionFact, queries.facts_by_ids, PreventionFact.of)
register_node(Pregnancy, queries.pregnancies_by_ids, Pregnancy.of)
register_node(CalendarFeed, feeds.by_ids, CalendarFeed.of)
