"""Reads of statistics: for operators only, from counts, with small ones suppressed.

Nothing here reads records, documents or the journal; the directory of professionals and
organizations, which is public, is counted when it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select

from carnet.documents.tables import DocumentCategory
from carnet.people.actor import Actor, require_operator
from carnet.people.tables import Organization, Professional
from carnet.records.tables import RecordState
from carnet.statistics.rules import (
    Breakdown,
    FeederKind,
    Metric,
    Share,
    shares,
    shown,
    suppress,
)
from carnet.statistics.tables import Contribution, Counter, FoldPosition
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class Month:
    """How often something happened in a month; None is suppressed."""

    month: str
    count: int | None


@dataclass(frozen=True, slots=True)
class DocumentMonth:
    """The documents that came in a month, by category."""

    month: str
    counts: Breakdown[DocumentCategory]


async def as_of(actor: Actor, work: Work) -> datetime | None:
    """Return until when the journal is counted; None before it was counted at all.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    moment: datetime | None = await work.session.scalar(select(FoldPosition.folded_at))
    return moment


async def records_by_state(actor: Actor, work: Work) -> Breakdown[RecordState]:
    """Return how many records are in each state.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    counts = {row.dimension: row.value for row in await _counters(work, Metric.RECORDS, [""])}
    return suppress({state: max(counts.get(state.value, 0), 0) for state in RecordState})


async def activations(actor: Actor, work: Work, months: Sequence[str]) -> list[Month]:
    """Return how many holders activated their record in each month.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    counts = {row.period: row.value for row in await _counters(work, Metric.ACTIVATIONS, months)}
    return [Month(month, shown(counts.get(month, 0))) for month in months]


async def documents(actor: Actor, work: Work, months: Sequence[str]) -> list[DocumentMonth]:
    """Return how many documents came in each month, by category; further versions do not count.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await _counters(work, Metric.DOCUMENTS, months):
        counts[row.period][row.dimension] = row.value
    return [DocumentMonth(month, _by_category(counts[month])) for month in months]


def _by_category(counts: Mapping[str, int]) -> Breakdown[DocumentCategory]:
    return suppress({kind: counts.get(kind.value, 0) for kind in DocumentCategory})


async def feeding_professionals(actor: Actor, work: Work) -> list[Share]:
    """Return for each profession how many are registered and how many of them feed.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    registered = select(Professional.profession_code, func.count()).group_by(
        Professional.profession_code
    )
    counts = {group: count for group, count in await work.session.execute(registered)}
    return shares(counts, await _feeding(work, FeederKind.PROFESSIONAL))


async def feeding_organizations(actor: Actor, work: Work) -> list[Share]:
    """Return for each type of facility how many are registered and how many of them feed.

    Raises:
        AccessDenied: the actor is no operator.
    """
    require_operator(actor)
    facility = func.coalesce(Organization.facility_type_code, "")
    registered = select(facility, func.count()).group_by(facility)
    counts = {group: count for group, count in await work.session.execute(registered)}
    return shares(counts, await _feeding(work, FeederKind.ORGANIZATION))


async def _feeding(work: Work, kind: FeederKind) -> dict[str, int]:
    grouped = (
        select(Contribution.group, func.count())
        .where(Contribution.kind == kind.value)
        .group_by(Contribution.group)
    )
    return {group: count for group, count in await work.session.execute(grouped)}


async def _counters(
    work: Work, metric: Metric, periods: Sequence[str]
) -> Sequence[Row[str, str, int]]:
    statement = select(Counter.period, Counter.dimension, Counter.value).where(
        Counter.metric == metric.value, Counter.period.in_(periods)
    )
    return (await work.session.execute(statement)).all()
