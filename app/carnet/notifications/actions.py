"""Telling people."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from carnet.notifications.tables import Notification, NotificationKind
from carnet.store.database import Work


async def notify(
    work: Work,
    kind: NotificationKind,
    subject_id: UUID,
    *,
    person_id: UUID | None = None,
    professional_id: UUID | None = None,
    record_id: UUID | None = None,
) -> None:
    """Tell a person, a professional or, with neither, the operators; once for a subject.

    Args:
        work: the transaction of what happened, so that both are seen or neither.
        kind: what happened.
        subject_id: what it is about; the same kind about the same is told once.
        person_id: the person to tell.
        professional_id: the professional to tell.
        record_id: whose record it is.
    """
    told = {
        "id": work.new_id(),
        "person_id": person_id,
        "professional_id": professional_id,
        "kind": kind,
        "record_id": record_id,
        "subject_id": subject_id,
        "created_at": work.now,
    }
    await work.session.execute(insert(Notification).values(told).on_conflict_do_nothing())
