"""Forgets which of a publisher's items landed in records that are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete

from carnet.intake.tables import IntakeItem
from carnet.store.database import Work

TABLES = (IntakeItem,)
"""What hangs from a record here."""


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete the items. The caller holds the records' rows."""
    await work.session.execute(delete(IntakeItem).where(IntakeItem.record_id.in_(record_ids)))
