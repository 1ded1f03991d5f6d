"""What people decide about who is let in: care team, consents, blocks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from carnet.access import blocks, care_team, consents
from carnet.access.guesses import counted
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.grantees import GranteeInput, PatientReferenceInput
from carnet_graphql.grants import Block, CareTeamMember, CareTeamRole, Consent
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import read_id, require_node
from carnet_graphql.records import Record


@strawberry.input(description="Whom to name to the care team.")
class NameCareTeamMemberInput:
    """Input of `nameCareTeamMember`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    grantee: GranteeInput = strawberry.field(description="Who it is.")
    role: CareTeamRole = strawberry.field(
        default=CareTeamRole.MEMBER,
        description="What they are; a new attending doctor takes the place of the former.",
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They belong to the care team now.")
class NameCareTeamMemberSuccess:
    """Success of `nameCareTeamMember`."""

    member: CareTeamMember = strawberry.field(description="The member.")


@strawberry.input(description="Declare yourself part of a patient's care team.")
class JoinCareTeamInput:
    """Input of `joinCareTeam`."""

    patient: PatientReferenceInput = strawberry.field(description="The patient.")
    holder_was_informed: bool = strawberry.field(
        description="You state that you informed the patient and they did not object."
    )
    with_organization: bool = strawberry.field(
        default=False, description="For all who work where you work, not for you alone."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="You belong to the care team; the holder was told.")
class JoinCareTeamSuccess:
    """Success of `joinCareTeam`."""

    record: Record = strawberry.field(description="The patient's record.")


@strawberry.input(description="Whom to take out of the care team.")
class EndCareTeamMembershipInput:
    """Input of `endCareTeamMembership`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    member_id: strawberry.ID = strawberry.field(description="The member.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They belong to the care team no more.")
class EndCareTeamMembershipSuccess:
    """Success of `endCareTeamMembership`."""

    ended_member_id: strawberry.ID = strawberry.field(description="Who it was.")


@strawberry.input(description="Whom to let read the record for a consultation.")
class GiveConsentInput:
    """Input of `giveConsent`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    grantee: GranteeInput = strawberry.field(description="Who it is.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="Until when; 24 hours unless said, 30 days at most."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They may read the record until the consent ends.")
class GiveConsentSuccess:
    """Success of `giveConsent`."""

    consent: Consent = strawberry.field(description="The consent.")


@strawberry.input(description="Attest that the patient before you consents.")
class AttestConsentInput:
    """Input of `attestConsent`."""

    patient: PatientReferenceInput = strawberry.field(description="The patient.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="You may read the record for 24 hours; the holder was told.")
class AttestConsentSuccess:
    """Success of `attestConsent`."""

    record: Record = strawberry.field(description="The patient's record.")


@strawberry.input(description="Which consent to take back.")
class RevokeConsentInput:
    """Input of `revokeConsent`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    consent_id: strawberry.ID = strawberry.field(description="The consent.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The consent was taken back.")
class RevokeConsentSuccess:
    """Success of `revokeConsent`."""

    revoked_consent_id: strawberry.ID = strawberry.field(description="Which it was.")


@strawberry.input(description="Whom to shut out.")
class BlockAccessInput:
    """Input of `blockAccess`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    grantee: GranteeInput = strawberry.field(description="Who it is.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They are shut out, and what was granted to them has ended.")
class BlockAccessSuccess:
    """Success of `blockAccess`."""

    block: Block = strawberry.field(description="The block.")


@strawberry.input(description="Which block to lift.")
class LiftBlockInput:
    """Input of `liftBlock`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    block_id: strawberry.ID = strawberry.field(description="The block.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="They can be granted access again; nothing was given back.")
class LiftBlockSuccess:
    """Success of `liftBlock`."""

    lifted_block_id: strawberry.ID = strawberry.field(description="Which it was.")


NameCareTeamMemberPayload = Annotated[
    NameCareTeamMemberSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("NameCareTeamMemberPayload", description="What came of naming them."),
]
JoinCareTeamPayload = Annotated[
    JoinCareTeamSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RateLimited
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("JoinCareTeamPayload", description="What came of joining."),
]
EndCareTeamMembershipPayload = Annotated[
    EndCareTeamMembershipSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("EndCareTeamMembershipPayload", description="What came of ending it."),
]
GiveConsentPayload = Annotated[
    GiveConsentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("GiveConsentPayload", description="What came of consenting."),
]
AttestConsentPayload = Annotated[
    AttestConsentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | RateLimited
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AttestConsentPayload", description="What came of attesting a consent."),
]
RevokeConsentPayload = Annotated[
    RevokeConsentSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("RevokeConsentPayload", description="What came of taking it back."),
]
BlockAccessPayload = Annotated[
    BlockAccessSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("BlockAccessPayload", description="What came of shutting them out."),
]
LiftBlockPayload = Annotated[
    LiftBlockSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("LiftBlockPayload", description="What came of lifting the block."),
]


@strawberry.type
class GrantMutation:
    """Mutations of grants."""

    @strawberry.mutation(description="Name somebody to the care team.")
    async def name_care_team_member(
        self, info: Info, input: NameCareTeamMemberInput
    ) -> NameCareTeamMemberPayload:
        """Name a member."""
        record_id = read_id(input.record_id, Record, "recordId")
        grantee = input.grantee.value()

        async def act(work: Work) -> UUID:
            return await care_team.name_member(
                info.context.actor, work, record_id, grantee, input.role
            )

        member = await require_node(info.context, CareTeamMember, await perform(info, input, act))
        return NameCareTeamMemberSuccess(member=member)

    @strawberry.mutation(
        description="As a professional, declare yourself part of a patient's care team."
    )
    async def join_care_team(self, info: Info, input: JoinCareTeamInput) -> JoinCareTeamPayload:
        """Join a care team."""
        patient = input.patient.value()

        async def act(work: Work) -> UUID:
            record_id, _ = await care_team.join_care_team(
                info.context.actor,
                work,
                patient,
                holder_was_informed=input.holder_was_informed,
                with_organization=input.with_organization,
            )
            return record_id

        async with counted(info.context.actor, info.context.gate, patient):
            record_id = await perform(info, input, act)
        return JoinCareTeamSuccess(record=await require_node(info.context, Record, record_id))

    @strawberry.mutation(description="Take somebody out of the care team: an objection.")
    async def end_care_team_membership(
        self, info: Info, input: EndCareTeamMembershipInput
    ) -> EndCareTeamMembershipPayload:
        """End a membership."""
        record_id = read_id(input.record_id, Record, "recordId")
        member_id = read_id(input.member_id, CareTeamMember, "memberId")

        async def act(work: Work) -> UUID:
            return await care_team.end_membership(info.context.actor, work, record_id, member_id)

        await perform(info, input, act)
        return EndCareTeamMembershipSuccess(ended_member_id=input.member_id)

    @strawberry.mutation(description="Consent to a consultation by somebody outside the care team.")
    async def give_consent(self, info: Info, input: GiveConsentInput) -> GiveConsentPayload:
        """Give a consent."""
        record_id = read_id(input.record_id, Record, "recordId")
        grantee = input.grantee.value()

        async def act(work: Work) -> UUID:
            return await consents.give_consent(
                info.context.actor, work, record_id, grantee, input.expires_at
            )

        consent = await require_node(info.context, Consent, await perform(info, input, act))
        return GiveConsentSuccess(consent=consent)

    @strawberry.mutation(
        description="As a professional, attest that the patient consents to this consultation."
    )
    async def attest_consent(self, info: Info, input: AttestConsentInput) -> AttestConsentPayload:
        """Attest a consent."""
        patient = input.patient.value()

        async def act(work: Work) -> UUID:
            record_id, _ = await consents.attest_consent(info.context.actor, work, patient)
            return record_id

        async with counted(info.context.actor, info.context.gate, patient):
            record_id = await perform(info, input, act)
        return AttestConsentSuccess(record=await require_node(info.context, Record, record_id))

    @strawberry.mutation(description="Take a consent back before its end.")
    async def revoke_consent(self, info: Info, input: RevokeConsentInput) -> RevokeConsentPayload:
        """Revoke a consent."""
        record_id = read_id(input.record_id, Record, "recordId")
        consent_id = read_id(input.consent_id, Consent, "consentId")

        async def act(work: Work) -> UUID:
            return await consents.revoke_consent(info.context.actor, work, record_id, consent_id)

        await perform(info, input, act)
        return RevokeConsentSuccess(revoked_consent_id=input.consent_id)

    @strawberry.mutation(
        description="Shut a professional or an organization out; what they were granted ends."
    )
    async def block_access(self, info: Info, input: BlockAccessInput) -> BlockAccessPayload:
        """Block somebody."""
        record_id = read_id(input.record_id, Record, "recordId")
        grantee = input.grantee.value()

        async def act(work: Work) -> UUID:
            return await blocks.block(info.context.actor, work, record_id, grantee)

        block = await require_node(info.context, Block, await perform(info, input, act))
        return BlockAccessSuccess(block=block)

    @strawberry.mutation(description="Lift a block; access needs a new grant.")
    async def lift_block(self, info: Info, input: LiftBlockInput) -> LiftBlockPayload:
        """Lift a block."""
        record_id = read_id(input.record_id, Record, "recordId")
        block_id = read_id(input.block_id, Block, "blockId")

        async def act(work: Work) -> UUID:
            return await blocks.lift_block(info.context.actor, work, record_id, block_id)

        await perform(info, input, act)
        return LiftBlockSuccess(lifted_block_id=input.block_id)
