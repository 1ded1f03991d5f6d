"""Opening threads, changing who is in them, closing them: the control log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.errors import (
    Conflict,
    NotAllowedToOpen,
    NotFound,
    StaleControlHead,
    ThreadClosed,
    ValidationFailed,
)
from carnet.messaging import facts
from carnet.messaging.account_actions import CLOCK_SKEW
from carnet.messaging.accounts import require_own, visible_to
from carnet.messaging.chains import states
from carnet.messaging.rules import Party, composition, opening
from carnet.messaging.tables import (
    ControlEntry,
    EpochWrap,
    MessagingAccount,
    Thread,
    ThreadMember,
    ThreadRole,
    ThreadState,
)
from carnet.messaging.telling import ThreadEventKind, tell
from carnet.messaging.threads import require
from carnet.messaging.usage import count
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.control import (
    ControlEntry as SignedEntry,
)
from carnet_crypto.control import (
    Create,
    Wrap,
    WrapFor,
    read_control,
)
from carnet_crypto.errors import ProtocolError, Reason, Refused
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.thread import check_keys, check_wraps
from carnet_crypto.values import AccountId

MOST_CONTROL_ENTRIES = 10_000  # of one thread
MOST_HISTORY = 2000  # older epochs' wraps in one call


@dataclass(frozen=True, slots=True)
class GivenWrap:
    """An epoch's secret, sealed for an account; ``epoch`` None is the entry's own."""

    account: bytes
    wrap: bytes
    epoch: int | None = None


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
    rows = await _rows(actor, work, members)
    accounts = await _accounts(work, rows.values())
    try:
        thread = ThreadLog.begin(data, accounts[entry.author])
        check_keys(entry.body.rotation, accounts)
        check_wraps(entry.body.rotation, _own_wraps(wraps))
    except ProtocolError as error:
        raise _refusal(error) from None
    parties = [
        Party(rows[m.account].id, rows[m.account].kind, ThreadRole[m.role.name])
        for m in thread.members.values()
    ]
    patient = _patient(parties, rows.values())
    known = await facts.about(actor, work, patient, list(rows.values()))
    opener = next(party for party in parties if party.account == author.id)
    is_allowed, rule = opening(parties, opener, known)
    if not is_allowed:
        raise NotAllowedToOpen(rule)
    taken = select(Thread.id).where(Thread.thread_id == bytes(thread.id))
    if await work.session.scalar(taken) is not None:
        raise Conflict("The thread is there already.")
    await count(work, author.id, threads=1)
    row = Thread(
        id=work.new_id(),
        thread_id=bytes(thread.id),
        state=ThreadState.OPEN,
        person_id=patient.person_id if patient else None,
        control_number=0,
        control_head=bytes(thread.head),
        epoch=1,
        retention_days=thread.policy.retention_days,
        created_at=work.now,
        last_activity_at=work.now,
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
        NotFound: the thread is not the actor's to see.
        StaleControlHead: the log has grown.
        ThreadClosed: nothing more is written in it.
        ValidationFailed: the entry or a wrap does not hold.
        NotAllowedToOpen: the rules refuse a thread with these members.
    """
    row = await require(actor, work, thread_id)
    row = (
        await work.session.scalars(
            select(Thread)
            .where(Thread.id == row.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()
    entry = _read(data, work.now)
    author = await require_own(actor, work, bytes(entry.author))
    if row.state is ThreadState.CLOSED:
        raise ThreadClosed()
    if entry.number != row.control_number + 1 or bytes(entry.link) != row.control_head:
        raise StaleControlHead(number=row.control_number)
    log = list(
        await work.session.scalars(
            select(ControlEntry.data)
            .where(ControlEntry.thread_id == row.id)
            .order_by(ControlEntry.number)
        )
    )
    if len(log) >= MOST_CONTROL_ENTRIES:
        raise ValidationFailed("The thread's log is full; open another.", path=("entry",))
    rotation = entry.rotation
    ids = {read_control(each).author for each in log} | {entry.author}
    ids |= {member.account for member in rotation.members} if rotation else set()
    standing = select(MessagingAccount.account_id).join(
        ThreadMember, ThreadMember.account_id == MessagingAccount.id
    )
    members = standing.where(ThreadMember.thread_id == row.id, ThreadMember.left_at.is_(None))
    ids |= {AccountId(id_) for id_ in await work.session.scalars(members)}
    rows = await _rows(actor, work, ids, row.id)
    accounts = await _accounts(work, rows.values())
    try:
        before = _replay(log, accounts)
        thread = before.extend(data, accounts[entry.author])
        if rotation is not None:
            check_keys(rotation, accounts)
            check_wraps(rotation, _own_wraps(wraps))
        elif any(wrap.epoch is None for wrap in wraps):
            raise Refused(Reason.INCOMPLETE_WRAPS)
    except ProtocolError as error:
        raise _refusal(error) from None
    _check_history(wraps, before, thread)
    joined = set(thread.members) - set(before.members)
    if joined:
        await _check_composition(actor, work, thread, rows, before)
    await work.session.execute(
        update(Thread)
        .where(Thread.id == row.id)
        .values(
            control_number=thread.number,
            control_head=bytes(thread.head),
            epoch=thread.epoch.number,
            epoch_messages=0 if rotation else Thread.epoch_messages,
            has_left=thread.has_left,
            retention_days=thread.policy.retention_days,
            last_activity_at=work.now,
            **(
                {"state": ThreadState.CLOSED, "closed_at": work.now, "closed_by": author.id}
                if thread.is_closed
                else {}
            ),
        )
    )
    await _set_members(work, row.id, thread, rows)
    epoch = thread.epoch.number
    await _keep(work, row.id, thread.number, author.id, data, epoch, wraps, rows)
    return row.id


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
            thread_id=thread, number=number, id=id_, account_id=author, data=data, at=work.now
        )
    )
    if wraps:
        statement = upsert(EpochWrap)
        await work.session.execute(
            statement.on_conflict_do_update(
                index_elements=[EpochWrap.thread_id, EpochWrap.account_id, EpochWrap.epoch],
                set_={"data": statement.excluded.data},
            ),
            [
                {
                    "thread_id": thread,
                    "account_id": rows[AccountId(wrap.account)].id,
                    "epoch": wrap.epoch or epoch,
                    "data": wrap.wrap,
                }
                for wrap in wraps
            ],
        )
    await tell(work, thread, ThreadEventKind.CONTROL, id_)


async def _set_members(
    work: Work, thread_id: UUID, thread: ThreadLog, rows: Mapping[AccountId, MessagingAccount]
) -> None:
    """Make the rows of members what the log says."""
    standing = {rows[id_].id: ThreadRole[m.role.name] for id_, m in thread.members.items()}
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
            set_={"role": statement.excluded.role, "left_at": None},
        ),
        [
            {"thread_id": thread_id, "account_id": id_, "role": role, "joined_at": work.now}
            for id_, role in standing.items()
        ],
    )


