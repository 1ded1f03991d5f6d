"""The medical profile: one type for each section, on one interface."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.records import profile_queries, tables
from carnet.records.tables import Section as SectionValue
from carnet.store.keyset import Order
from carnet.values import PartialDate
from carnet_graphql.codings import Coding
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
from carnet_graphql.documents import Document
from carnet_graphql.node import Node, load_node, register_node

Section = SectionValue
strawberry.enum(Section, description="Sections of the medical profile.")
StatedBy = tables.StatedBy
strawberry.enum(StatedBy, description="What kind of actor stated something.")
EntryStatus = tables.EntryStatus
strawberry.enum(EntryStatus, description="Clinical status of an entry.")


@strawberry.enum(description="How the entries of a section are sorted.")
class EntryOrder(Enum):
    """By start; entries without a date come last among the newest, first among the oldest."""

    NEWEST = strawberry.enum_value("NEWEST", description="The latest start first.")
    OLDEST = strawberry.enum_value("OLDEST", description="The earliest start first.")

    def keyset(self, newest: Order, oldest: Order) -> Order:
        """Return which of the two orders of an area's list it is."""
        return newest if self is EntryOrder.NEWEST else oldest


@strawberry.interface(description="One statement in a section of the medical profile.")
class ProfileEntry(Node):
    """See `carnet.records.tables.ProfileEntry`."""

    row: strawberry.Private[tables.ProfileEntry]

    @strawberry.field(description="What a person reads.")
    def label(self) -> str:
        """Return the label."""
        return self.row.label

    @strawberry.field(description="Codes for it, in as many systems as are known.")
    def codings(self) -> list[Coding]:
        """Return the codes."""
        return [Coding.of_json(coding) for coding in self.row.codings]

    @strawberry.field(description="Clinical status.")
    def status(self) -> EntryStatus:
        """Return the status."""
        return self.row.status

    @strawberry.field(description="When it began or was done, as exactly as is known.")
    def started_on(self) -> PartialDate | None:
        """Return the start."""
        return self.row.started_on

    @strawberry.field(description="When it ended, as exactly as is known.")
    def ended_on(self) -> PartialDate | None:
        """Return the end."""
        return self.row.ended_on

    @strawberry.field(description="Further words.")
    def note(self) -> str | None:
        """Return the note."""
        return self.row.note

    @strawberry.field(description="What kind of actor stated it.")
    def stated_by(self) -> StatedBy:
        """Return who stated it."""
        return self.row.stated_by

    @strawberry.field(description="When it was stated to Carnet.")
    def stated_at(self) -> datetime:
        """Return when it was stated."""
        return self.row.stated_at

    @strawberry.field(description="The document it was read from, if any that you may see.")
    async def source_document(self, info: Info) -> Document | None:
        """Return the source."""
        return await _source(info, self.row.source_document_id)

    @strawberry.field(description="Counts changes; send it back with a correction.")
    def version(self) -> int:
        """Return the version."""
        return self.row.version


async def _source(info: Info, document_id: UUID | None) -> Document | None:
    return await load_node(info.context, Document, document_id) if document_id else None


def _detail(name: str, description: str) -> Any:
    """Return a field that shows one detail of the section."""

    def resolve(self: ProfileEntry) -> str | None:
        return self.row.details.get(name)

    return strawberry.field(resolver=resolve, description=description)


@strawberry.type(description="An allergy or intolerance.")
class Allergy(ProfileEntry):
    """Section ALLERGIES."""

    category: str | None = _detail("category", "Such as food, medication or environment.")
    criticality: str | None = _detail("criticality", "How dangerous a reaction could be.")
    reaction: str | None = _detail("reaction", "What happened.")


@strawberry.type(description="A disease, problem or diagnosis, present or past.")
class Condition(ProfileEntry):
    """Section CONDITIONS."""

    category: str | None = _detail("category", "Such as problem-list item or diagnosis.")
    severity: str | None = _detail("severity", "How severe it is.")
    body_site: str | None = _detail("bodySite", "Where in the body.")


@strawberry.type(description="A medicine taken or prescribed.")
class Treatment(ProfileEntry):
    """Section TREATMENTS."""

    kind: str | None = _detail("kind", "`prescription` or `statement`.")
    dosage: str | None = _detail("dosage", "How it is taken, in words.")
    intent: str | None = _detail("intent", "Such as order, plan or proposal.")
    reason: str | None = _detail("reason", "Why.")


@strawberry.type(description="An operation or other act.")
class Procedure(ProfileEntry):
    """Section PROCEDURES."""

    body_site: str | None = _detail("bodySite", "Where in the body.")
    reason: str | None = _detail("reason", "Why.")
    performer: str | None = _detail("performer", "Who did it.")


