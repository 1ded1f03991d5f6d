"""What devices of one person leave for each other while they are paired; for ten minutes.

The server cannot read it: what protects it is the protocol's pairing, not this mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from carnet.errors import QuotaExceeded, ValidationFailed
from carnet.messaging.rules import denied
from carnet.messaging.tables import PairingMessage
from carnet.people.actor import Actor, Anonymous, Patient, Professional, actor_key
from carnet.store.database import Database, Work

LIFE = timedelta(minutes=10)
MOST_MESSAGES = 8  # of one person: a pairing takes four
MOST_BYTES = 4096  # of one message
FORGET_JOB = "pairing.forget"


async def post(actor: Actor, work: Work, data: bytes) -> int:
    """Leave a message for another device of the same person; return its number.

    Raises:
        AccessDenied: the actor is nobody who has devices.
        ValidationFailed: it is too long.
        QuotaExceeded: too many are left; they go after ten minutes.
    """
    if not isinstance(actor, Patient | Professional | Anonymous):
        raise denied("messaging.no-owner")
    owner = actor_key(actor)
    if not 1 <= len(data) <= MOST_BYTES:
        raise ValidationFailed(f"A pairing message has 1 to {MOST_BYTES} bytes.", path=("message",))
    await work.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner, 7))))
    await _forget(work)
    standing = select(func.count(), func.max(PairingMessage.number)).where(
        PairingMessage.owner == owner
    )
    count, last = (await work.session.execute(standing)).one()
    if count >= MOST_MESSAGES:
        raise QuotaExceeded("Too many messages of a pairing; begin again in ten minutes.")
    number = int(last or 0) + 1
    work.session.add(PairingMessage(owner=owner, number=number, data=data, at=work.now))
    return number


async def left(actor: Actor, work: Work, after: int) -> list[PairingMessage]:
    """Return what the devices of the actor have left for each other after a number.

    Raises:
        Unauthenticated: nobody has signed in.
    """
    statement = (
        select(PairingMessage)
        .where(
            PairingMessage.owner == actor_key(actor),
            PairingMessage.number > after,
            PairingMessage.at >= work.now - LIFE,
        )
        .order_by(PairingMessage.number)
        .limit(MOST_MESSAGES)
    )
    return list(await work.session.scalars(statement))


async def forget(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Delete what is over: a repeating job. Returns when to do it again."""
    async with database.write() as work:
        await _forget(work)
        return work.now + LIFE


async def _forget(work: Work) -> None:
    await work.session.execute(delete(PairingMessage).where(PairingMessage.at < work.now - LIFE))
