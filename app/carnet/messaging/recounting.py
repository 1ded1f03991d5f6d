"""What is written down and told of accounts: to the journal, and to whose they are."""

from __future__ import annotations

from sqlalchemy import ColumnElement, any_, literal, or_, select

from carnet.access.facts import RECORDS
from carnet.access.journal import Fact, JournalAction, ObjectKind, behalf, write
from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.access.technical import note_technical
from carnet.messaging.tables import MessagingAccount
from carnet.notifications.actions import Notice, notify, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Patient
from carnet.store.database import Work

_RULES = {
    DelegationKind.PARENT: "delegate.parent",
    DelegationKind.CAREGIVER: "delegate.caregiver",
}


async def note(actor: Actor, work: Work, row: MessagingAccount, action: JournalAction) -> None:
    """Write a change or an access down: in the record of whose account it is.

    Who has no record, professionals and organizations, is in the technical log.
    """
    record_id = None
    if row.person_id is not None:
        record_id = await work.session.scalar(
            select(RECORDS.c.id).where(
                RECORDS.c.person_id == row.person_id, RECORDS.c.state != "DELETED"
            )
        )
    if row.person_id is None or record_id is None:
        await note_technical(work, action.value, actor, {"account": str(row.id)})
        return
    fact = Fact(
        record_id,
        action,
        await _rule(actor, work, row),
        ObjectKind.MESSAGING_ACCOUNT,
        (row.id,),
        behalf(actor, row.person_id),
    )
    await write(actor, work, [fact])


async def _rule(actor: Actor, work: Work, row: MessagingAccount) -> str:
    if not isinstance(actor, Patient) or actor.person_id == row.person_id:
        return "holder"
    kinds = select(Delegation.kind).where(
        Delegation.delegate_person_id == actor.person_id, *_in_force(row, work)
    )
    found = set(await work.session.scalars(kinds))
    is_parent = DelegationKind.PARENT in found
    return _RULES[DelegationKind.PARENT if is_parent else DelegationKind.CAREGIVER]


async def tell_owner(work: Work, row: MessagingAccount, kind: NotificationKind) -> None:
    """Tell whose account it is, and whoever acts for them in messages.

    The colleagues of an organization or a team are not: their clients see it in the chain.
    """
    subject_id = work.new_id()
    if row.professional_id is not None:
        await notify(work, kind, subject_id, professional_id=row.professional_id)
    if row.person_id is not None:
        acting = select(Delegation.delegate_person_id).where(
            Delegation.delegate_person_id.is_not(None), *_in_force(row, work)
        )
        delegates = {id_ for id_ in await work.session.scalars(acting) if id_ is not None}
        told = [row.person_id, *sorted(delegates - {row.person_id})]
        await notify_all(work, [Notice(person_id, kind, subject_id) for person_id in told])


def _in_force(row: MessagingAccount, work: Work) -> tuple[ColumnElement[bool], ...]:
    return (
        Delegation.holder_person_id == row.person_id,
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
        literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
    )
