"""What people decide for a whole record, and how it is reached in an emergency."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.access import emergencies, settings
from carnet.access.guesses import counted
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.grantees import PatientReferenceInput
from carnet_graphql.grants import EmergencyAccess, EmergencyKind
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import read_id, require_node, write_id
from carnet_graphql.records import Record


@strawberry.input(description="New settings; what is left out stays as it is.")
class ChangeAccessSettingsInput:
    """Input of `changeAccessSettings`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    revision: int = strawberry.field(description="The revision that you saw.")
    is_masked_by_default: bool | None = strawberry.field(
        default=None, description="Mask new documents from professionals."
    )
    hide_results_days: int | None = strawberry.field(
        default=None, description="Show results to the holder after 0 to 60 days."
    )
    allows_regulation_centre: bool | None = strawberry.field(
        default=None, description="Let emergency regulation centres open the record."
    )
    allows_break_glass: bool | None = strawberry.field(
        default=None, description="Let others open it in an emergency, with a reason."
    )
    shows_masked_in_emergency: bool | None = strawberry.field(
        default=None, description="Let masked documents be read in an emergency."
    )
    allows_attested_consent: bool | None = strawberry.field(
        default=None, description="Accept a consent that a professional attests."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Reach a record in an emergency.")
class OpenEmergencyAccessInput:
    """Input of `openEmergencyAccess`."""

    patient: PatientReferenceInput = strawberry.field(description="The patient.")
    kind: EmergencyKind = strawberry.field(
        default=EmergencyKind.BREAK_GLASS, description="On what ground."
    )
    reason: str = strawberry.field(
        description="Why: 10 to 1,000 characters, which the holder reads."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which emergency access to end.")
class CloseEmergencyAccessInput:
    """Input of `closeEmergencyAccess`."""

    emergency_access_id: strawberry.ID = strawberry.field(description="It.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The settings decide from now on.")
class ChangeAccessSettingsSuccess:
    """Success of `changeAccessSettings`."""

    record: Record = strawberry.field(description="The record.")


@strawberry.type(description="The record is open to you for four hours; it was reported.")
class OpenEmergencyAccessSuccess:
    """Success of `openEmergencyAccess`."""

    record: Record = strawberry.field(description="The patient's record.")
    emergency_access_id: strawberry.ID = strawberry.field(description="To end it with.")


@strawberry.type(description="The emergency access has ended.")
class CloseEmergencyAccessSuccess:
    """Success of `closeEmergencyAccess`."""

    closed_emergency_access_id: strawberry.ID = strawberry.field(description="Which it was.")


ChangeAccessSettingsPayload = Annotated[
    ChangeAccessSettingsSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ChangeAccessSettingsPayload", description="What came of the change."),
]
OpenEmergencyAccessPayload = Annotated[
    OpenEmergencyAccessSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RateLimited
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("OpenEmergencyAccessPayload", description="What came of the emergency."),
]
CloseEmergencyAccessPayload = Annotated[
    CloseEmergencyAccessSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("CloseEmergencyAccessPayload", description="What came of ending it."),
]


@strawberry.type
class AccessMutation:
    """Mutations of access."""

    @strawberry.mutation(description="Change settings of the whole record.")
    async def change_access_settings(
        self, info: Info, input: ChangeAccessSettingsInput
    ) -> ChangeAccessSettingsPayload:
        """Change settings."""
        record_id = read_id(input.record_id, Record, "recordId")
        change = settings.SettingsChange(
            input.is_masked_by_default,
            input.hide_results_days,
            input.allows_regulation_centre,
            input.allows_break_glass,
            input.shows_masked_in_emergency,
            input.allows_attested_consent,
        )

        async def act(work: Work) -> UUID:
            return await settings.change_settings(
                info.context.actor, work, record_id, change, input.revision
            )

        return ChangeAccessSettingsSuccess(
            record=await require_node(info.context, Record, await perform(info, input, act))
        )

    @strawberry.mutation(
        description="As a professional, reach a record in an emergency, for four hours. The holder"
        " and the attending doctor are told."
    )
    async def open_emergency_access(
        self, info: Info, input: OpenEmergencyAccessInput
    ) -> OpenEmergencyAccessPayload:
        """Open an emergency access."""
        patient = input.patient.value()
        opened: list[UUID] = []

        async def act(work: Work) -> UUID:
            record_id, access_id = await emergencies.open_emergency(
                info.context.actor, work, patient, input.kind, input.reason
            )
            opened.append(record_id)
            return access_id

        async with counted(info.context.actor, info.context.gate, patient):
            access_id = await perform(info, input, act)
        if not opened:  # a repetition: the access says whose record it is
            async with info.context.database.read() as work:
                opened.append(await emergencies.record_of(info.context.actor, work, access_id))
        return OpenEmergencyAccessSuccess(
            record=await require_node(info.context, Record, opened[0]),
            emergency_access_id=write_id(EmergencyAccess, access_id),
        )

    @strawberry.mutation(description="End an emergency access before its time.")
    async def close_emergency_access(
        self, info: Info, input: CloseEmergencyAccessInput
    ) -> CloseEmergencyAccessPayload:
        """Close an emergency access."""
        access_id = read_id(input.emergency_access_id, EmergencyAccess, "emergencyAccessId")

        async def act(work: Work) -> UUID:
            return await emergencies.close_emergency(info.context.actor, work, access_id)

        await perform(info, input, act)
        return CloseEmergencyAccessSuccess(closed_emergency_access_id=input.emergency_access_id)
