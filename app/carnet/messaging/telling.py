"""What happens in a thread, as events: in its own stream, and in the inboxes of who takes part.

They are hints: what happened is in the thread, and is read there by whoever comes later. A stream
that nobody has followed yet costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, any_, literal, or_, select, union_all

from carnet.access.tables import Delegation, DelegationScope
from carnet.messaging.tables import (
    MessagingAccount,
    MessagingMandate,
    Thread,
    ThreadMember,
)
from carnet.messaging.taking_part import holds
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.store.events import NewEvent


class ThreadEventKind(StrEnum):
    """What happened in a thread."""

    MESSAGE = "THREAD_MESSAGE"
    CONTROL = "THREAD_CONTROL"
    ERASED = "THREAD_ERASED"
    READ = "THREAD_READ"  # told to who read it, on their other devices


async def tell(work: Work, thread_id: UUID, kind: ThreadEventKind, subject_id: UUID) -> None:
    """Tell whoever follows the thread, and whoever a member's account is for."""
    await tell_all(work, {thread_id: [subject_id]}, kind)


async def tell_all(work: Work, subjects: dict[UUID, list[UUID]], kind: ThreadEventKind) -> None:
    """Tell of several things of a kind, by their threads."""
    inboxes = await recipients(work, list(subjects))
    for thread_id, subject_ids in subjects.items():
        for subject_id in subject_ids:
            add(work, thread_id, inboxes[thread_id], kind, subject_id)


def add(
    work: Work,
    thread_id: UUID,
    inboxes: Collection[UUID],
    kind: ThreadEventKind,
    subject_id: UUID,
) -> None:
    """Add an event to the transaction."""
    streams = (thread_id, *sorted(inboxes))
    work.events.append(NewEvent(work.new_id(), streams, kind.value, subject_id, is_hint=True))


async def recipients(work: Work, thread_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Return the persons and professionals who act with the accounts of threads' members."""
    found: dict[UUID, set[UUID]] = defaultdict(set)
    statement = taking_part(work.now, list(thread_ids))
    for row in await work.session.execute(statement):
        found[row[0]].add(row[1])
    return found


def taking_part(now: datetime, thread_ids: list[UUID]) -> Select[UUID, UUID, bool, bool]:
    """Return (thread, person or professional, whether a person, whether they are told outside).

    What each is told is decided when it is told. All who work at an organization are told in the
    app; outside of it, of what comes to its accounts, only who is on the account's roster.
    """
    standing = (
        select(
            ThreadMember.thread_id,
            MessagingAccount.id,
            MessagingAccount.person_id,
            MessagingAccount.professional_id,
            MessagingAccount.organization_id,
            Thread.is_delegation_allowed,
        )
        .join(MessagingAccount, MessagingAccount.id == ThreadMember.account_id)
        .join(Thread, Thread.id == ThreadMember.thread_id)
        .where(ThreadMember.thread_id.in_(thread_ids), ThreadMember.left_at.is_(None))
        .cte("standing")
    )
    thread_id = standing.c.thread_id
    own = MessagingAccount.__table__.alias()
    rostered = MessagingMandate.__table__.alias()
    in_force = (
        standing.c.is_delegation_allowed,
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > now),
        literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        Delegation.delegate_person_id.is_not(None),
    )
    is_rostered = (
        select(rostered.c.who)
        .join(own, own.c.account_id == rostered.c.who)
        .where(
            rostered.c.account_id == standing.c.id,
            own.c.professional_id == ProfessionalRow.id,
        )
        .correlate(standing, ProfessionalRow)
        .exists()
    )
    told = union_all(
        select(thread_id, standing.c.person_id.label("reader"), literal(True), literal(True)).where(
            standing.c.person_id.is_not(None)
        ),
        select(thread_id, standing.c.professional_id, literal(False), literal(True)).where(
            standing.c.professional_id.is_not(None)
        ),
        select(thread_id, ProfessionalRow.id, literal(False), is_rostered).join(
            standing, standing.c.organization_id == ProfessionalRow.organization_id
        ),
        select(thread_id, Delegation.delegate_person_id, literal(True), literal(True))
        .join(standing, standing.c.person_id == Delegation.holder_person_id)
        .where(*in_force),
        select(thread_id, own.c.professional_id, literal(False), literal(True))
        .select_from(standing)
        .join(MessagingMandate, MessagingMandate.account_id == standing.c.id)
        .join(own, own.c.account_id == MessagingMandate.who)
        .where(
            standing.c.is_delegation_allowed,
            MessagingMandate.is_delegation,
            holds(MessagingMandate, now),
            own.c.professional_id.is_not(None),
        ),
    ).subquery("told")
    columns = list(told.c)
    return select(columns[0], columns[1], columns[2], columns[3])
