"""The publishers' way in through GraphQL: a body uploaded as a blob is taken in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.intake import actions, model, receipt
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    UnsupportedMedia,
    ValidationFailed,
)

IntakeOutcome = receipt.Outcome
strawberry.enum(IntakeOutcome, name="IntakeOutcome", description="What became of one item.")
IntakeReason = model.Reason
strawberry.enum(
    IntakeReason,
    name="IntakeReason",
    description="Why an item was refused or not interpreted.",
)


@strawberry.type(description="What became of one item of a submission.")
class IntakeItem:
    """See `carnet.intake.receipt.ItemOutcome`."""

    key: str = strawberry.field(description="The publisher's own key for it.")
    kind: str = strawberry.field(description="What kind of item it is.")
    outcome: IntakeOutcome = strawberry.field(description="What became of it.")
    reason: IntakeReason | None = strawberry.field(description="Why, when it did not land.")
    message: str | None = strawberry.field(description="Why, in words.")

    @classmethod
    def of(cls, item: receipt.ItemOutcome) -> IntakeItem:
        """Return the outcome as its GraphQL object."""
        return cls(
            key=item.key,
            kind=item.kind,
            outcome=item.outcome,
            reason=item.reason,
            message=item.message,
        )


@strawberry.type(description="How many items had one outcome.")
class IntakeCount:
    """One row of the totals."""

    outcome: IntakeOutcome = strawberry.field(description="The outcome.")
    count: int = strawberry.field(description="How many.")


@strawberry.input(description="A body uploaded with `POST /blobs`.")
class TakeInInput:
    """Input of `takeIn`. The same body changes nothing a second time, so it needs no key."""

    blob_id: UUID = strawberry.field(description="What `POST /blobs` answered.")
    media_type: str | None = strawberry.field(
        default=None, description="What to read it as; without it, as it was uploaded."
    )


@strawberry.type(description="The body was read; each item has its outcome.")
class TakeInSuccess:
    """Success of `takeIn`."""

    submission_id: UUID = strawberry.field(description="Names the submission.")
    format: str = strawberry.field(description="The format it was read as.")
    items: list[IntakeItem] = strawberry.field(description="Every item, in the body's order.")
    counts: list[IntakeCount] = strawberry.field(description="Totals by outcome.")


TakeInPayload = Annotated[
    TakeInSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | PayloadTooLarge
    | Unauthenticated
    | UnsupportedMedia
    | ValidationFailed,
    strawberry.union("TakeInPayload", description="What came of taking in a body."),
]


@strawberry.type
class IntakeMutation:
    """Mutations of publishers."""

    @strawberry.mutation(
        description="Take in FHIR R4 JSON, CDA R2 or HL7 v2 that was uploaded as a blob."
        " Only with a publisher's credential."
    )
    async def take_in(self, info: Info, input: TakeInInput) -> TakeInPayload:
        """Take in a body."""
        context = info.context
        done = await actions.take_in_blob(
            context.actor,
            context.database,
            context.blobs,
            input.blob_id,
            context.settings.intake_limit_bytes,
            input.media_type,
        )
        return TakeInSuccess(
            submission_id=done.submission_id,
            format=done.format,
            items=[IntakeItem.of(item) for item in done.items],
            counts=[IntakeCount(outcome=o, count=n) for o, n in done.counts.items()],
        )
