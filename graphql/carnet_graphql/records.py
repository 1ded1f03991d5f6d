"""The record and its profile, as what everything of a person hangs from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.documents import queries as documents_queries
from carnet.records import dose_queries, profile_queries, queries, tables
from carnet.records.tables import Section as SectionValue
from carnet_graphql.access import LazyPatient, RecordAccessFields
from carnet_graphql.calendar import RecordPrevention
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
from carnet_graphql.delegations import patient_of
from carnet_graphql.documents import Document, DocumentFilterInput, DocumentOrder
from carnet_graphql.explaining import RecordPreview
from carnet_graphql.exports import RecordExports
from carnet_graphql.immunizations import Immunization
from carnet_graphql.journal import RecordJournal
from carnet_graphql.node import GlobalId, Node, load_node, read_id, register_node
from carnet_graphql.profile import (
    AdvanceDirective,
    Allergy,
    AttendingDoctor,
    Condition,
    Disability,
    EntourageMember,
    EntryOrder,
    FamilyHistory,
    InOrder,
    LifestyleFact,
    Measurement,
    Procedure,
    Section,
    StatedBy,
    Stay,
    Treatment,
    section_field,
)

RecordState = tables.RecordState
strawberry.enum(RecordState, description="Life cycle state of a record.")


@strawberry.type(description="A dated «nothing to declare» for one section.")
class NothingToDeclare:
    """See `carnet.records.tables.NothingToDeclare`."""

    section: Section = strawberry.field(description="The section that is empty on purpose.")
    stated_by: StatedBy = strawberry.field(description="What kind of actor stated it.")
    stated_at: datetime = strawberry.field(description="When it was stated.")

    @classmethod
    def of(cls, row: tables.NothingToDeclare) -> NothingToDeclare:
        """Return the row as its GraphQL object."""
        return cls(section=row.section, stated_by=row.stated_by, stated_at=row.stated_at)


@strawberry.type(description="The medical profile: what is known of a person, by section.")
class Profile:
    """``key`` is the record's id."""

    key: strawberry.Private[UUID]

    allergies: Connection[Allergy] = section_field(
        SectionValue.ALLERGIES, "Allergies and intolerances."
    )
    conditions: Connection[Condition] = section_field(
        SectionValue.CONDITIONS, "Diseases and problems, present and past."
    )
    treatments: Connection[Treatment] = section_field(
        SectionValue.TREATMENTS, "Medicines taken or prescribed."
    )
    procedures: Connection[Procedure] = section_field(
        SectionValue.PROCEDURES, "Operations and other acts."
    )
    stays: Connection[Stay] = section_field(SectionValue.STAYS, "Stays and visits.")
    family_history: Connection[FamilyHistory] = section_field(
        SectionValue.FAMILY_HISTORY, "Diseases in the family."
    )
    lifestyle: Connection[LifestyleFact] = section_field(
        SectionValue.LIFESTYLE, "Habits and circumstances of life."
    )
    measurements: Connection[Measurement] = section_field(
        SectionValue.MEASUREMENTS, "Measured values, with units and targets."
    )
    disabilities: Connection[Disability] = section_field(SectionValue.DISABILITIES, "Disabilities.")
    advance_directives: Connection[AdvanceDirective] = section_field(
        SectionValue.ADVANCE_DIRECTIVES, "Advance directives."
    )
    entourage: Connection[EntourageMember] = section_field(
        SectionValue.ENTOURAGE, "Emergency contacts, trusted person and caregivers."
    )
    attending_doctor: Connection[AttendingDoctor] = section_field(
        SectionValue.ATTENDING_DOCTOR, "The attending doctor, the present one first."
    )

    @strawberry.field(description="Doses of vaccines that were given.")
    async def immunizations(
        self,
        info: Info,
        order: InOrder = EntryOrder.NEWEST,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Immunization]:
        """Return a page of doses."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Immunization.of,
            pages=dose_queries.immunization_pages,
            counts=dose_queries.immunization_counts,
            order=order.keyset(dose_queries.DOSES_NEWEST, dose_queries.DOSES_OLDEST),
        )

    @strawberry.field(description="Sections that are empty on purpose, with the date.")
    async def nothing_to_declare(self, info: Info) -> list[NothingToDeclare]:
        """Return the declarations."""
        rows = await info.context.load(profile_queries.nothing_to_declare, self.key)
        return [NothingToDeclare.of(row) for row in rows or []]


@strawberry.type(description="A person's health record.")
class Record(
    RecordAccessFields, RecordPreview, RecordJournal, RecordExports, RecordPrevention, Node
):
    """See `carnet.records.tables.Record`."""

    row: strawberry.Private[tables.Record]

    @classmethod
    def of(cls, row: tables.Record) -> Record:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The holder.")
    async def holder(self, info: Info) -> LazyPatient | None:
        """Return the holder."""
        return await patient_of(info, self.row.person_id)

    @strawberry.field(description="Life cycle state.")
    def state(self) -> RecordState:
        """Return the state."""
        return self.row.state

    @strawberry.field(description="When it opened.")
    def opened_at(self) -> datetime | None:
        """Return when it opened."""
        return self.row.opened_at

    @strawberry.field(description="When the holder activated it.")
    def activated_at(self) -> datetime | None:
        """Return when the holder activated it."""
        return self.row.activated_at

    @strawberry.field(description="The medical profile.")
    def profile(self) -> Profile:
        """Return the profile."""
        return Profile(key=self.key)

    @strawberry.field(description="Documents of the record, current versions unless asked.")
    async def documents(
        self,
        info: Info,
        filter: Annotated[
            DocumentFilterInput | None,
            strawberry.argument(description="Which documents; without it, all."),
        ] = None,
        order: Annotated[
            DocumentOrder, strawberry.argument(description="How to sort.")
        ] = DocumentOrder.NEWEST,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Document]:
        """Return a page of documents."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Document.of,
            pages=documents_queries.pages,
            counts=documents_queries.counts,
            order=order.keyset(),
            arguments=((filter or DocumentFilterInput()).value(),),
        )


register_node(Record, queries.by_ids, Record.of)


@strawberry.type
class RecordQuery:
    """Root fields of records."""

    @strawberry.field(description="A record by its id; null when you may see none.")
    async def record(self, info: Info, id: GlobalId) -> Record | None:
        """Return a record."""
        return await load_node(info.context, Record, read_id(id, Record, "id"))
