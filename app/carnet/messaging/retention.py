"""How long messages are kept: for as long as a thread's policy promised, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, update

from carnet.messaging.tables import Message
from carnet.store.database import Work

MOST_DAYS = 36_500  # of a retention: what is kept longer is kept for good


def span(days: int) -> timedelta:
    """Return how long a retention of so many days keeps a message."""
    return timedelta(days=min(days, MOST_DAYS))


def expiry(now: datetime, days: int, asked: datetime | None) -> datetime | None:
    """Return when a message that comes now expires; None is never.

    Args:
        days: the thread's retention; 0 is for ever.
        asked: when its sender lets it expire, where they do.
    """
    ends = [asked] if asked is not None else []
    if days:
        ends.append(now + span(days))
    return min(ends, default=None)


async def shorten(work: Work, thread_id: UUID, days: int) -> None:
    """Let messages expire as a new policy says; none is kept for longer than was promised."""
    await work.session.execute(
        update(Message)
        .where(Message.thread_id == thread_id, Message.erased_at.is_(None))
        .values(expires_at=func.least(Message.expires_at, Message.received_at + span(days)))
        .execution_options(synchronize_session=False)
    )