@strawberry.type(description="A stay or visit.")
class Stay(ProfileEntry):
    """Section STAYS."""

    care_class: str | None = _detail("class", "Such as inpatient, ambulatory or emergency.")
    reason: str | None = _detail("reason", "Why.")
    location: str | None = _detail("location", "Where.")


@strawberry.type(description="A disease in the family.")
class FamilyHistory(ProfileEntry):
    """Section FAMILY_HISTORY."""

    relationship: str | None = _detail("relationship", "Who in the family.")


@strawberry.type(description="A habit or circumstance of life, such as tobacco or work.")
class LifestyleFact(ProfileEntry):
    """Section LIFESTYLE."""

    answer: str | None = _detail("answer", "What was answered or observed.")


@strawberry.type(description="A measured value.")
class Measurement(ProfileEntry):
    """Section MEASUREMENTS."""

    category: str | None = _detail("category", "Such as vital-signs or laboratory.")
    answer: str | None = _detail("answer", "The result, where it is not a number.")
    target_low: str | None = _detail("targetLow", "Lower end of the target, in the same unit.")
    target_high: str | None = _detail("targetHigh", "Upper end of the target, in the same unit.")

    @strawberry.field(description="The number measured.")
    def value(self) -> Decimal | None:
        """Return the value."""
        return self.row.value

    @strawberry.field(description="Its unit, in UCUM.")
    def unit(self) -> str | None:
        """Return the unit."""
        return self.row.unit


@strawberry.type(description="A disability.")
class Disability(ProfileEntry):
    """Section DISABILITIES."""

    severity: str | None = _detail("severity", "How severe it is.")


@strawberry.type(description="That advance directives exist, and where.")
class AdvanceDirective(ProfileEntry):
    """Section ADVANCE_DIRECTIVES."""

    location: str | None = _detail("location", "Where they are kept.")


@strawberry.type(description="A person around the holder.")
class EntourageMember(ProfileEntry):
    """Section ENTOURAGE."""

    role: str | None = _detail("role", "`emergency-contact`, `trusted-person` or `caregiver`.")
    relationship: str | None = _detail("relationship", "Such as mother, spouse or neighbour.")
    phone: str | None = _detail("phone", "Telephone.")


@strawberry.type(description="The attending doctor.")
class AttendingDoctor(ProfileEntry):
    """Section ATTENDING_DOCTOR."""

    rpps: str | None = _detail("rpps", "National number of the doctor.")
    phone: str | None = _detail("phone", "Telephone.")
    location: str | None = _detail("location", "Place of practice.")


SECTION_TYPES: dict[SectionValue, type[ProfileEntry]] = {
    SectionValue.ALLERGIES: Allergy,
    SectionValue.CONDITIONS: Condition,
    SectionValue.TREATMENTS: Treatment,
    SectionValue.PROCEDURES: Procedure,
    SectionValue.STAYS: Stay,
    SectionValue.FAMILY_HISTORY: FamilyHistory,
    SectionValue.LIFESTYLE: LifestyleFact,
    SectionValue.MEASUREMENTS: Measurement,
    SectionValue.DISABILITIES: Disability,
    SectionValue.ADVANCE_DIRECTIVES: AdvanceDirective,
    SectionValue.ENTOURAGE: EntourageMember,
    SectionValue.ATTENDING_DOCTOR: AttendingDoctor,
}


def entry_of(row: tables.ProfileEntry) -> ProfileEntry:
    """Return the row as the GraphQL object of its section."""
    return SECTION_TYPES[row.section](key=row.id, row=row)


for _kind in SECTION_TYPES.values():
    register_node(_kind, profile_queries.entries_by_ids, entry_of)

InOrder = Annotated[EntryOrder, strawberry.argument(description="How to sort.")]


def section_field(section: SectionValue, description: str) -> Any:
    """Return the connection field of a section."""
    kind = SECTION_TYPES[section]

    async def resolve(
        root: Any,
        info: Info,
        order: InOrder = EntryOrder.NEWEST,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Any:
        return await connection(
            info.context,
            root.key,
            page_request(first, after, last, before),
            entry_of,
            pages=profile_queries.entry_pages,
            counts=profile_queries.entry_counts,
            order=order.keyset(profile_queries.ENTRIES_NEWEST, profile_queries.ENTRIES_OLDEST),
            arguments=(section,),
        )

    return strawberry.field(
        resolver=resolve,
        graphql_type=Connection[kind],  # type: ignore[valid-type]  # made for each section
        description=description,
    )
