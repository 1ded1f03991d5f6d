"""Grants: care team, consents, blocks and emergency accesses of a record."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from carnet.access import lists, tables
from carnet_graphql.context import Info
from carnet_graphql.node import Node, load_any, register_node, write_id

if TYPE_CHECKING:
    from carnet_graphql.people import Organization, Professional

LazyProfessional = Annotated["Professional", strawberry.lazy("carnet_graphql.people")]
LazyOrganization = Annotated["Organization", strawberry.lazy("carnet_graphql.people")]

CareTeamRole = tables.CareTeamRole
strawberry.enum(CareTeamRole, description="What a professional is to a holder.")
CareTeamBasis = tables.CareTeamBasis
strawberry.enum(CareTeamBasis, description="How a member came into the care team.")
ConsentBasis = tables.ConsentBasis
strawberry.enum(ConsentBasis, description="How a consent was given.")
EmergencyKind = tables.EmergencyKind
strawberry.enum(EmergencyKind, description="On what ground a record is reached in an emergency.")


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
    def created_at(self) -> datetime:
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
