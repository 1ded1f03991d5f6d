"""Who may see a record and why: rules, settings, and what was granted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access import lists, tables
from carnet.access.explaining import decisions_of
from carnet.access.lists import SettingsView
from carnet.access.rules import RULES, Decision, Standing
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
from carnet_graphql.grants import Block, CareTeamMember, Consent, EmergencyAccess
from carnet_graphql.node import load_any, write_id

if TYPE_CHECKING:
    from carnet_graphql.delegations import Delegation
    from carnet_graphql.people import Patient

LazyPatient = Annotated["Patient", strawberry.lazy("carnet_graphql.people")]
LazyDelegation = Annotated["Delegation", strawberry.lazy("carnet_graphql.delegations")]

strawberry.enum(Standing, name="Standing", description="What somebody would be to a holder.")

InForce = Annotated[
    bool, strawberry.argument(description="Only those in force; false shows all there ever were.")
]


@strawberry.type(description="A rule that decided about access.")
class AccessRule:
    """See `carnet.access.rules.RULES`."""

    code: str = strawberry.field(description="Stable code, such as `care-team.member`.")
    meaning: str = strawberry.field(description="What it means, with its source.")
    is_emergency: bool = strawberry.field(description="Whether it holds in an emergency only.")

    @classmethod
    def of(cls, decision: Decision) -> AccessRule:
        """Return the rule of a decision."""
        return cls(
            code=decision.rule,
            meaning=RULES.get(decision.rule, decision.rule),  # of an older version
            is_emergency=decision.is_emergency,
        )


@strawberry.type(description="Whether somebody may read a document, and the rule that decides.")
class AccessExplanation:
    """See `carnet.access.rules.Decision`."""

    is_allowed: bool = strawberry.field(description="Whether they may read it now.")
    rule: AccessRule = strawberry.field(description="The rule that decides.")

    @classmethod
    def of(cls, decision: Decision) -> AccessExplanation:
        """Return a decision as its GraphQL object."""
        return cls(is_allowed=decision.is_allowed, rule=AccessRule.of(decision))


@strawberry.type(description="What the holder decided for the whole record.")
class AccessSettings:
    """See `carnet.access.facts.SettingsFacts`."""

    is_masked_by_default: bool = strawberry.field(
        description="New documents are masked from professionals until the holder shows them."
    )
    hide_results_days: int = strawberry.field(
        description="The holder sees results only this many days after their deposit; 0 at once."
    )
    allows_regulation_centre: bool = strawberry.field(
        description="Emergency regulation centres may open the record."
    )
    allows_break_glass: bool = strawberry.field(
        description="Other professionals may open it in an emergency, with a reason."
    )
    shows_masked_in_emergency: bool = strawberry.field(
        description="Masked documents are readable in an emergency."
    )
    allows_attested_consent: bool = strawberry.field(
        description="A consent that a professional attests suffices."
    )
    revision: int = strawberry.field(
        description="Counts changes; send it back with the next change. 0 when never changed."
    )

    @classmethod
    def of(cls, view: SettingsView) -> AccessSettings:
        """Return the settings as their GraphQL object."""
        facts = view.facts
        return cls(
            is_masked_by_default=facts.is_masked_by_default,
            hide_results_days=facts.hide_results_days,
            allows_regulation_centre=facts.allows_regulation_centre,
            allows_break_glass=facts.allows_break_glass,
            shows_masked_in_emergency=facts.shows_masked_in_emergency,
            allows_attested_consent=facts.allows_attested_consent,
            revision=view.revision,
        )


@strawberry.type(description="Who may see the record; for the holder and who manages it for them.")
class RecordAccess:
    """``view`` was read for this viewer, which says that they manage access."""

    key: strawberry.Private[UUID]
    holder_key: strawberry.Private[UUID]
    view: strawberry.Private[SettingsView]

    @strawberry.field(description="Settings of the whole record.")
    def settings(self) -> AccessSettings:
        """Return the settings."""
        return AccessSettings.of(self.view)

    @strawberry.field(description="The care team, the latest first.")
    async def care_team(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[CareTeamMember]:
        """Return a page of members."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            CareTeamMember.of,
            pages=lists.grant_pages,
            counts=lists.grant_counts,
            order=lists.MEMBERS,
            arguments=(tables.CareTeamMember, in_force),
        )

    @strawberry.field(description="Consents to consultations, the latest first.")
    async def consents(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Consent]:
        """Return a page of consents."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Consent.of,
            pages=lists.grant_pages,
            counts=lists.grant_counts,
            order=lists.CONSENTS,
            arguments=(tables.Consent, in_force),
        )

    @strawberry.field(description="Who is shut out, the latest first.")
    async def blocks(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Block]:
        """Return a page of blocks."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Block.of,
            pages=lists.grant_pages,
            counts=lists.grant_counts,
            order=lists.BLOCKS,
            arguments=(tables.Block, in_force),
        )

    @strawberry.field(description="Accesses in emergencies, the latest first.")
    async def emergency_accesses(
        self,
        info: Info,
        in_force: InForce = False,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[EmergencyAccess]:
        """Return a page of emergency accesses."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            EmergencyAccess.of,
            pages=lists.grant_pages,
            counts=lists.grant_counts,
            order=lists.EMERGENCIES,
            arguments=(tables.EmergencyAccess, in_force),
        )

    @strawberry.field(description="Who acts for the holder, and open invitations.")
    async def delegations(
        self,
        info: Info,
        in_force: InForce = True,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[LazyDelegation]:
        """Return a page of delegations."""
        from carnet_graphql.delegations import Delegation

        return await connection(
            info.context,
            self.holder_key,
            page_request(first, after, last, before),
            Delegation.of,
            pages=lists.delegation_pages,
            counts=lists.delegation_counts,
            order=lists.DELEGATIONS,
            arguments=("holder", in_force),
        )


@strawberry.type
class RecordAccessFields:
    """What a record says of access to it."""

    key: strawberry.Private[UUID]
    row: strawberry.Private[Any]

    @strawberry.field(
        description="Who may see the record; null unless you are the holder or manage access."
    )
    async def access(self, info: Info) -> RecordAccess | None:
        """Return the settings and grants."""
        view = await info.context.load(lists.settings_of, self.key)
        if view is None:
            return None
        return RecordAccess(key=self.key, holder_key=self.row.person_id, view=view)

    @strawberry.field(description="The rule that lets you see this record.")
    async def allowed_by(self, info: Info) -> AccessRule | None:
        """Return the rule that decided."""
        decision = await info.context.load(decisions_of, self.key)
        return AccessRule.of(decision) if decision else None

    @strawberry.field(description="The holder for whom you act; null on your own record.")
    async def acting_as(self, info: Info) -> LazyPatient | None:
        """Return the holder where a delegate looks."""
        from carnet_graphql.people import Patient

        actor = info.context.actor
        own = getattr(actor, "person_id", None)
        if own is None or own == self.row.person_id:
            return None
        found = await load_any(info.context, write_id(Patient, self.row.person_id))
        return found if isinstance(found, Patient) else None
