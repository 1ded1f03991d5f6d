"""How a mutation names who is let in, and the patient whose record it is."""

from __future__ import annotations

import strawberry

from carnet.access.locating import Grantee, PatientReference
from carnet.people.identifiers import INS_NIR
from carnet.values import Identifier, PartialDate
from carnet_graphql.node import read_id
from carnet_graphql.people import Organization, Professional


@strawberry.input(description="Exactly one professional or organization.")
class GranteeInput:
    """See `carnet.access.locating.Grantee`."""

    professional_id: strawberry.ID | None = strawberry.field(
        default=None, description="A professional."
    )
    organization_id: strawberry.ID | None = strawberry.field(
        default=None, description="An organization: everybody who works there."
    )

    def value(self) -> Grantee:
        """Return the input as the area's value."""
        professional, organization = self.professional_id, self.organization_id
        return Grantee(
            read_id(professional, Professional, "grantee", "professionalId")
            if professional
            else None,
            read_id(organization, Organization, "grantee", "organizationId")
            if organization
            else None,
        )


@strawberry.input(description="The patient before you: what they or their card told you.")
class PatientReferenceInput:
    """See `carnet.access.locating.PatientReference`."""

    identifier: str = strawberry.field(description="National number (INS).")
    identifier_system: str = strawberry.field(
        default=INS_NIR, description="URI of who gave it; the INS-NIR unless said otherwise."
    )
    birth_date: PartialDate = strawberry.field(description="Date of birth, as it is registered.")

    def value(self) -> PatientReference:
        """Return the input as the area's value."""
        return PatientReference(
            Identifier(self.identifier_system, self.identifier), self.birth_date
        )
