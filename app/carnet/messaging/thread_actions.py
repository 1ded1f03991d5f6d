"""Opening threads, changing who is in them, closing them: the control log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import case, func, insert, literal, or_, select, update
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
from carnet.messaging.rules import Party, joining, opening
from carnet.messaging.tables import (
    ControlEntry,
    EpochWrap,
    Message,
    MessagingAccount,
    MessagingMandate,
    Thread,
    ThreadMember,
    ThreadRole,
    ThreadState,
)
from carnet.messaging.taking_part import holds
from carnet.messaging.telling import ThreadEventKind, tell
from carnet.messaging.thread_log import columns_of, rebuild
from carnet.messaging.threads import locked, log_after
from carnet.messaging.usage import count
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.control import (
    ControlEntry as SignedEntry,
)
from carnet_crypto.control import (
    Create,
    Leave,
    Policy,
    Role,
    Rotation,
    Wrap,
    WrapFor,
    read_control,
)
from carnet_crypto.errors import ProtocolError, Reason, Refused
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.thread import check_keys, check_wraps
from carnet_crypto.values import AccountId

MOST_DAYS = 36_500  # of a retention; longer is as good as for ever
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
    rows = await _rows(actor, work, {*members, entry.author})
    accounts = await _accounts(work, rows.values())
    roles = {joined.account: joined.role for joined in entry.body.members}
    named = await _represented(work, entry.author, roles, rows, entry.body.policy)
    try:
        thread = ThreadLog.begin(data, accounts[entry.author], represented=named.values())
        check_keys(entry.body.rotation, accounts)
        _check_recipients(entry.body.rotation, thread, accounts, work.now)
        check_wraps(entry.body.rotation, _own_wraps(wraps))
    except ProtocolError as error:
        raise _refusal(error) from None
    if any(wrap.epoch is not None for wrap in wraps):
        raise ValidationFailed("A new thread has no older epochs.", path=("wraps",))
    parties = _parties(thread, rows)
    patient = _patient(parties, rows.values())
    person_id = patient.person_id if patient else None
    known = await facts.about(actor, work, person_id, [rows[id_] for id_ in thread.members])
    acting = _acting(entry.author, roles, named)
    opener = next(party for party in parties if party.account == rows[acting].id)
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
        rows = await _rows(actor, work, ids, row.id)
        asked = ids if rotation else {entry.author}
        accounts = await _accounts(work, [rows[id_] for id_ in asked])
        roles = {id_: member.role for id_, member in before.members.items()}
        named = await _represented(work, entry.author, roles, rows, before.policy)
        thread = before.extend(data, accounts[entry.author], represented=named.values())
        if rotation is not None:
            check_keys(rotation, accounts)
            _check_recipients(rotation, thread, accounts, work.now)
            check_wraps(rotation, _own_wraps(wraps))
        elif any(wrap.epoch is None for wrap in wraps):
            raise Refused(Reason.INCOMPLETE_WRAPS)
    except ProtocolError as error:
        raise _refusal(error) from None
    _check_history(wraps, before, thread)
    acting = _acting(entry.author, roles, named)
    person_id = await _check_company(actor, work, row, before, thread, rows, acting, entry)
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
        number=row.control_number, entries=tuple(await log_after(work, row.id, known))
    )


async def shorten(work: Work, thread_id: UUID, days: int) -> None:
    """Let messages expire as a new policy says; none is kept for longer than was promised."""
    ends = Message.received_at + timedelta(days=min(days, MOST_DAYS))
    await work.session.execute(
        update(Message)
        .where(Message.thread_id == thread_id, Message.erased_at.is_(None))
        .values(expires_at=func.least(Message.expires_at, ends))
        .execution_options(synchronize_session=False)
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


async def _check_company(
    actor: Actor,
    work: Work,
    row: Thread,
    before: ThreadLog,
    thread: ThreadLog,
    rows: Mapping[AccountId, MessagingAccount],
    acting: AccountId,
    entry: SignedEntry,
) -> UUID | None:
    """Decide on the members that an entry makes; return the patient of the thread from then on.

    Raises:
        NotAllowedToOpen: the rules refuse a thread with these members.
    """
    if set(thread.members) == set(before.members) or isinstance(entry.body, Leave):
        return row.person_id
    members = {id_: rows[id_] for id_ in thread.members}
    parties = _parties(thread, rows)
    patient = _patient(parties, members.values())
    person_id = row.person_id
    if patient is not None:
        if person_id not in (None, patient.person_id):
            raise NotAllowedToOpen("messaging.one-patient")
        person_id = patient.person_id
    known = await facts.about(actor, work, person_id, list(members.values()))
    new = {rows[id_].id for id_ in set(thread.members) - set(before.members)}
    role = ThreadRole[before.members[acting].role.name]
    author = Party(rows[acting].id, rows[acting].kind, role)
    opener = rows[before.creator].id if before.creator in rows else row.id
    is_allowed, rule = joining(parties, new, author, opener, known)
    if not is_allowed:
        raise NotAllowedToOpen(rule)
    return person_id


async def _represented(
    work: Work,
    author: AccountId,
    members: Collection[AccountId],
    rows: Mapping[AccountId, MessagingAccount],
    policy: Policy,
) -> dict[AccountId, Account]:
    """Return the members that an author who is none may write for, as their chains say."""
    if author in members:
        return {}
    named = select(MessagingMandate.account_id).where(
        MessagingMandate.who == bytes(author),
        MessagingMandate.may_write,
        MessagingMandate.account_id.in_([rows[id_].id for id_ in members]),
        or_(~MessagingMandate.is_delegation, literal(policy.is_delegation_allowed)),
        holds(MessagingMandate, work.now),
    )
    ids = set(await work.session.scalars(named))
    return await _accounts(work, [row for row in rows.values() if row.id in ids])


def _acting(
    author: AccountId, roles: Mapping[AccountId, Role], named: Collection[AccountId]
) -> AccountId:
    """Return the member that an author is, or writes for with the most rights."""
    return author if author in roles else min(named, key=lambda id_: (roles[id_], id_))


def _parties(thread: ThreadLog, rows: Mapping[AccountId, MessagingAccount]) -> list[Party]:
    return [
        Party(rows[id_].id, rows[id_].kind, ThreadRole[m.role.name])
        for id_, m in thread.members.items()
    ]


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
        within = select(ThreadMember.account_id).where(ThreadMember.thread_id == thread)
        seen = seen | MessagingAccount.id.in_(within)
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


def _check_recipients(
    rotation: Rotation, thread: ThreadLog, accounts: Mapping[AccountId, Account], now: datetime
) -> None:
    """Refuse an epoch for an account that is closed, for a key that has a successor, or, where the
    policy allows no delegates, for an account that has some."""
    at = int(now.timestamp() * 1000)
    for member in rotation.members:
        account = accounts[member.account]
        newest = account.generation
        if account.is_closed:
            raise Refused(Reason.CLOSED)
        if newest is None or newest.number != member.generation:
            raise Refused(Reason.WRONG_GENERATION)
        if not thread.policy.is_delegation_allowed and account.active_delegations(at):
            raise Refused(Reason.DELEGATION_FORBIDDEN)


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
    if isinstance(error, Refused) and error.reason is Reason.NOT_AUTHORIZED:
        return ValidationFailed("In this conversation that is not yours to do.", path=("entry",))
    return ValidationFailed(f"It does not hold: {error}.", path=("entry",))
