"""Telling people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import NotFound
from carnet.notifications.outgoing import enqueue
from carnet.notifications.queries import OPERATORS, by_ids, visible_to
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.events import NewEvent


class NotificationEventKind(StrEnum):
    """What happened to a notification, as the inbox of whom it was told to has it."""

    RECEIVED = "NOTIFICATION_RECEIVED"
    READ = "NOTIFICATION_READ"


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
    statement = insert(Notification).values(told).on_conflict_do_nothing()
    told_now = (await work.session.scalars(statement.returning(Notification))).all()
    _tell(work, told_now)
    await enqueue(work, told_now)


@dataclass(frozen=True, slots=True)
class Notice:
    """What one person or professional is told; see `notify`."""

    person_id: UUID | None
    kind: NotificationKind
    subject_id: UUID
    record_id: UUID | None = None
    professional_id: UUID | None = None


async def notify_all(work: Work, notices: Sequence[Notice]) -> None:
    """Tell many persons and professionals, each once for a subject."""
    rows = [
        {
            "id": work.new_id(),
            "person_id": notice.person_id,
            "professional_id": notice.professional_id,
            "kind": notice.kind,
            "record_id": notice.record_id,
            "subject_id": notice.subject_id,
            "created_at": work.now,
        }
        for notice in notices
    ]
    if rows:
        statement = insert(Notification).on_conflict_do_nothing().returning(Notification)
        told_now = (await work.session.scalars(statement, rows)).all()
        _tell(work, told_now)
        await enqueue(work, told_now)


async def mark_read(actor: Actor, work: Work, ids: Collection[UUID]) -> None:
    """Note that what somebody was told has been read; what was read before keeps its time.

    What operators are told is read for all of them once one has read it.

    Raises:
        NotFound: one of them does not exist or is not the actor's; none is marked then.
    """
    if len(await by_ids(actor, work, ids)) != len(set(ids)):
        raise NotFound()
    marked = await work.session.scalars(
        update(Notification)
        .where(Notification.id.in_(ids), visible_to(actor), Notification.read_at.is_(None))
        .values(read_at=work.now)
        .returning(Notification)
        .execution_options(synchronize_session=False)
    )
    _tell(work, marked.all(), NotificationEventKind.READ)


def _tell(
    work: Work,
    rows: Sequence[Notification],
    kind: NotificationEventKind = NotificationEventKind.RECEIVED,
) -> None:
    """Put what happened into the inboxes of whom it was told to."""
    for row in rows:
        inbox = row.person_id or row.professional_id or OPERATORS
        work.events.append(NewEvent(work.new_id(), (inbox,), kind.value, row.id, row.record_id))
