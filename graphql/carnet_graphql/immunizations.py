"""Immunizations: doses merged from all who report them, with every source."""

from __future__ import annotations

from datetime import datetime

import strawberry

from carnet.certificates.certificate import Scheme
from carnet.records import dose_queries, tables
from carnet.terminology import codes
from carnet.values import PartialDate
from carnet_graphql.codings import Coding, InLocale, Locale
from carnet_graphql.context import Info
from carnet_graphql.documents import Document
from carnet_graphql.node import Node, load_node, register_node
from carnet_graphql.profile import StatedBy


@strawberry.type(description="A disease that vaccines protect against.")
class Disease:
    """See `carnet.terminology`."""

    code: str = strawberry.field(description="Carnet's own code.")

    @strawberry.field(description="Its name.")
    def name(self, locale: InLocale = Locale.FR) -> str:
        """Return the name of the disease."""
        return codes.disease_name(self.code, locale.value)


strawberry.enum(Scheme, name="CertificateScheme", description="Whose rules a certificate follows.")


@strawberry.type(description="A signed certificate; its signature held when it was shown.")
class VaccinationCertificate:
    """See `carnet.certificates`."""

    scheme: Scheme = strawberry.field(description="Whose rules it follows.")
    issuer: str = strawberry.field(description="Who signed it: a country's code, or a URL.")


@strawberry.type(description="Who reported a dose, and what they said.")
class ImmunizationSource:
    """See `carnet.records.tables.ImmunizationSource`."""

    row: strawberry.Private[tables.ImmunizationSource]

    @strawberry.field(description="What kind of actor reported it.")
    def stated_by(self) -> StatedBy:
        """Return who reported it."""
        return self.row.stated_by

    @strawberry.field(description="When it was reported to Carnet.")
    def stated_at(self) -> datetime:
        """Return when it was reported."""
        return self.row.stated_at

    @strawberry.field(description="The document it was read from, if any that you may see.")
    async def document(self, info: Info) -> Document | None:
        """Return the source document."""
        id_ = self.row.source_document_id
        return await load_node(info.context, Document, id_) if id_ else None

    @strawberry.field(description="The vaccine, as this source names it.")
    def vaccine_label(self) -> str:
        """Return the source's label."""
        return self.row.vaccine_label

    @strawberry.field(description="When, according to this source; null: date unknown.")
    def given_on(self) -> PartialDate | None:
        """Return the source's date."""
        return self.row.given_on

    @strawberry.field(description="Lot, according to this source.")
    def lot_number(self) -> str | None:
        """Return the source's lot."""
        return self.row.lot_number

    @strawberry.field(description="The signed certificate that vouches for it, if one does.")
    def certificate(self) -> VaccinationCertificate | None:
        """Return the certificate."""
        scheme, issuer = self.row.certificate_scheme, self.row.certificate_issuer
        if scheme is None or issuer is None:
            return None
        return VaccinationCertificate(scheme=scheme, issuer=issuer)

    @strawberry.field(description="Rank in its series, according to this source.")
    def dose_rank(self) -> int | None:
        """Return the source's rank."""
        return self.row.dose_rank


@strawberry.type(description="One dose of a vaccine that was given.")
class Immunization(Node):
    """See `carnet.records.tables.Immunization`."""

    row: strawberry.Private[tables.Immunization]

    @classmethod
    def of(cls, row: tables.Immunization) -> Immunization:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The vaccine, as a person reads it.")
    def vaccine_label(self) -> str:
        """Return the label."""
        return self.row.vaccine_label

    @strawberry.field(description="Codes of the vaccine in all systems that sources use.")
    def codings(self) -> list[Coding]:
        """Return the codes."""
        return [Coding.of_json(coding) for coding in self.row.codings]

    @strawberry.field(description="What it protects against; empty for an unknown vaccine.")
    def diseases(self) -> list[Disease]:
        """Return the diseases."""
        return [Disease(code=code) for code in self.row.disease_codes]

    @strawberry.field(description="When it was given; null: done, date unknown.")
    def given_on(self) -> PartialDate | None:
        """Return the date."""
        return self.row.given_on

    @strawberry.field(description="Lot number.")
    def lot_number(self) -> str | None:
        """Return the lot."""
        return self.row.lot_number

    @strawberry.field(description="Rank of the dose in its series; the first is 1.")
    def dose_rank(self) -> int | None:
        """Return the rank."""
        return self.row.dose_rank

    @strawberry.field(description="Less than a full dose, or spoilt.")
    def is_subpotent(self) -> bool:
        """Tell whether it was subpotent."""
        return self.row.is_subpotent

    @strawberry.field(description="Everyone who reported it, the first first.")
    async def sources(self, info: Info) -> list[ImmunizationSource]:
        """Return the sources that the viewer may see."""
        rows = await info.context.load(dose_queries.sources_of, self.key)
        return [ImmunizationSource(row=row) for row in rows or []]


register_node(Immunization, dose_queries.immunizations_by_ids, Immunization.of)
