"""The technical log: what operators need to know and no holder does; kept for a year.

The access journal is another class: it is kept as long as its record, and its ids after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete

from carnet.access.journal_tables import TechnicalEvent
from carnet.people.actor import Actor, actor_key
from carnet.store.database import Database, Work

KEPT = timedelta(days=365)
FORGET_JOB = "access.forget-technical-events"
FORGET_EVERY = timedelta(hours=6)


async def note_technical(work: Work, kind: str, actor: Actor, details: Mapping[str, Any]) -> None:
    """Write down an event, in the transaction of what it tells of.

    Args:
        work: the transaction.
        kind: what happened.
        actor: who did it.
        details: codes, counts and ids; no name, no text, nothing of health.

    Raises:
        Unauthenticated: nobody has signed in.
    """
    work.session.add(
        TechnicalEvent(
            id=work.new_id(),
            at=work.now,
            kind=kind,
            actor=actor_key(actor),
            details=dict(details),
        )
    )
    await work.session.flush()


async def forget(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Forget what was kept for long enough: a repeating job. Returns when to do it again."""
    async with database.write() as work:
        await work.session.execute(
            delete(TechnicalEvent).where(TechnicalEvent.at <= work.now - KEPT)
        )
        return work.now + FORGET_EVERY
