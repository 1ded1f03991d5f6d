"""What happens in a thread, as events: in its own stream, and in the inboxes of its members."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy import any_, literal, or_, select, union_all

from carnet.access.tables import Delegation, DelegationScope
from carnet.messaging.tables import MessagingAccount, ThreadMember
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.store.events import NewEvent


class ThreadEventKind(StrEnum):
    """What happened in a thread."""

    MESSAGE = "THREAD_MESSAGE"
    CONTROL = "THREAD_CONTROL"
    ERASED = "THREAD_ERASED"


async def tell(work: Work, thread_id: UUID, kind: ThreadEventKind, subject_id: UUID) -> None:
    """Tell whoever follows the thread, and whoever a member's account is for."""
    streams = (thread_id, *sorted(await recipients(work, thread_id)))
    work.events.append(NewEvent(work.new_id(), streams, kind.value, subject_id))


async def recipients(work: Work, thread_id: UUID) -> set[UUID]:
    """Return the persons and professionals who act with the accounts of a thread's members."""
    standing = (
        select(
            MessagingAccount.person_id,
            MessagingAccount.professional_id,
            MessagingAccount.organization_id,
        )
        .join(ThreadMember, ThreadMember.account_id == MessagingAccount.id)
        .where(ThreadMember.thread_id == thread_id, ThreadMember.left_at.is_(None))
        .subquery()
    )
    in_force = (
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
        literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        Delegation.delegate_person_id.is_not(None),
    )
    statement = union_all(
        select(standing.c.person_id).where(standing.c.person_id.is_not(None)),
        select(standing.c.professional_id).where(standing.c.professional_id.is_not(None)),
        select(ProfessionalRow.id).join(
            standing, standing.c.organization_id == ProfessionalRow.organization_id
        ),
        select(Delegation.delegate_person_id)
        .join(standing, standing.c.person_id == Delegation.holder_person_id)
        .where(*in_force),
    )
    return set(await work.session.scalars(statement))
