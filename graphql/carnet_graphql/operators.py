"""What operators see and do about accounts: volume alarms, and cutting off at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access import alarms, cutting
from carnet.access.journal_tables import TechnicalEvent
from carnet.errors import ValidationFailed as ValidationRefusal
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection_of,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import Node, load_node, read_id, register_node
from carnet_graphql.people import Professional

_Cut = Callable[[Actor, Work, UUID, cutting.CutOffReason], Awaitable[None]]
CutOffReason = cutting.CutOffReason
strawberry.enum(CutOffReason, description="Why an account is cut off.")


@strawberry.type(
    description="An account reached more different patients in an hour than its owner's"
    " profession plausibly needs. Who they are is not said."
)
class VolumeAlarm(Node):
    """See `carnet.access.volume`."""

    row: strawberry.Private[TechnicalEvent]

    @classmethod
    def of(cls, row: TechnicalEvent) -> VolumeAlarm:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="When it went beyond what is plausible; told once an hour.")
    def at(self) -> datetime:
        """Return the moment."""
        return self.row.at

    @strawberry.field(description="The account.")
    def account_id(self) -> UUID:
        """Return the account."""
        return alarms.account_of(self.row)

    @strawberry.field(description="Whose account it is.")
    async def professional(self, info: Info) -> Professional | None:
        """Return the owner."""
        account = await info.context.load(alarms.accounts, alarms.account_of(self.row))
        if account is None or account.professional_id is None:
            return None
        return await load_node(info.context, Professional, account.professional_id)

    @strawberry.field(description="How many patients it had reached in the hour before.")
    def count(self) -> int:
        """Return the count."""
        return int(self.row.details["count"])

    @strawberry.field(description="How many an hour are plausible for the profession.")
    def plausible(self) -> int:
        """Return what is plausible."""
        return int(self.row.details["plausible"])

    @strawberry.field(description="Whether the account is cut off now.")
    async def is_cut_off(self, info: Info) -> bool:
        """Tell whether it is disabled."""
        account = await info.context.load(alarms.accounts, alarms.account_of(self.row))
        return account is not None and account.disabled_at is not None


register_node(VolumeAlarm, alarms.by_ids, VolumeAlarm.of)


@strawberry.type
class OperatorQuery:
    """Root fields for operators."""

    @strawberry.field(description="Volume alarms, the newest first. For operators.")
    async def volume_alarms(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[VolumeAlarm]:
        """Return a page of alarms."""
        actor, database = info.context.actor, info.context.database
        request = page_request(first, after, last, before)
        async with database.read() as work:
            page = await alarms.page(actor, work, request)

        async def count() -> int:
            async with database.read() as work:
                return await alarms.count(actor, work)

        return connection_of(page, VolumeAlarm.of, count)


@strawberry.input(description="Whose access ends now: a professional's, or one account's.")
class CutOffAccountInput:
    """Input of `cutOffAccount`."""

    professional_id: strawberry.ID | None = strawberry.field(
        default=None, description="All accounts of this professional; or else `accountId`."
    )
    account_id: UUID | None = strawberry.field(
        default=None, description="This account only, of anybody."
    )
    reason: CutOffReason = strawberry.field(description="Why, for the technical log.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="Every request of these accounts is refused from now on.")
class CutOffAccountSuccess:
    """Success of `cutOffAccount`."""

    account_ids: list[UUID] = strawberry.field(description="The accounts that are cut off.")
    professional: Professional | None = strawberry.field(
        description="Whose they are, where they are a professional's."
    )


CutOffAccountPayload = Annotated[
    CutOffAccountSuccess | AccessDenied | Conflict | NotFound | Unauthenticated | ValidationFailed,
    strawberry.union("CutOffAccountPayload", description="What came of cutting off."),
]


def _target(input: CutOffAccountInput) -> tuple[_Cut, UUID]:
    """Return how to cut off whom."""
    match input:
        case CutOffAccountInput(professional_id=str() as given, account_id=None):
            return cutting.cut_off_professional, read_id(given, Professional, "professional_id")
        case CutOffAccountInput(professional_id=None, account_id=UUID() as account_id):
            return cutting.cut_off, account_id
    raise ValidationRefusal("Give professionalId or accountId.", path=("professional_id",))


@strawberry.type
class OperatorMutation:
    """Mutations of operators."""

    @strawberry.mutation(
        description="Cut somebody off at once: accounts are disabled and their sessions end."
        " For operators; restoring takes the server's console."
    )
    async def cut_off_account(self, info: Info, input: CutOffAccountInput) -> CutOffAccountPayload:
        """Cut off."""
        context = info.context
        actor, reason = context.actor, input.reason
        cut, key = _target(input)

        async def act(work: Work) -> UUID:
            await cut(actor, work, key, reason)
            return key

        target_id = await perform(info, input, act)
        async with context.database.read() as work:
            found = await alarms.accounts_cut_off(actor, work, target_id)
        owner = next((account.professional_id for account in found), None)
        return CutOffAccountSuccess(
            account_ids=[account.id for account in found],
            professional=await load_node(context, Professional, owner) if owner else None,
        )
