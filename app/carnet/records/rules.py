"""Pure decisions about records: which state allows what, and when two reports are one dose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from carnet.records.tables import RecordState, StatedBy
from carnet.values import PartialDate

FED = (RecordState.OPEN, RecordState.ACTIVATED)
"""States in which professionals and publishers may feed a record (R1111-28)."""

Comparable = TypeVar("Comparable", str, int)


def may_be_fed(state: RecordState) -> bool:
    """Tell whether a record in this state takes documents and facts."""
    return state in FED


HOLDER_SIDE = (StatedBy.HOLDER, StatedBy.DELEGATE)
Author = tuple[StatedBy, UUID | None]


def may_change(actor: Author, author: Author) -> bool:
    """Tell whether one who states things may change what was stated: their own, and the holder and
    who acts for them what any of them stated."""
    return actor == author or (actor[0] in HOLDER_SIDE and author[0] in HOLDER_SIDE)


@dataclass(frozen=True, slots=True)
class Dose:
    """What identifies one administration of a vaccine.

    ``diseases`` is empty for a vaccine that no table knows; its own ``codes`` then stand in.
    """

    diseases: frozenset[str]
    codes: frozenset[str]
    given_on: PartialDate | None
    lot_number: str | None
    dose_rank: int | None


def same_dose(one: Dose, other: Dose) -> bool:
    """Tell whether two reports of one person describe the same dose.

    The same disease on the same day, and the same rank or the same lot. Where one side gives
    neither, the day alone decides: nobody gets the same vaccine twice in a day. An undated dose,
    or one known to the month or year only, is the same as another only if rank or lot agree.
    """
    if not one.diseases & other.diseases and not one.codes & other.codes:
        return False
    ranks = _agree(one.dose_rank, other.dose_rank)
    lots = _agree(_folded(one.lot_number), _folded(other.lot_number))
    confirmed = ranks is True or lots is True
    if one.given_on is None or other.given_on is None:
        return confirmed and one.given_on is other.given_on
    if one.given_on.day is None or other.given_on.day is None:
        return confirmed and _compatible(one.given_on, other.given_on)
    if one.given_on != other.given_on:
        return False
    return confirmed or (ranks is None and lots is None)


def _agree(one: Comparable | None, other: Comparable | None) -> bool | None:
    return None if one is None or other is None else one == other


def _folded(lot: str | None) -> str | None:
    return "".join(lot.split()).casefold() or None if lot else None


def _compatible(one: PartialDate, other: PartialDate) -> bool:
    return one.text.startswith(other.text) or other.text.startswith(one.text)


def sharper(one: PartialDate | None, other: PartialDate | None) -> PartialDate | None:
    """Return the date that says more."""
    return max(one, other, key=lambda d: len(d.text) if d else 0)
