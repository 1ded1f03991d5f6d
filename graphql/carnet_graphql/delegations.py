"""Acting for somebody else: delegations, and what people do with them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access import delegations, lists, tables
from carnet.store.database import Work
from carnet_graphql.access import InForce, LazyPatient
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import (
    Node,
    load_any,
    read_id,
    register_node,
    require_node,
    write_id,
)

DelegationKind = tables.DelegationKind
strawberry.enum(DelegationKind, description="Why somebody acts for somebody else.")
DelegationScope = tables.DelegationScope
strawberry.enum(DelegationScope, description="What a delegate may do for the holder.")


@strawberry.type(description="Somebody acts for a holder; an invitation until it is accepted.")
class Delegation(Node):
    """See `carnet.access.tables.Delegation`."""

    row: strawberry.Private[tables.Delegation]

    @classmethod
    def of(cls, row: tables.Delegation) -> Delegation:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Parent of a minor, or caregiver.")
    def kind(self) -> DelegationKind:
        """Return the kind."""
        return self.row.kind

    @strawberry.field(description="What it covers.")
    def scopes(self) -> list[DelegationScope]:
        """Return the scopes."""
        return [DelegationScope(scope) for scope in self.row.scopes]

    @strawberry.field(description="For whom; null when you may not see them any more.")
    async def holder(self, info: Info) -> LazyPatient | None:
        """Return the holder."""
        return await patient_of(info, self.row.holder_person_id)

    @strawberry.field(description="By whom; null until accepted, and to other delegates.")
    async def delegate_name(self, info: Info) -> str | None:
        """Return the delegate's name: the holder sees who acts, not their record."""
        if self.row.delegate_person_id is None:
            return None
        return await info.context.load(lists.delegate_names, self.key)

    @strawberry.field(description="When the invitation was made.")
    def invited_at(self) -> datetime:
        """Return when it was made."""
        return self.row.invited_at

    @strawberry.field(description="Until when the invitation can be accepted.")
    def invitation_expires_at(self) -> datetime | None:
        """Return until when it can be accepted."""
        return self.row.invitation_expires_at

    @strawberry.field(description="When it was accepted; null while it is an invitation.")
    def accepted_at(self) -> datetime | None:
        """Return when it was accepted."""
        return self.row.accepted_at

    @strawberry.field(description="When it ends by itself; a parent's at the child's majority.")
    def expires_at(self) -> datetime | None:
        """Return the end."""
        return self.row.expires_at

    @strawberry.field(description="When it was ended; null if it was not.")
    def revoked_at(self) -> datetime | None:
        """Return when it was revoked."""
        return self.row.revoked_at


register_node(Delegation, lists.delegations, Delegation.of)


async def patient_of(info: Info, person_id: UUID) -> LazyPatient | None:
    """Return a person's object where the viewer sees them."""
    from carnet_graphql.people import Patient

    found = await load_any(info.context, write_id(Patient, person_id))
    return found if isinstance(found, Patient) else None


@strawberry.type
class PatientDelegations:
    """For whom a person acts, and who acts for them."""

    key: strawberry.Private[UUID]

    @strawberry.field(description="For whom you act; empty on anybody else.")
    async def acts_for(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Delegation]:
        """Return a page of the delegations that the viewer holds."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Delegation.of,
            pages=lists.delegation_pages,
            counts=lists.delegation_counts,
            order=lists.DELEGATIONS,
            arguments=("delegate", in_force),
        )

    @strawberry.field(
        description="Who acts for this person, and open invitations, also where the record is"
        " closed; empty unless it is you, or you manage access for them."
    )
    async def delegates(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Delegation]:
        """Return a page of the delegations that the person gave."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Delegation.of,
            pages=lists.delegation_pages,
            counts=lists.delegation_counts,
            order=lists.DELEGATIONS,
            arguments=("holder", in_force),
        )


