"""Statistics for operators: counts without anybody in them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeAlias

import strawberry

from carnet.documents.tables import DocumentCategory
from carnet.people.actor import require_operator
from carnet.records.tables import RecordState
from carnet.statistics import queries, rules
from carnet.values import PartialDate
from carnet_graphql.codings import Coding
from carnet_graphql.context import Info
from carnet_graphql.people import PROFESSIONS

SHARE_DIGITS = Decimal("0.0001")

From: TypeAlias = Annotated[
    PartialDate | None,
    strawberry.argument(
        name="from", description="First month, `2026-03`; by default eleven before `to`."
    ),
]
To: TypeAlias = Annotated[
    PartialDate | None,
    strawberry.argument(
        description="Last month, `2027-02`; by default the present one. 60 months at most."
    ),
]


@strawberry.type(
    description="A count. One below 11 is suppressed, as are others that give it away."
)
class Count:
    """See `carnet.statistics.rules.suppress`."""

    value: int | None = strawberry.field(description="How many; null when suppressed.")
    is_suppressed: bool = strawberry.field(description="Whether it is not shown.")

    @classmethod
    def of(cls, value: int | None) -> Count:
        """Return what is shown of a count."""
        return cls(value=value, is_suppressed=value is None)


@strawberry.type(description="How many records are in a state.")
class RecordStateCount:
    """One cell of `RecordCounts`."""

    state: RecordState = strawberry.field(description="State.")
    count: Count = strawberry.field(description="How many.")


@strawberry.type(description="How many records there are, by state.")
class RecordCounts:
    """See `carnet.statistics.queries.records_by_state`."""

    total: Count = strawberry.field(description="All states together.")
    states: list[RecordStateCount] = strawberry.field(description="Every state.")


@strawberry.type(description="How often something happened in a month.")
class MonthCount:
    """See `carnet.statistics.queries.Month`."""

    month: PartialDate = strawberry.field(description="The month, in UTC.")
    count: Count = strawberry.field(description="How often.")


@strawberry.type(description="How many documents of a category came.")
class CategoryCount:
    """One cell of `DocumentMonth`."""

    category: DocumentCategory = strawberry.field(description="Category.")
    count: Count = strawberry.field(description="How many.")


@strawberry.type(description="How many documents came in a month, by category.")
class DocumentMonth:
    """See `carnet.statistics.queries.DocumentMonth`."""

    month: PartialDate = strawberry.field(description="The month, in UTC.")
    total: Count = strawberry.field(description="All categories together.")
    categories: list[CategoryCount] = strawberry.field(description="Every category.")


@strawberry.interface(description="How many of a group feed records.")
class FeedingShare:
    """See `carnet.statistics.rules.Share`."""

    registered: int = strawberry.field(description="How many are in the directory.")
    feeding: Count = strawberry.field(
        description="How many of them have brought something into a record at least once."
    )
    share: Decimal | None = strawberry.field(
        description="Feeding of registered, from 0 to 1; null when suppressed."
    )


@strawberry.type(description="How many professionals of a profession feed records.")
class ProfessionalShare(FeedingShare):
    """A professional feeds by bringing something, and by signing what software brings."""

    profession: Coding = strawberry.field(description="Profession (TRE_G15).")


@strawberry.type(description="How many establishments of a type feed records.")
class OrganizationShare(FeedingShare):
    """An establishment feeds by its software and by its professionals."""

    facility_type: str | None = strawberry.field(
        description="Type of facility, as the directory has it; null where it has none."
    )


@strawberry.type(description="Counts of the whole store, kept up as things happen.")
class Statistics:
    """Nothing here reads records or documents."""

    @strawberry.field(
        description="Until when what happened is counted, a minute ago or two; null before that."
    )
    async def as_of(self, info: Info) -> datetime | None:
        """Return the moment."""
        async with info.context.database.read() as work:
            return await queries.as_of(info.context.actor, work)

    @strawberry.field(description="Records by their state now.")
    async def records_by_state(self, info: Info) -> RecordCounts:
        """Return the counts."""
        async with info.context.database.read() as work:
            found = await queries.records_by_state(info.context.actor, work)
        return RecordCounts(
            total=Count.of(found.total),
            states=[
                RecordStateCount(state=state, count=Count.of(count))
                for state, count in found.cells.items()
            ],
        )

    @strawberry.field(description="How many holders activated their record, month by month.")
    async def activations_per_month(
        self, info: Info, from_: From = None, to: To = None
    ) -> list[MonthCount]:
        """Return the counts."""
        async with info.context.database.read() as work:
            months = rules.months(work.now, from_, to)
            found = await queries.activations(info.context.actor, work, months)
        return [
            MonthCount(month=PartialDate(item.month), count=Count.of(item.count)) for item in found
        ]

    @strawberry.field(
        description="How many documents came, month by month; a further version is no further"
        " document, and one deleted since did come."
    )
    async def documents(self, info: Info, from_: From = None, to: To = None) -> list[DocumentMonth]:
        """Return the counts."""
        async with info.context.database.read() as work:
            months = rules.months(work.now, from_, to)
            found = await queries.documents(info.context.actor, work, months)
        return [
            DocumentMonth(
                month=PartialDate(item.month),
                total=Count.of(item.counts.total),
                categories=[
                    CategoryCount(category=category, count=Count.of(count))
                    for category, count in item.counts.cells.items()
                ],
            )
            for item in found
        ]

    @strawberry.field(description="How many professionals of each profession feed records.")
    async def feeding_professionals(self, info: Info) -> list[ProfessionalShare]:
        """Return the shares."""
        async with info.context.database.read() as work:
            found = await queries.feeding_professionals(info.context.actor, work)
        return [
            ProfessionalShare(
                registered=share.registered,
                feeding=Count.of(share.feeding),
                share=_decimal(share),
                profession=Coding(system=PROFESSIONS, code=share.group or "", source_display=None),
            )
            for share in found
        ]

    @strawberry.field(description="How many establishments of each type feed records.")
    async def feeding_organizations(self, info: Info) -> list[OrganizationShare]:
        """Return the shares."""
        async with info.context.database.read() as work:
            found = await queries.feeding_organizations(info.context.actor, work)
        return [
            OrganizationShare(
                registered=share.registered,
                feeding=Count.of(share.feeding),
                share=_decimal(share),
                facility_type=share.group,
            )
            for share in found
        ]


def _decimal(share: rules.Share) -> Decimal | None:
    ratio = share.ratio
    if ratio is None:
        return None
    return (Decimal(ratio.numerator) / ratio.denominator).quantize(SHARE_DIGITS)


@strawberry.type
class StatisticsQuery:
    """Root fields of statistics."""

    @strawberry.field(description="Counts of the whole store. For operators.")
    def statistics(self, info: Info) -> Statistics:
        """Return the statistics."""
        require_operator(info.context.actor)
        return Statistics()
