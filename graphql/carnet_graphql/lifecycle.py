"""The life cycle of a record: its state and what may be done about it."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import strawberry

from carnet.records import lifecycle_queries as queries
from carnet.records.lifecycle import LifeAction, deletion_due
from carnet_graphql.context import Info
from carnet_graphql.node import write_id
from carnet_graphql.records import Record, RecordState

strawberry.enum(LifeAction, name="RecordAction", description="What is done to a record's state.")


@strawberry.type(description="The state of a record, also where the record itself is not readable.")
class Lifecycle:
    """See `carnet.records.lifecycle_queries.Lifecycle`."""

    row: strawberry.Private[queries.Lifecycle]

    @strawberry.field(description="Id of the record, for mutations and proofs.")
    def record_id(self) -> strawberry.ID:
        """Return the record's global id."""
        return write_id(Record, self.row.record_id)

    @strawberry.field(description="The state as it is now.")
    def state(self) -> RecordState:
        """Return the state."""
        return self.row.life.state

    @strawberry.field(description="When the notice was sent.")
    def notified_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.notified_at

    @strawberry.field(description="When it opens, or was to open, after the notice: six weeks.")
    def opens_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.opens_at

    @strawberry.field(description="When it opened.")
    def opened_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.opened_at

    @strawberry.field(description="When the holder activated it.")
    def activated_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.activated_at

    @strawberry.field(description="Since when the holder opposes it; null when they do not.")
    def opposed_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.opposed_at

    @strawberry.field(description="Since when it is closed; null when it is not.")
    def closed_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.closed_at

    @strawberry.field(description="When its deletion was asked for; null when it is not.")
    def deletion_requested_at(self) -> datetime | None:
        """Return the moment."""
        return self.row.life.deletion_requested_at

    @strawberry.field(description="The day, in UTC, on which it is deleted unless that changes.")
    def deletion_due_on(self) -> date | None:
        """Return the day."""
        due = deletion_due(self.row.life)
        return due.date() if due else None

    @strawberry.field(description="What you may do about it now.")
    def available_actions(self) -> list[LifeAction]:
        """Return the actions."""
        return list(self.row.available)


@strawberry.type
class PatientLifecycle:
    """What of a patient this area adds."""

    key: strawberry.Private[UUID]

    @strawberry.field(
        description="The state of the record, also where it is closed; null where there is none."
    )
    async def lifecycle(self, info: Info) -> Lifecycle | None:
        """Return the life cycle."""
        row = await info.context.load(queries.lifecycles, self.key)
        return Lifecycle(row=row) if row else None


async def load_lifecycle(info: Info, record_id: UUID) -> Lifecycle | None:
    """Return the life cycle of a record after a mutation, with the rights of now."""
    row = await info.context.load(queries.lifecycles_by_record, record_id)
    return Lifecycle(row=row) if row else None