@strawberry.input(description="Whom to let act for the holder of a record.")
class InviteDelegateInput:
    """Input of `inviteDelegate`."""

    record_id: strawberry.ID = strawberry.field(description="The holder's record.")
    kind: DelegationKind = strawberry.field(
        default=DelegationKind.CAREGIVER,
        description="An adult invites caregivers; a parent the other parent of a minor.",
    )
    scopes: list[DelegationScope] = strawberry.field(
        description="What they may do; a parent everything."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends; without it, when somebody ends it."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="The code of an invitation.")
class AcceptDelegationInput:
    """Input of `acceptDelegation`."""

    code: str = strawberry.field(description="What the holder handed over.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which delegation or invitation to end.")
class RevokeDelegationInput:
    """Input of `revokeDelegation`."""

    delegation_id: strawberry.ID = strawberry.field(description="It.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The invitation was made.")
class InviteDelegateSuccess:
    """Success of `inviteDelegate`."""

    delegation: Delegation = strawberry.field(description="The invitation.")
    invitation_code: str | None = strawberry.field(
        description="Hand it to the delegate: it is shown only here, and null on a repetition."
    )


@strawberry.type(description="You act for the holder now.")
class AcceptDelegationSuccess:
    """Success of `acceptDelegation`."""

    delegation: Delegation = strawberry.field(description="The delegation.")


@strawberry.type(description="It has ended, on every connection.")
class RevokeDelegationSuccess:
    """Success of `revokeDelegation`."""

    revoked_delegation_id: strawberry.ID = strawberry.field(description="Its id.")


InviteDelegatePayload = Annotated[
    InviteDelegateSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | QuotaExceeded
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("InviteDelegatePayload", description="What came of inviting somebody."),
]
AcceptDelegationPayload = Annotated[
    AcceptDelegationSuccess | AccessDenied | Conflict | NotFound | QuotaExceeded | Unauthenticated,
    strawberry.union("AcceptDelegationPayload", description="What came of accepting."),
]
RevokeDelegationPayload = Annotated[
    RevokeDelegationSuccess | AccessDenied | Conflict | NotFound | Unauthenticated,
    strawberry.union("RevokeDelegationPayload", description="What came of ending it."),
]


@strawberry.type
class DelegationMutation:
    """Mutations of delegation."""

    @strawberry.mutation(description="Invite somebody to act for the holder.")
    async def invite_delegate(
        self, info: Info, input: InviteDelegateInput
    ) -> InviteDelegatePayload:
        """Invite a delegate."""
        from carnet_graphql.records import Record

        record_id = read_id(input.record_id, Record, "recordId")
        codes: list[str] = []

        async def act(work: Work) -> UUID:
            made = await delegations.invite(
                info.context.actor,
                work,
                record_id,
                input.kind,
                frozenset(input.scopes),
                input.expires_at,
            )
            codes.append(made.code)
            return made.delegation_id

        delegation = await require_node(info.context, Delegation, await perform(info, input, act))
        return InviteDelegateSuccess(
            delegation=delegation, invitation_code=codes[0] if codes else None
        )

    @strawberry.mutation(description="Accept an invitation: you act for the holder from then on.")
    async def accept_delegation(
        self, info: Info, input: AcceptDelegationInput
    ) -> AcceptDelegationPayload:
        """Accept a delegation."""

        async def act(work: Work) -> UUID:
            return await delegations.accept(info.context.actor, work, input.code)

        return AcceptDelegationSuccess(
            delegation=await require_node(info.context, Delegation, await perform(info, input, act))
        )

    @strawberry.mutation(
        description="End a delegation or an invitation at once, as its holder or its delegate."
    )
    async def revoke_delegation(
        self, info: Info, input: RevokeDelegationInput
    ) -> RevokeDelegationPayload:
        """Revoke a delegation."""
        delegation_id = read_id(input.delegation_id, Delegation, "delegationId")

        async def act(work: Work) -> UUID:
            return await delegations.revoke(info.context.actor, work, delegation_id)

        await perform(info, input, act)
        return RevokeDelegationSuccess(revoked_delegation_id=input.delegation_id)
