"""Opening threads, changing who is in them, closing them: the control log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.errors import Conflict, StaleControlHead, ThreadClosed, ValidationFailed
from carnet.messaging import company, control_log
from carnet.messaging.accounts import require_own
from carnet.messaging.device_clocks import check_clock
from carnet.messaging.retention import shorten
from carnet.messaging.tables import (
    ControlEntry,
    MessagingAccount,
    Thread,
    ThreadMember,
    ThreadRole,
    ThreadState,
)
from carnet.messaging.telling import ThreadEventKind, tell
from carnet.messaging.thread_log import columns_of, rebuild
from carnet.messaging.threads import locked
from carnet.messaging.usage import count
from carnet.messaging.wraps import GivenWrap, check_history, check_recipients, keep, own_wraps
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.control import ControlEntry as SignedEntry
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Create
from carnet_crypto.errors import ProtocolError, Reason, Refused
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.thread import check_keys, check_wraps
from carnet_crypto.values import AccountId

MOST_CONTROL_ENTRIES = 10_000  # of one thread


async def open_thread(actor: Actor, work: Work, data: bytes, wraps: Sequence[GivenWrap]) -> UUID:
    """Begin a thread with its CREATE entry.

    Raises:
        NotFound: the author is not the actor's to act with, or a member is not theirs to see.
        NotAllowedToOpen: the rules refuse such a thread.
        ValidationFailed: the entry or a wrap does not hold.
        Conflict: the thread is there already.
        QuotaExceeded: too many were opened today.
    """
    entry = _read(data, work.now)
    if not isinstance(entry.body, Create):
        raise ValidationFailed("A thread begins with CREATE.", path=("entry",))
    author = await require_own(actor, work, bytes(entry.author))
    members = [joined.account for joined in entry.body.members]
    rows = await company.require_all(actor, work, {*members, entry.author})
    accounts = await company.accounts_of(work, rows.values())
    roles = {joined.account: joined.role for joined in entry.body.members}
    named = await company.represented(work, entry.author, roles, rows, entry.body.policy)
    try:
        thread = ThreadLog.begin(data, accounts[entry.author], represented=named.values())
        check_keys(entry.body.rotation, accounts)
        check_recipients(entry.body.rotation, thread, accounts, work.now)
        check_wraps(entry.body.rotation, own_wraps(wraps))
    except ProtocolError as error:
        raise _refusal(error) from None
    if any(wrap.epoch is not None for wrap in wraps):
        raise ValidationFailed("A new thread has no older epochs.", path=("wraps",))
    acting = company.acting_for(entry.author, roles, named)
    person_id = await company.check_opening(actor, work, thread, rows, acting)
    taken = select(Thread.id).where(Thread.thread_id == bytes(thread.id))
    if await work.session.scalar(taken) is not None:
        raise Conflict("The thread is there already.")
    await count(work, author.id, threads=1)
    row = Thread(
        id=work.new_id(),
        thread_id=bytes(thread.id),
        state=ThreadState.OPEN,
        person_id=person_id,
        created_at=work.now,
        last_activity_at=work.now,
        **columns_of(thread),
    )
    work.session.add(row)
    await work.session.flush()
    await _set_members(work, row.id, thread, rows)
    await _keep(work, row.id, 0, author.id, data, 1, wraps, rows)
    return row.id


async def append_control(
    actor: Actor, work: Work, thread_id: bytes, data: bytes, wraps: Sequence[GivenWrap]
) -> UUID:
    """Add the next entry to a thread's control log.

    Raises:
        NotFound: the thread is not the actor's to see, or somebody new is not.
        StaleControlHead: the log has grown.
        ThreadClosed: nothing more is written in it.
        ValidationFailed: the entry or a wrap does not hold.
        NotAllowedToOpen: the rules refuse a thread with these members.
    """
    entry = _read(data, work.now)
    row = await locked(actor, work, thread_id)
    author = await require_own(actor, work, bytes(entry.author))
    if row.state is ThreadState.CLOSED:
        raise ThreadClosed()
    if entry.number != row.control_number + 1 or bytes(entry.link) != row.control_head:
        await _refuse_stale(work, row, entry)
    if row.control_number + 1 >= MOST_CONTROL_ENTRIES:
        raise ValidationFailed("The thread's log is full; open another.", path=("entry",))
    rotation = entry.rotation
    try:
        before = await rebuild(work, row)
        ids = {entry.author, *before.members}
        ids |= {member.account for member in rotation.members} if rotation else set()
        rows = await company.require_all(actor, work, ids, row.id)
        asked = ids if rotation else {entry.author}
        accounts = await company.accounts_of(work, [rows[id_] for id_ in asked])
        roles = {id_: member.role for id_, member in before.members.items()}
        named = await company.represented(work, entry.author, roles, rows, before.policy)
        thread = before.extend(data, accounts[entry.author], represented=named.values())
        if rotation is not None:
            check_keys(rotation, accounts)
            check_recipients(rotation, thread, accounts, work.now)
            check_wraps(rotation, own_wraps(wraps))
        elif any(wrap.epoch is None for wrap in wraps):
            raise Refused(Reason.INCOMPLETE_WRAPS)
    except ProtocolError as error:
        raise _refusal(error) from None
    check_history(wraps, before, thread)
    acting = company.acting_for(entry.author, roles, named)
    person_id = await company.check_joining(actor, work, row, before, thread, rows, acting, entry)
    ended_by = rows[acting].id
    closing = {"state": ThreadState.CLOSED, "closed_at": work.now, "closed_by": ended_by}
    await work.session.execute(
        update(Thread)
        .where(Thread.id == row.id)
        .values(
            **columns_of(thread),
            person_id=person_id,
            epoch_messages=0 if rotation else Thread.epoch_messages,
            last_activity_at=work.now,
            **(closing if thread.is_closed else {}),
        )
    )
    await _set_members(work, row.id, thread, rows)
    if thread.policy.retention_days and thread.policy != before.policy:
        await shorten(work, row.id, thread.policy.retention_days)
    epoch = thread.epoch.number
    await _keep(work, row.id, thread.number, author.id, data, epoch, wraps, rows)
    return row.id


async def _refuse_stale(work: Work, row: Thread, entry: SignedEntry) -> None:
    """Say what the log has that the client does not know.

    Raises:
        StaleControlHead: with what follows the last entry that both can know.
    """
    known = min(entry.number - 1, row.control_number)
    if entry.number > row.control_number or known == row.control_number:
        known = max(row.control_number - 1, -1)  # it links to another entry than ours
    raise StaleControlHead(
        number=row.control_number, entries=tuple(await control_log.after(work, row.id, known))
    )


async def _keep(
    work: Work,
    thread: UUID,
    number: int,
    author: UUID,
    data: bytes,
    epoch: int,
    wraps: Sequence[GivenWrap],
    rows: Mapping[AccountId, MessagingAccount],
) -> None:
    """Store an entry with its wraps, and tell the members."""
    id_ = work.new_id()
    await work.session.execute(
        insert(ControlEntry).values(
            thread_id=thread,
            number=number,
            id=id_,
            account_id=author,
            epoch=epoch,
            data=data,
            at=work.now,
        )
    )
    await keep(work, thread, epoch, wraps, rows)
    await tell(work, thread, ThreadEventKind.CONTROL, id_)


async def _set_members(
    work: Work, thread_id: UUID, thread: ThreadLog, rows: Mapping[AccountId, MessagingAccount]
) -> None:
    """Make the rows of members what the log says."""
    standing = {rows[id_].id: m for id_, m in thread.members.items()}
    await work.session.execute(
        update(ThreadMember)
        .where(
            ThreadMember.thread_id == thread_id,
            ThreadMember.account_id.not_in(standing),
            ThreadMember.left_at.is_(None),
        )
        .values(left_at=work.now)
    )
    statement = upsert(ThreadMember)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[ThreadMember.thread_id, ThreadMember.account_id],
            set_={
                "role": statement.excluded.role,
                "joined_in": statement.excluded.joined_in,
                "history_from": statement.excluded.history_from,
                "joined_at": case(
                    (ThreadMember.left_at.is_(None), ThreadMember.joined_at),
                    else_=statement.excluded.joined_at,
                ),
                "left_at": None,
            },
        ),
        [
            {
                "thread_id": thread_id,
                "account_id": id_,
                "role": ThreadRole[member.role.name],
                "joined_in": member.joined_in,
                "history_from": member.history_from,
                "joined_at": work.now,
            }
            for id_, member in standing.items()
        ],
    )


def _read(data: bytes, now: datetime) -> SignedEntry:
    try:
        entry = read_control(data)
    except ProtocolError as error:
        raise _refusal(error) from None
    check_clock(entry.at, now, "entry")
    return entry


def _refusal(error: ProtocolError) -> ValidationFailed:
    if isinstance(error, Refused) and error.reason is Reason.NOT_AUTHORIZED:
        return ValidationFailed("In this conversation that is not yours to do.", path=("entry",))
    return ValidationFailed(f"It does not hold: {error}.", path=("entry",))
