"""Guesses at the date of birth that goes with a number, counted before they are answered.

A French number holds the year and the month, so 31 tries would find the day. Each attempt of a
professional is counted, for the patient named and for all patients together, in a transaction that
a refusal does not undo; it is the same whether the number exists or not. Others who name the same
patient are never kept waiting: an emergency is not the moment for somebody else's slips.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC

from sqlalchemy import exists, func, select

from carnet.access.journal_tables import TechnicalEvent
from carnet.access.locating import PatientReference
from carnet.access.technical import note_technical
from carnet.errors import NotFound, RateLimited, Refusal
from carnet.people.actions import Gate
from carnet.people.actor import Actor, Professional, actor_key
from carnet.people.identifiers import spellings
from carnet.values import Identifier

PATIENT_GUESSED = "PATIENT_GUESSED"  # kind of the technical event; details: failed, in an hour
TOLD_AT = 60  # patients not found in an hour, whoever they are; one refusal tells as well


@asynccontextmanager
async def counted(actor: Actor, gate: Gate, patient: PatientReference) -> AsyncIterator[None]:
    """Count the block as one attempt to find a patient, which it is not when it is refused before.

    Opens its own transactions, before the block and after: call it outside any.

    Args:
        actor: who looks; only professionals find anybody, and are counted.
        gate: counts.
        patient: whom the block locates, in a transaction of its own.

    Raises:
        RateLimited: the professional must wait; the block is not entered.
    """
    if not isinstance(actor, Professional):
        yield
        return
    name = _counted_as(patient.identifier)
    try:
        attempt_id = await gate.attempts.begin_signed_in(name, actor.account_id)
    except RateLimited:
        await _report(actor, gate, is_refused=True)
        raise
    try:
        yield
    except NotFound:
        await _report(actor, gate)
        raise
    except Refusal:
        async with gate.database.write() as work:
            await gate.attempts.withdraw(work, attempt_id)
        raise
    async with gate.database.write() as work:
        await gate.attempts.succeed(work, attempt_id)


async def _report(actor: Professional, gate: Gate, *, is_refused: bool = False) -> None:
    """Tell operators of many failures, once an hour of the clock; no patient is named."""
    key = actor_key(actor)
    async with gate.database.write() as work:
        await work.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"guesses:{key}", 0)))
        )
        failed = await gate.attempts.failed(work, actor.account_id)
        hour = work.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        told = exists().where(
            TechnicalEvent.kind == PATIENT_GUESSED,
            TechnicalEvent.actor == key,
            TechnicalEvent.at >= hour,
        )
        if (is_refused or failed >= TOLD_AT) and not await work.session.scalar(select(told)):
            await note_technical(work, PATIENT_GUESSED, actor, {"failed": failed})


def _counted_as(identifier: Identifier) -> str:
    """Return the name under which attempts on a number are counted, however it is spelt."""
    form = spellings(identifier)[0]
    return f"patient {form.system} {form.value}"[:1000]
