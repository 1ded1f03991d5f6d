"""Telling people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import NotFound
from carnet.notifications.queries import by_ids, visible_to
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Actor
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


@dataclass(frozen=True, slots=True)
class Notice:
    """What one person is told; see `notify`."""

    person_id: UUID
    kind: NotificationKind
    subject_id: UUID
    record_id: UUID | None = None


async def notify_persons(work: Work, notices: Sequence[Notice]) -> None:
    """Tell many persons, each once for a subject."""
    rows = [
        {
            "id": work.new_id(),
            "person_id": notice.person_id,
            "kind": notice.kind,
            "record_id": notice.record_id,
            "subject_id": notice.subject_id,
            "created_at": work.now,
        }
        for notice in notices
    ]
    if rows:
        await work.session.execute(insert(Notification).on_conflict_do_nothing(), rows)


async def mark_read(actor: Actor, work: Work, ids: Collection[UUID]) -> None:
    """Note that what somebody was told has been read; what was read before keeps its time.

    What operators are told is read for all of them once one has read it.

    Raises:
        NotFound: one of them does not exist or is not the actor's; none is marked then.
    """
    if len(await by_ids(actor, work, ids)) != len(set(ids)):
        raise NotFound()
    await work.session.execute(
        update(Notification)
        .where(Notification.id.in_(ids), visible_to(actor), Notification.read_at.is_(None))
        .values(read_at=work.now)
        .execution_options(synchronize_session=False)
    )
