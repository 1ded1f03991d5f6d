"""What deletes a record's calendar."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete

from carnet.prevention.tables import (
    Appointment,
    CalendarFeed,
    PregnancyEpisode,
    PreventionAct,
    PreventionChange,
    PreventionChoice,
    PreventionFact,
    PreventionLook,
    PreventionReminder,
    PreventionSettings,
)
from carnet.store.database import Work

TABLES = (
    Appointment,
    CalendarFeed,
    PregnancyEpisode,
    PreventionAct,
    PreventionChange,
    PreventionChoice,
    PreventionFact,
    PreventionLook,
    PreventionReminder,
    PreventionSettings,
)


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete it all. The caller holds the records' rows and writes the journal."""
    for table in TABLES:
        await work.session.execute(delete(table).where(table.record_id.in_(record_ids)))
