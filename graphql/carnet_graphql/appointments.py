"""Appointments: what people set in a calendar beside the items of prevention."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from carnet.prevention import queries, tables
from carnet_graphql.node import Node, register_node
from carnet_graphql.profile import StatedBy


@strawberry.interface(description="Something that stands in a calendar on a day.")
class CalendarEntry:
    """An item of prevention or an appointment."""

    on: strawberry.Private[date]

    @strawberry.field(description="The day it stands on: when it is due, was done, or takes place.")
    def date(self) -> date:
        """Return the day."""
        return self.on


@strawberry.type(description="An appointment or reminder that somebody set.")
class Appointment(CalendarEntry, Node):
    """See `carnet.prevention.tables.Appointment`."""

    row: strawberry.Private[tables.Appointment]

    @classmethod
    def of(cls, row: tables.Appointment) -> Appointment:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, on=row.starts_on or row.sort_at.date(), row=row)

    @strawberry.field(description="What it is.")
    def title(self) -> str:
        """Return the title."""
        return self.row.title

    @strawberry.field(description="Where it is.")
    def place(self) -> str | None:
        """Return the place."""
        return self.row.place

    @strawberry.field(description="When it starts; null when it stands on a day.")
    def starts_at(self) -> datetime | None:
        """Return the start."""
        return self.row.starts_at

    @strawberry.field(description="When it ends, if that is known.")
    def ends_at(self) -> datetime | None:
        """Return the end."""
        return self.row.ends_at

    @strawberry.field(description="Its time zone, such as Europe/Paris.")
    def time_zone(self) -> str:
        """Return the zone."""
        return self.row.time_zone

    @strawberry.field(description="The item of the calendar that it is for.")
    def item_key(self) -> str | None:
        """Return the item's key."""
        return self.row.item_key

    @strawberry.field(description="How many minutes before it you are reminded.")
    def remind_minutes(self) -> int | None:
        """Return the minutes."""
        return self.row.remind_minutes

    @strawberry.field(description="Grows with every change; give it back to change it.")
    def sequence(self) -> int:
        """Return the sequence."""
        return self.row.sequence

    @strawberry.field(description="When it was cancelled; null: it stands.")
    def cancelled_at(self) -> datetime | None:
        """Return when it was cancelled."""
        return self.row.cancelled_at

    @strawberry.field(description="What kind of actor set it.")
    def stated_by(self) -> StatedBy:
        """Return who set it."""
        return self.row.stated_by


register_node(Appointment, queries.appointments_by_ids, Appointment.of)
