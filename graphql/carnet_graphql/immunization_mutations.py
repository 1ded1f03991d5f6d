"""What a holder reports of doses that they were given, and shows certificates of."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.records import actions, certified
from carnet.records.sections import CODINGS_LIMIT
from carnet.store.database import Work
from carnet.values import PartialDate
from carnet_graphql.codings import CodingInput
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    CertificateRefused,
    Conflict,
    NotFound,
    QuotaExceeded,
    RecordClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.immunizations import Immunization
from carnet_graphql.node import load_node, read_id, require_node
from carnet_graphql.records import Record


@strawberry.input(description="A dose that you know was given.")
class AddImmunizationInput:
    """Input of `addImmunization`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    vaccine_label: str = strawberry.field(description="The vaccine, 1 to 500 characters.")
    codings: list[CodingInput] | None = strawberry.field(
        default=None, description="Codes of the vaccine (CIP, CIS, ATC, CVX, SNOMED CT…)."
    )
    given_on: PartialDate | None = strawberry.field(
        default=None, description="When; without it, done at an unknown date."
    )
    lot_number: str | None = strawberry.field(default=None, description="Lot number.")
    dose_rank: int | None = strawberry.field(default=None, description="Rank in its series.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A signed certificate of vaccination.")
class AddVaccinationCertificateInput:
    """Input of `addVaccinationCertificate`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    certificate: str = strawberry.field(
        description="What the QR code holds (`HC1:…`, `shc:/…`; several codes apart by a blank), or"
        " the text of a `.smart-health-card` file."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A report of a dose to take back.")
class RemoveImmunizationInput:
    """Input of `removeImmunization`."""

    immunization_id: strawberry.ID = strawberry.field(description="The dose.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The dose stands in the profile, merged with what others reported.")
class AddImmunizationSuccess:
    """Success of `addImmunization`."""

    immunization: Immunization = strawberry.field(description="The dose.")


@strawberry.type(description="The doses are in the record.")
class AddVaccinationCertificateSuccess:
    """Success of `addVaccinationCertificate`."""

    record: Record = strawberry.field(description="The record.")


@strawberry.type(description="Your report was taken back; the dose stays where others report it.")
class RemoveImmunizationSuccess:
    """Success of `removeImmunization`."""

    immunization: Immunization | None = strawberry.field(
        description="The dose, if others report it."
    )


AddImmunizationPayload = Annotated[
    AddImmunizationSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddImmunizationPayload", description="What came of reporting a dose."),
]
AddVaccinationCertificatePayload = Annotated[
    AddVaccinationCertificateSuccess
    | AccessDenied
    | CertificateRefused
    | Conflict
    | NotFound
    | QuotaExceeded
    | RecordClosed
    | Unauthenticated,
    strawberry.union(
        "AddVaccinationCertificatePayload", description="What came of showing a certificate."
    ),
]
RemoveImmunizationPayload = Annotated[
    RemoveImmunizationSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("RemoveImmunizationPayload", description="What came of taking it back."),
]


@strawberry.type
class ImmunizationMutation:
    """Mutations of doses."""

    @strawberry.mutation(description="Report a dose of a vaccine that you were given.")
    async def add_immunization(
        self, info: Info, input: AddImmunizationInput
    ) -> AddImmunizationPayload:
        """Report a dose."""
        record_id = read_id(input.record_id, Record, "recordId")
        draft = actions.DoseDraft(
            vaccine_label=input.vaccine_label,
            codings=tuple(coding.value() for coding in (input.codings or [])[:CODINGS_LIMIT]),
            given_on=input.given_on,
            lot_number=input.lot_number,
            dose_rank=input.dose_rank,
        )

        async def act(work: Work) -> UUID:
            return await actions.report_dose(info.context.actor, work, record_id, draft)

        dose = await require_node(info.context, Immunization, await perform(info, input, act))
        return AddImmunizationSuccess(immunization=dose)

    @strawberry.mutation(
        description="Add the doses of a signed certificate: an EU Digital COVID Certificate or a"
        " SMART Health Card, of the record's holder, by an issuer whom this server trusts."
    )
    async def add_vaccination_certificate(
        self, info: Info, input: AddVaccinationCertificateInput
    ) -> AddVaccinationCertificatePayload:
        """Verify a certificate and report its doses."""
        context, text = info.context, input.certificate
        record_id = read_id(input.record_id, Record, "recordId")

        async def act(work: Work) -> UUID:
            return await certified.report_certificate(
                context.actor, work, context.trust, record_id, text
            )

        record = await require_node(context, Record, await perform(info, input, act))
        return AddVaccinationCertificateSuccess(record=record)

    @strawberry.mutation(description="Take back your own report of a dose.")
    async def remove_immunization(
        self, info: Info, input: RemoveImmunizationInput
    ) -> RemoveImmunizationPayload:
        """Take back a report."""
        key = read_id(input.immunization_id, Immunization, "immunizationId")

        async def act(work: Work) -> UUID:
            await actions.withdraw_dose(info.context.actor, work, key)
            return key

        await perform(info, input, act)
        return RemoveImmunizationSuccess(
            immunization=await load_node(info.context, Immunization, key)
        )