async def _check_composition(
    actor: Actor,
    work: Work,
    thread: ThreadLog,
    rows: Mapping[AccountId, MessagingAccount],
    before: ThreadLog,
) -> None:
    """Refuse members who make of it a thread that nobody might have opened."""
    members = {id_: rows[id_] for id_ in thread.members}
    parties = [
        Party(members[id_].id, members[id_].kind, ThreadRole[m.role.name])
        for id_, m in thread.members.items()
    ]
    patient = _patient(parties, members.values())
    known = await facts.about(actor, work, patient, list(members.values()))
    broken = composition(parties, rows[before.creator].id, known)
    if broken is not None:
        raise NotAllowedToOpen(broken)


def _patient(
    parties: Collection[Party], rows: Collection[MessagingAccount]
) -> MessagingAccount | None:
    """Return the account of the one patient; where there are several, one of them."""
    patients = {
        party.account
        for party in parties
        if not party.is_professional and party.role is not ThreadRole.GUARDIAN
    }
    return next((row for row in rows if row.id in patients), None)


async def _rows(
    actor: Actor, work: Work, ids: Collection[AccountId], thread: UUID | None = None
) -> dict[AccountId, MessagingAccount]:
    """Return the accounts by the protocol's ids; those of a thread are known to its members."""
    seen = visible_to(actor, work.now)
    if thread is not None:
        wrote = select(ControlEntry.account_id).where(ControlEntry.thread_id == thread)
        joined = select(ThreadMember.account_id).where(ThreadMember.thread_id == thread)
        seen = seen | MessagingAccount.id.in_(wrote) | MessagingAccount.id.in_(joined)
    statement = select(MessagingAccount).where(
        MessagingAccount.account_id.in_([bytes(id_) for id_ in ids]), seen
    )
    rows = {AccountId(row.account_id): row for row in await work.session.scalars(statement)}
    if len(rows) != len(set(ids)):
        raise NotFound()
    return rows


async def _accounts(work: Work, rows: Collection[MessagingAccount]) -> dict[AccountId, Account]:
    found = await states(work, [row.id for row in rows])
    return {id_: account for id_, (_, account) in found.items()}


def _replay(log: Sequence[bytes], accounts: Mapping[AccountId, Account]) -> ThreadLog:
    """Return what a log that was verified when it was written says."""
    first = read_control(log[0])
    thread = ThreadLog.begin(log[0], accounts[first.author], is_history=True)
    for data in log[1:]:
        author = accounts[read_control(data).author]
        thread = thread.extend(data, author, is_history=True)
    return thread


def _read(data: bytes, now: datetime) -> SignedEntry:
    try:
        entry = read_control(data)
        said = datetime.fromtimestamp(entry.at / 1000, UTC)
    except ProtocolError as error:
        raise _refusal(error) from None
    except (OverflowError, OSError, ValueError):
        raise ValidationFailed("The device's clock is wrong.", path=("entry",)) from None
    if abs(said - now) > CLOCK_SKEW:
        raise ValidationFailed("The device's clock is wrong.", path=("entry",))
    return entry


def _own_wraps(wraps: Sequence[GivenWrap]) -> list[WrapFor]:
    """Return the wraps of the entry's own epoch."""
    return [
        WrapFor(AccountId(wrap.account), Wrap(wrap.wrap)) for wrap in wraps if wrap.epoch is None
    ]


def _check_history(wraps: Sequence[GivenWrap], before: ThreadLog, after: ThreadLog) -> None:
    """Refuse older secrets for anybody but who has just joined, or from before they may read."""
    older = [wrap for wrap in wraps if wrap.epoch is not None]
    joined = {bytes(id_): m for id_, m in after.members.items() if id_ not in before.members}
    if len(older) > MOST_HISTORY:
        raise ValidationFailed(f"At most {MOST_HISTORY} older wraps.", path=("wraps",))
    for wrap in older:
        member = joined.get(wrap.account)
        epoch = wrap.epoch or 0
        if (
            member is None
            or not member.history_from <= epoch <= before.epoch.number
            or len(wrap.wrap) != Wrap.SIZE
        ):
            raise ValidationFailed("An older wrap is not for who joins.", path=("wraps",))


def _refusal(error: ProtocolError) -> ValidationFailed:
    return ValidationFailed(f"It does not hold: {error}.", path=("entry",))
