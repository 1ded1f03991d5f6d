"""A thread as the protocol knows it, built from what the relay keeps, and back into columns.

Nothing is replayed: what is built from was verified when it was written, entry by entry, under the
lock of the thread's row. Of the epochs only the newest is built, which is all that a further entry
follows, so an entry costs the same however long the log is.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from carnet.messaging.tables import (
    ControlEntry,
    MessagingAccount,
    Thread,
    ThreadMember,
    ThreadRole,
)
from carnet.store.database import Work
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Policy
from carnet_crypto.errors import Malformed
from carnet_crypto.kinds import Role
from carnet_crypto.thread import Epoch, Member
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.values import AccountId, Digest, ThreadId
from carnet_crypto.wire import Reader


async def rebuild(work: Work, row: Thread) -> ThreadLog:
    """Return the thread that a further entry extends. The caller holds its row.

    Raises:
        Malformed: what is kept is not what was taken.
    """
    begun = select(ControlEntry.data).where(
        ControlEntry.thread_id == row.id, ControlEntry.number == row.epoch_entry
    )
    entry = read_control((await work.session.scalars(begun)).one())
    if entry.rotation is None:
        raise Malformed("an epoch begins with a rotation")
    statement = (
        select(
            MessagingAccount.account_id,
            ThreadMember.role,
            ThreadMember.joined_in,
            ThreadMember.history_from,
        )
        .join(MessagingAccount, MessagingAccount.id == ThreadMember.account_id)
        .where(ThreadMember.thread_id == row.id, ThreadMember.left_at.is_(None))
    )
    members = {}
    for account_id, role, joined_in, history_from in await work.session.execute(statement):
        id_ = AccountId(account_id)
        members[id_] = Member(id_, Role[ThreadRole(role).name], joined_in, history_from)
    return ThreadLog(
        id=ThreadId(row.thread_id),
        creator=AccountId(row.creator),
        context=Digest(row.context),
        policy=read_policy(row.policy),
        members=MappingProxyType(members),
        epochs=(Epoch(row.epoch, entry.rotation, row.epoch_entry, entry.at),),
        number=row.control_number,
        head=Digest(row.control_head),
        at=row.controlled_at,
        has_left=row.has_left,
        is_closed=row.closed_at is not None,
    )


def read_policy(data: bytes) -> Policy:
    """Read a policy as it is kept."""
    reader = Reader(data)
    policy = Policy.read(reader)
    reader.end()
    return policy


def columns_of(thread: ThreadLog) -> dict[str, Any]:
    """Return the columns of a thread that its control log decides."""
    return {
        "context": bytes(thread.context),
        "creator": bytes(thread.creator),
        "policy": thread.policy.encode(),
        "is_delegation_allowed": thread.policy.is_delegation_allowed,
        "control_number": thread.number,
        "control_head": bytes(thread.head),
        "controlled_at": thread.at,
        "epoch": thread.epoch.number,
        "epoch_entry": thread.epoch.entry,
        "has_left": thread.has_left,
        "retention_days": thread.policy.retention_days,
    }
