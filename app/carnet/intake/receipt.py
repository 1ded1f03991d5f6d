"""The answer to a submission: what became of each item, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from carnet.intake.model import Reason

PASSING = frozenset({Reason.UNKNOWN_PATIENT, Reason.RECORD_CLOSED, Reason.UNKNOWN_DOCUMENT})
"""Reasons that may pass: the same body can be taken later."""


class Outcome(StrEnum):
    """What became of one item."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DUPLICATE = "DUPLICATE"
    REFUSED = "REFUSED"
    NOT_INTERPRETED = "NOT_INTERPRETED"


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """One item of a submission.

    ``key`` is the publisher's own name for it; ``target`` is the id of what it became.
    """

    key: str = field(repr=False)
    kind: str
    outcome: Outcome
    reason: Reason | None = None
    message: str | None = None
    target_kind: str | None = None
    target_id: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the shape that is stored with the submission."""
        return {
            "key": self.key,
            "kind": self.kind,
            "outcome": self.outcome.value,
            "reason": self.reason.value if self.reason else None,
            "message": self.message,
            "targetKind": self.target_kind,
            "targetId": str(self.target_id) if self.target_id else None,
        }

    @classmethod
    def repeated(cls, shape: dict[str, Any]) -> ItemOutcome:
        """Read a stored outcome as the answer to the same body sent again."""
        outcome = Outcome(shape["outcome"])
        if outcome in (Outcome.CREATED, Outcome.UPDATED):
            outcome = Outcome.DUPLICATE
        return cls(
            shape["key"],
            shape["kind"],
            outcome,
            Reason(shape["reason"]) if shape["reason"] else None,
            shape["message"],
            shape["targetKind"],
            UUID(shape["targetId"]) if shape["targetId"] else None,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one body."""

    submission_id: UUID
    format: str
    items: Sequence[ItemOutcome]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many items had each outcome."""
        found = Counter(item.outcome for item in self.items)
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def is_settled(self) -> bool:
        """Whether sending the same body again could change nothing."""
        return not any(
            item.outcome is Outcome.REFUSED and item.reason in PASSING for item in self.items
        )
