"""Pure rules of statistics: what a journal entry adds to which count, and what of counts is shown.

Some counts are stocks (how many records are in a state now) and have the period ""; others are
flows (what happened in a month) and have the month, in UTC, as ``YYYY-MM``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from carnet.access.journal import JournalAction
from carnet.documents.tables import DocumentCategory
from carnet.errors import ValidationFailed
from carnet.records.tables import RecordState
from carnet.values import PartialDate

SMALLEST_SHOWN = 11
"""Counts below it are suppressed: a cell of 1 to 10 is a small cell to statisticians of health
data (CMS Cell Size Suppression Policy); a cell of 0 is too, or else it would tell of nobody."""

MONTHS_LIMIT = 60  # months in one answer
MONTHS_DEFAULT = 12  # months up to the present one

K = TypeVar("K")


class Metric(StrEnum):
    """What is counted; the dimension of each."""

    RECORDS = "RECORDS"  # stock; the state
    ACTIVATIONS = "ACTIVATIONS"  # flow; none
    DOCUMENTS = "DOCUMENTS"  # flow; the category


class FeederKind(StrEnum):
    """Who feeds records."""

    PROFESSIONAL = "PROFESSIONAL"
    ORGANIZATION = "ORGANIZATION"


class Cell(NamedTuple):
    """The key of one count."""

    metric: Metric
    period: str
    dimension: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What statistics read of a journal entry."""

    at: datetime
    action: str
    actor_kind: str
    actor_id: UUID | None
    object_ids: Sequence[UUID] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


_BEFORE_LIFE = (None, RecordState.DELETED.value)
"""What a record's first entry comes from: nothing, or the deleted record that it stands in for,
which stays deleted."""

_NOT_ACTIVATED_BEFORE = (*_BEFORE_LIFE, RecordState.NOTIFIED.value, RecordState.OPEN.value)
"""From these to ACTIVATED is an activation; from the others it is a return."""

_FEEDS = frozenset(
    action.value
    for action in (
        JournalAction.DEPOSIT_DOCUMENT,
        JournalAction.REPLACE_DOCUMENT,
        JournalAction.ADD_ENTRY,
        JournalAction.REPORT_DOSE,
    )
)
_DEPOSITS = frozenset({JournalAction.DEPOSIT_DOCUMENT.value, JournalAction.REPLACE_DOCUMENT.value})
USED = _FEEDS | {JournalAction.CHANGE_STATE.value}
"""The actions of the entries that count; others need not be read."""


def month_of(moment: datetime) -> str:
    """Return the month of a moment, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def added(entry: Entry) -> Counter[Cell]:
    """Return what the entry adds to which counts; nothing for most entries."""
    counts: Counter[Cell] = Counter()
    match entry.action:
        case JournalAction.CHANGE_STATE.value:
            before, after = entry.details.get("from"), entry.details.get("to")
            if before not in _BEFORE_LIFE:
                counts[Cell(Metric.RECORDS, "", str(before))] -= 1
            counts[Cell(Metric.RECORDS, "", str(after))] += 1
            if after == RecordState.ACTIVATED.value and before in _NOT_ACTIVATED_BEFORE:
                counts[Cell(Metric.ACTIVATIONS, month_of(entry.at), "")] += 1
        case JournalAction.DEPOSIT_DOCUMENT.value:
            category = entry.details.get("category", DocumentCategory.OTHER.value)
            cell = Cell(Metric.DOCUMENTS, month_of(entry.at), str(category))
            counts[cell] += len(entry.object_ids)
    return counts


def feeds(entry: Entry) -> bool:
    """Tell whether a professional or a publisher brings something into a record by it."""
    return entry.action in _FEEDS and entry.actor_kind in ("PROFESSIONAL", "PUBLISHER")


def deposited(entry: Entry) -> Sequence[UUID]:
    """Return the documents whose authors feed by the entry."""
    return entry.object_ids if feeds(entry) and entry.action in _DEPOSITS else ()


def shown(count: int) -> int | None:
    """Return a count that stands alone, or None where it is too small to be shown."""
    return count if count >= SMALLEST_SHOWN else None


@dataclass(frozen=True, slots=True)
class Breakdown(Generic[K]):
    """Counts that add up to a total; None is suppressed."""

    cells: Mapping[K, int | None]
    total: int | None


def suppress(counts: Mapping[K, int], smallest: int = SMALLEST_SHOWN) -> Breakdown[K]:
    """Suppress small counts, and as many more as keep the total from giving one away.

    The hidden cells are always the smallest ones. More are hidden, ties together, until they
    are not all equal and their sum is itself no small count; where all cells are hidden and that
    is not reached, the total is hidden too. So any exchange of the hidden counts among their
    cells looks the same from outside, and nobody can tell one, even knowing this rule.

    Args:
        counts: every cell that there may be, also the empty ones.
        smallest: the smallest count that is shown.
    """
    values = list(counts.values())
    limit = smallest - 1
    is_total_shown = True
    while hidden := [value for value in values if value <= limit]:
        if len(set(hidden)) > 1 and sum(hidden) >= smallest:
            break
        larger = [value for value in values if value > limit]
        if not larger:
            is_total_shown = False
            break
        limit = min(larger)
    cells = {key: None if value <= limit else value for key, value in counts.items()}
    return Breakdown(cells, sum(values) if is_total_shown else None)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a group feed. ``registered`` is public register data and always shown.

    ``group`` is a profession or a type of facility; None where it is not known.
    """

    group: str | None
    registered: int
    feeding: int | None

    @property
    def ratio(self) -> Fraction | None:
        """Return the part that feeds, from 0 to 1; None where the count is suppressed."""
        if self.feeding is None or self.registered == 0:
            return None
        return min(Fraction(self.feeding, self.registered), Fraction(1))


def shares(registered: Mapping[str, int], feeding: Mapping[str, int]) -> list[Share]:
    """Return the share of each registered group, by its code; "" is the unknown one."""
    return [
        Share(group or None, count, shown(feeding.get(group, 0)))
        for group, count in sorted(registered.items())
    ]


def months(
    now: datetime, first: PartialDate | None = None, last: PartialDate | None = None
) -> tuple[str, ...]:
    """Return the months from the first to the last, both included.

    Args:
        now: its month is the last one unless told.
        first: a month; without it, twelve months end with the last.
        last: a month.

    Raises:
        ValidationFailed: one is no month, they are the wrong way round, or over 60 months apart.
    """
    end = _number(last, "to") if last else _number(PartialDate(month_of(now)), "to")
    start = _number(first, "from") if first else max(end - MONTHS_DEFAULT + 1, _FIRST)
    if not 0 <= end - start < MONTHS_LIMIT:
        raise ValidationFailed(f"From one month to a later one, {MONTHS_LIMIT} at most.")
    return tuple(f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1))


_FIRST = 12  # January of the year 1


def _number(month: PartialDate, name: str) -> int:
    if len(month.text) != 7:
        raise ValidationFailed("A month is written YYYY-MM.", path=(name,))
    year, number = month.text.split("-")
    return int(year) * 12 + int(number) - 1
