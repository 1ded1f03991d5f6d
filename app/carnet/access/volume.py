"""The volume alarm: how many different patients an account reached in the last hour.

`reached` is called with the records of an answer before it leaves; see `volume_rules` for what
follows. What a subscription tells by itself is not counted: nobody reached for it, and a laboratory
that sends the results of a whole practice would shut the practice out. To follow a record counts,
and so does what a selection reads on from an event. Operators are told of the account, never of a
patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert

from carnet.access.tables import Reach
from carnet.access.technical import note_technical
from carnet.access.volume_rules import (
    FREE,
    WINDOW,
    Pace,
    hour_of,
    most,
    pace,
    plausible_volume,
)
from carnet.errors import RateLimited
from carnet.notifications.actions import notify
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import Actor, Professional
from carnet.people.tables import Organization
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Database, Work

VOLUME_ALARM = "VOLUME_ALARM"  # kind of the technical event; details: count, plausible

NOTED_EVERY = timedelta(minutes=1)  # reading on in one record writes no oftener
PRUNE_JOB = "access.prune-reaches"
PRUNE_EVERY = timedelta(minutes=15)


async def reached(
    actor: Actor, work: Work, record_ids: Collection[UUID], *, is_emergency: bool = False
) -> Pace:
    """Count the records that a professional is about to be shown, and return what follows.

    The requests of one account go one after the other from here until their transactions end,
    so none is missed in the count. Call it first in the transaction that writes the journal, and
    before the answer leaves. A refused request reaches nothing and is not counted, but its
    transaction must be committed, for the alarm is in it.

    Args:
        actor: who reads; only professionals are counted.
        work: a write.
        record_ids: whose content the answer holds.
        is_emergency: they are reached in an emergency, which is counted and reported, but
            neither slowed nor refused.
    """
    if not isinstance(actor, Professional) or not record_ids:
        return FREE
    ids = sorted(set(record_ids))
    await work.session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"reach:{actor.account_id}", 0)))
    )
    plausible = await _plausible(actor, work)
    recent, known = await _counts(actor, work, ids, most(plausible))
    count = recent + len(ids) - known
    found = pace(count, plausible, len(ids) - known)
    if is_emergency:
        found = Pace(is_alarm=found.is_alarm)
    if found.is_refused:
        found = Pace(is_alarm=True, is_refused=True, retry_after=await _wait(actor, work))
    else:
        await _note(actor, work, ids)
    if found.is_alarm:
        await _report(actor, work, count, plausible)
    return found


async def keep(pace: Pace) -> None:
    """Wait as long as the pace asks for; call it when the transaction is over.

    Raises:
        RateLimited: nothing is to leave.
    """
    if pace.is_refused:
        raise RateLimited(
            "Far more patients were reached than your profession needs.",
            retry_after=pace.retry_after,
        )
    if pace.delay_seconds:
        await asyncio.sleep(pace.delay_seconds)


async def _plausible(actor: Professional, work: Work) -> int:
    statement = (
        select(
            ProfessionalRow.profession_code,
            ProfessionalRow.speciality_code,
            func.coalesce(Organization.is_regulation_centre, False),
        )
        .join(Organization, Organization.id == ProfessionalRow.organization_id, isouter=True)
        .where(ProfessionalRow.id == actor.professional_id)
    )
    profession, speciality, regulates = (await work.session.execute(statement)).one()
    return plausible_volume(profession, speciality, regulates=regulates)


async def _counts(
    actor: Professional, work: Work, ids: Collection[UUID], limit: int
) -> tuple[int, int]:
    """Return how many records the account reached within the hour, and how many of these ids.

    Counting the first stops at the limit.
    """
    theirs = (Reach.account_id == actor.account_id, Reach.last_at > work.now - WINDOW)
    recent = select(Reach.record_id).where(*theirs).limit(limit).subquery()
    known = select(func.count()).where(*theirs, Reach.record_id.in_(ids)).scalar_subquery()
    counted = select(func.count(), known).select_from(recent)
    reached_recently, reached_before = (await work.session.execute(counted)).one()
    return reached_recently, reached_before


async def _note(actor: Professional, work: Work, ids: Collection[UUID]) -> None:
    adding = insert(Reach)
    later = adding.on_conflict_do_update(
        index_elements=[Reach.account_id, Reach.record_id],
        set_={"last_at": adding.excluded.last_at},
        where=Reach.last_at < work.now - NOTED_EVERY,
    )
    rows = [{"account_id": actor.account_id, "record_id": id_, "last_at": work.now} for id_ in ids]
    await work.session.execute(later, rows)


async def _wait(actor: Professional, work: Work) -> int:
    """Return in how many seconds the first of the hour's records has left it."""
    first = select(func.min(Reach.last_at)).where(
        Reach.account_id == actor.account_id, Reach.last_at > work.now - WINDOW
    )
    oldest = await work.session.scalar(first)
    left = (oldest + WINDOW - work.now) if oldest is not None else WINDOW
    return max(int(left.total_seconds()) + 1, 1)


async def _report(actor: Professional, work: Work, count: int, plausible: int) -> None:
    """Tell operators, once an hour; the account's lock keeps two requests from telling twice."""
    subject = hour_of(actor.account_id, work.now)
    told = exists().where(
        Notification.person_id.is_(None),
        Notification.professional_id.is_(None),
        Notification.kind == NotificationKind.VOLUME_ALARM,
        Notification.subject_id == subject,
    )
    if await work.session.scalar(select(told)):
        return
    await note_technical(work, VOLUME_ALARM, actor, {"count": count, "plausible": plausible})
    await notify(work, NotificationKind.VOLUME_ALARM, subject)


async def prune(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Forget what is over an hour old: a repeating job. Returns when to do it again."""
    async with database.write() as work:
        await work.session.execute(delete(Reach).where(Reach.last_at <= work.now - WINDOW))
        return work.now + PRUNE_EVERY
