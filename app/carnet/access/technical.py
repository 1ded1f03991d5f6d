"""The technical log: what operators need to know and no holder does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carnet.access.journal_tables import TechnicalEvent
from carnet.people.actor import Actor, actor_key
from carnet.store.database import Work


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
