"""What a holder does with appointments and reminders."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from carnet.prevention import appointments
from carnet.prevention.importing import ImportOutcome, import_ics
from carnet.store.database import Work
from carnet_graphql.appointments import Appointment
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    RecordClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import (
    IdempotencyKey,
    idempotency_key,
    perform,
    perform_telling,
)
from carnet_graphql.node import read_id, require_node
from carnet_graphql.records import Record


@strawberry.input(description="What an appointment is.")
class AppointmentInput:
    """See `carnet.prevention.appointments.AppointmentDraft`."""

    title: str = strawberry.field(description="What it is, 1 to 200 characters.")
    place: str | None = strawberry.field(default=None, description="Where it is.")
    starts_at: datetime | None = strawberry.field(
        default=None, description="When it starts; not together with startsOn."
    )
    ends_at: datetime | None = strawberry.field(default=None, description="When it ends.")
    starts_on: date | None = strawberry.field(
        default=None, description="The day, for a reminder without a time."
    )
    time_zone: str = strawberry.field(default="Europe/Paris", description="Its time zone.")
    item_key: str | None = strawberry.field(
        default=None, description="The item of the calendar that it is for."
    )
    remind_minutes: int | None = strawberry.field(
        default=None, description="How many minutes before it to remind you."
    )

    def draft(self) -> appointments.AppointmentDraft:
        """Return the value."""
        return appointments.AppointmentDraft(
            title=self.title,
            place=self.place,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            starts_on=self.starts_on,
            time_zone=self.time_zone,
            item_key=self.item_key,
            remind_minutes=self.remind_minutes,
        )


@strawberry.input(description="An appointment to set.")
class AddAppointmentInput:
    """Input of `addAppointment`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    appointment: AppointmentInput = strawberry.field(description="What it is.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="An appointment to move or correct.")
class ChangeAppointmentInput:
    """Input of `changeAppointment`."""

    appointment_id: strawberry.ID = strawberry.field(description="The appointment.")
    sequence: int = strawberry.field(description="The sequence that you saw.")
    appointment: AppointmentInput = strawberry.field(description="What it is now.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="An appointment to cancel.")
class CancelAppointmentInput:
    """Input of `cancelAppointment`."""

    appointment_id: strawberry.ID = strawberry.field(description="The appointment.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A file of another calendar.")
class ImportAppointmentsInput:
    """Input of `importAppointments`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    ics: str = strawberry.field(description="The text of the file (RFC 5545).")
    time_zone: str = strawberry.field(
        default="Europe/Paris", description="The zone of times that say none."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The appointment is set.")
class AddAppointmentSuccess:
    """Success of `addAppointment`."""

    appointment: Appointment = strawberry.field(description="The appointment.")


@strawberry.type(description="The appointment was changed.")
class ChangeAppointmentSuccess:
    """Success of `changeAppointment`."""

    appointment: Appointment = strawberry.field(description="The appointment.")


@strawberry.type(description="The appointment was cancelled.")
class CancelAppointmentSuccess:
    """Success of `cancelAppointment`."""

    appointment: Appointment = strawberry.field(description="The appointment.")


@strawberry.type(description="Entries of the file that were left out.")
class SkippedEntries:
    """See `carnet.prevention.ics_import.Reading`."""

    reason: str = strawberry.field(description="Why.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(
    description="The appointments of the file stand in the calendar: those of a month before to"
    " two years after today."
)
class ImportAppointmentsSuccess:
    """Success of `importAppointments`."""

    record: Record = strawberry.field(description="The record.")
    created: int = strawberry.field(description="How many are new.")
    changed: int = strawberry.field(description="How many were moved or corrected.")
    cancelled: int = strawberry.field(description="How many were cancelled.")
    unchanged: int = strawberry.field(description="How many stood like this already.")
    skipped: list[SkippedEntries] = strawberry.field(description="What was left out, and why.")


AddAppointmentPayload = Annotated[
    AddAppointmentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddAppointmentPayload", description="What came of setting it."),
]
ChangeAppointmentPayload = Annotated[
    ChangeAppointmentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ChangeAppointmentPayload", description="What came of the change."),
]
CancelAppointmentPayload = Annotated[
    CancelAppointmentSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("CancelAppointmentPayload", description="What came of cancelling it."),
]
ImportAppointmentsPayload = Annotated[
    ImportAppointmentsSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ImportAppointmentsPayload", description="What came of the import."),
]


@strawberry.type
class AppointmentMutation:
    """Mutations of appointments."""

    @strawberry.mutation(description="Set an appointment or a reminder.")
    async def add_appointment(
        self, info: Info, input: AddAppointmentInput
    ) -> AddAppointmentPayload:
        """Set an appointment."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            draft = input.appointment.draft()
            return await appointments.add(info.context.actor, work, record_id, draft)

        key = await perform(info, input, act)
        return AddAppointmentSuccess(appointment=await require_node(info.context, Appointment, key))

    @strawberry.mutation(description="Move or correct an appointment.")
    async def change_appointment(
        self, info: Info, input: ChangeAppointmentInput
    ) -> ChangeAppointmentPayload:
        """Change an appointment."""
        key = read_id(input.appointment_id, Appointment, "appointmentId")

        async def act(work: Work) -> UUID:
            draft = input.appointment.draft()
            return await appointments.change(info.context.actor, work, key, draft, input.sequence)

        await perform(info, input, act)
        return ChangeAppointmentSuccess(
            appointment=await require_node(info.context, Appointment, key)
        )

    @strawberry.mutation(description="Cancel an appointment; it stays, said to be cancelled.")
    async def cancel_appointment(
        self, info: Info, input: CancelAppointmentInput
    ) -> CancelAppointmentPayload:
        """Cancel an appointment."""
        key = read_id(input.appointment_id, Appointment, "appointmentId")

        async def act(work: Work) -> UUID:
            return await appointments.cancel(info.context.actor, work, key)

        await perform(info, input, act)
        return CancelAppointmentSuccess(
            appointment=await require_node(info.context, Appointment, key)
        )

    @strawberry.mutation(
        description="Take over appointments from a file of another calendar (.ics); given again,"
        " only what changed since is taken."
    )
    async def import_appointments(
        self, info: Info, input: ImportAppointmentsInput
    ) -> ImportAppointmentsPayload:
        """Import a file."""
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> dict[str, Any]:
            actor = info.context.actor
            return asdict(await import_ics(actor, work, record_id, input.ics, input.time_zone))

        outcome = ImportOutcome(**await perform_telling(info, input, act))
        return ImportAppointmentsSuccess(
            record=await require_node(info.context, Record, record_id),
            created=outcome.created,
            changed=outcome.changed,
            cancelled=outcome.cancelled,
            unchanged=outcome.unchanged,
            skipped=[
                SkippedEntries(reason=reason, count=count)
                for reason, count in sorted(outcome.skipped.items())
            ],
        )
