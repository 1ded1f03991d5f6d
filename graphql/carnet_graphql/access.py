"""Who may see a record and why: settings, care team, consents, blocks, emergencies, rules."""

from __future__ import annotations

from datetime import datetime
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
from carnet_graphql.node import Node, load_any, register_node, write_id

if TYPE_CHECKING:
    from carnet_graphql.delegations import Delegation
    from carnet_graphql.people import Organization, Patient, Professional

LazyProfessional = Annotated["Professional", strawberry.lazy("carnet_graphql.people")]
LazyOrganization = Annotated["Organization", strawberry.lazy("carnet_graphql.people")]
LazyPatient = Annotated["Patient", strawberry.lazy("carnet_graphql.people")]
LazyDelegation = Annotated["Delegation", strawberry.lazy("carnet_graphql.delegations")]

CareTeamRole = tables.CareTeamRole
strawberry.enum(CareTeamRole, description="What a professional is to a holder.")
CareTeamBasis = tables.CareTeamBasis
strawberry.enum(CareTeamBasis, description="How a member came into the care team.")
ConsentBasis = tables.ConsentBasis
strawberry.enum(ConsentBasis, description="How a consent was given.")
EmergencyKind = tables.EmergencyKind
strawberry.enum(EmergencyKind, description="On what ground a record is reached in an emergency.")
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


async def professional_of(info: Info, id_: UUID | None) -> Any:
    """Return a professional's object, read in a batch."""
    return await _directory(info, "Professional", id_)


async def organization_of(info: Info, id_: UUID | None) -> Any:
    """Return an organization's object, read in a batch."""
    return await _directory(info, "Organization", id_)


async def _directory(info: Info, name: str, id_: UUID | None) -> Any:
    from carnet_graphql import people

    return await load_any(info.context, write_id(getattr(people, name), id_)) if id_ else None


@strawberry.type
class Granted:
    """What all grants have: who they are for."""

    row: strawberry.Private[Any]

    @strawberry.field(description="The professional; null when it is an organization.")
    async def professional(self, info: Info) -> LazyProfessional | None:
        """Return the professional."""
        found: Professional | None = await professional_of(info, self.row.professional_id)
        return found

    @strawberry.field(description="The organization; null when it is one professional.")
    async def organization(self, info: Info) -> LazyOrganization | None:
        """Return the organization."""
        found: Organization | None = await organization_of(info, self.row.organization_id)
        return found


@strawberry.type(description="A member of the care team.")
class CareTeamMember(Granted, Node):
    """See `carnet.access.tables.CareTeamMember`."""

    @classmethod
    def of(cls, row: tables.CareTeamMember) -> CareTeamMember:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="What they are to the holder.")
    def role(self) -> CareTeamRole:
        """Return the role."""
        role: CareTeamRole = self.row.role
        return role

    @strawberry.field(description="How they came into the care team.")
    def basis(self) -> CareTeamBasis:
        """Return the basis."""
        basis: CareTeamBasis = self.row.basis
        return basis

    @strawberry.field(description="When the holder was informed.")
    def informed_at(self) -> datetime:
        """Return when it began."""
        at: datetime = self.row.informed_at
        return at

    @strawberry.field(description="When it ended; null while it stands.")
    def ended_at(self) -> datetime | None:
        """Return the end."""
        at: datetime | None = self.row.ended_at
        return at


@strawberry.type(description="The consent to one consultation.")
class Consent(Granted, Node):
    """See `carnet.access.tables.Consent`."""

    @classmethod
    def of(cls, row: tables.Consent) -> Consent:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="How it was given.")
    def basis(self) -> ConsentBasis:
        """Return the basis."""
        basis: ConsentBasis = self.row.basis
        return basis

    @strawberry.field(description="When it was given.")
    def given_at(self) -> datetime:
        """Return the start."""
        at: datetime = self.row.given_at
        return at

    @strawberry.field(description="When it ends by itself.")
    def expires_at(self) -> datetime:
        """Return the end."""
        at: datetime = self.row.expires_at
        return at

    @strawberry.field(description="When it was taken back; null if it was not.")
    def revoked_at(self) -> datetime | None:
        """Return when it was revoked."""
        at: datetime | None = self.row.revoked_at
        return at


@strawberry.type(description="Somebody whom the holder shut out.")
class Block(Granted, Node):
    """See `carnet.access.tables.Block`."""

    @classmethod
    def of(cls, row: tables.Block) -> Block:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Since when.")
    def blocked_at(self) -> datetime:
        """Return the start."""
        at: datetime = self.row.blocked_at
        return at

    @strawberry.field(description="Until when; null while it stands.")
    def lifted_at(self) -> datetime | None:
        """Return the end."""
        at: datetime | None = self.row.lifted_at
        return at


@strawberry.type(description="A record reached in an emergency.")
class EmergencyAccess(Node):
    """See `carnet.access.tables.EmergencyAccess`."""

    row: strawberry.Private[tables.EmergencyAccess]

    @classmethod
    def of(cls, row: tables.EmergencyAccess) -> EmergencyAccess:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Who reached it.")
    async def professional(self, info: Info) -> LazyProfessional | None:
        """Return the professional."""
        found: Professional | None = await professional_of(info, self.row.professional_id)
        return found

    @strawberry.field(description="On what ground.")
    def kind(self) -> EmergencyKind:
        """Return the kind."""
        return self.row.kind

    @strawberry.field(description="The reason that the professional gave.")
    def reason(self) -> str:
        """Return the reason."""
        return self.row.reason

    @strawberry.field(description="When it began.")
    def started_at(self) -> datetime:
        """Return the start."""
        return self.row.started_at

    @strawberry.field(description="When it ends by itself.")
    def ends_at(self) -> datetime:
        """Return the end."""
        return self.row.ends_at

    @strawberry.field(description="When it was ended before; null if it was not.")
    def closed_at(self) -> datetime | None:
        """Return when it was closed."""
        return self.row.closed_at


register_node(CareTeamMember, lists.members, CareTeamMember.of)
register_node(Consent, lists.consents, Consent.of)
register_node(Block, lists.blocks, Block.of)
register_node(EmergencyAccess, lists.emergencies, EmergencyAccess.of)


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
