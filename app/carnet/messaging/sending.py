"""The three statements of a send, made once: making them would be most of what it costs.

`Prepared.lock` holds the thread's row and says what of it decides; `Prepared.facts` says, under
that lock, whom the actor writes for; `writing_down` stores the message, counts it, and says who is
told.
All parameters begin with ``b_``: a column's own name may not be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    LargeBinary,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from carnet.errors import NotFound
from carnet.messaging.accounts import acts_with
from carnet.messaging.prepared import NOW, anybody
from carnet.messaging.tables import (
    Message,
    MessagingAccount,
    MessagingDevice,
    MessagingMandate,
    Thread,
    ThreadMember,
    ThreadReader,
    ThreadRole,
)
from carnet.messaging.taking_part import (
    account_shut_out,
    has_open_record,
    holds,
    visible_to,
)
from carnet.messaging.telling import taking_part
from carnet.messaging.usage import counting
from carnet.people.actor import Patient, Professional

_THREAD = bindparam("b_thread", type_=LargeBinary())


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a kind of actor sends with."""

    lock: Any  # Select, of columns that only the database checks
    facts: Any


@cache
def prepare(kind: str) -> Prepared:
    """Return the statements for an actor of a kind.

    Raises:
        NotFound: such an actor has no threads.
    """
    actor = anybody(kind)
    if actor is None:
        raise NotFound()
    lock = (
        select(
            Thread.id,
            Thread.state,
            Thread.epoch,
            Thread.epoch_messages,
            Thread.has_left,
            Thread.control_number,
            Thread.last_number,
            Thread.retention_days,
        )
        .where(Thread.thread_id == _THREAD, visible_to(actor, NOW))
        .with_for_update(of=Thread)
    )
    return Prepared(lock, _facts(actor))


def _facts(actor: Patient | Professional) -> Any:
    author, account = aliased(MessagingAccount), aliased(MessagingAccount)
    mandate, device = aliased(MessagingMandate), aliased(MessagingDevice)
    member, other, theirs = aliased(ThreadMember), aliased(ThreadMember), aliased(MessagingAccount)
    device_id = bindparam("b_device", type_=LargeBinary())
    writes_for = exists().where(
        mandate.account_id == account.id,
        mandate.who == author.account_id,
        mandate.may_write,
        holds(mandate, NOW),
        or_(~mandate.is_delegation, Thread.is_delegation_allowed),
    )
    is_device = exists().where(
        device.account_id == author.id,
        device.device_id == device_id,
        device.revoked_at.is_(None),
        or_(device.not_after.is_(None), device.not_after >= NOW),
    )
    last = select(func.max(Message.sequence)).where(
        Message.thread_id == Thread.id, Message.device_id == device_id
    )
    id_ = bindparam("b_id", type_=Uuid())
    same = select(Message.id).where(Message.id == id_, Message.thread_id == Thread.id)
    heard = (
        select(func.count())
        .select_from(other)
        .join(theirs, theirs.id == other.account_id)
        .where(
            other.thread_id == Thread.id,
            other.left_at.is_(None),
            theirs.person_id.is_(None),
            ~account_shut_out(Thread.person_id, theirs),
        )
    )
    order = (ThreadRole.MANAGER, ThreadRole.MEMBER, ThreadRole.GUARDIAN)
    rank = case({role: place for place, role in enumerate(order)}, value=member.role, else_=9)
    given = bindparam("b_account", type_=LargeBinary())
    return (
        select(
            author.id,
            account.id,
            account.kind,
            member.role,
            is_device,
            or_(Thread.person_id.is_(None), has_open_record(Thread.person_id)),
            heard.correlate_except(other, theirs).scalar_subquery(),
            last.correlate(Thread).scalar_subquery(),
            same.correlate(Thread).scalar_subquery(),
        )
        .select_from(Thread)
        .join(member, and_(member.thread_id == Thread.id, member.left_at.is_(None)))
        .join(account, account.id == member.account_id)
        .join(author, author.account_id == given)
        .where(
            Thread.thread_id == _THREAD,
            author.ended_at.is_(None),
            acts_with(actor, NOW, author),
            or_(author.id == account.id, writes_for),
            visible_to(actor, NOW),
            or_(Thread.person_id.is_(None), ~account_shut_out(Thread.person_id, account)),
        )
        .order_by(author.id != account.id, rank, account.id)
        .limit(1)
    )


@cache
def writing_down() -> Any:
    """Return the statement that stores a message: (inbox, whether a person's, whether they are told
    outside, and what `usage.check` takes); told are those who had read what they were last told of.
    """
    thread_id = bindparam("b_thread_id", type_=Uuid())
    number = bindparam("b_number", type_=BigInteger())
    columns: dict[str, Any] = {
        column.key: bindparam(f"b_{column.key}") for column in Message.__table__.columns
    }
    del columns["erased_at"]
    stored = insert(Message).values(columns).cte("stored")
    counted = (
        update(Thread)
        .where(Thread.id == thread_id)
        .values(
            last_number=number,
            epoch_messages=Thread.epoch_messages + 1,
            last_activity_at=NOW,
        )
        .cte("counted")
    )
    usage = counting().cte("usage")
    part = taking_part(NOW, ThreadMember.thread_id == thread_id).cte("part")
    reader, is_person, is_told = list(part.c)[1:4]
    everybody = (
        select(
            reader.label("reader"),
            func.bool_or(is_person).label("is_person"),
            func.bool_or(is_told).label("is_told"),
        )
        .group_by(reader)
        .cte("everybody")
    )
    telling = upsert(ThreadReader).from_select(
        ["thread_id", "reader_id", "told_to"],
        select(thread_id, everybody.c.reader, number).where(
            everybody.c.is_told,
            everybody.c.reader != bindparam("b_sender_id", type_=Uuid()),
            ~bindparam("b_is_quiet", type_=Boolean()),
        ),
    )
    told = (
        telling.on_conflict_do_update(
            index_elements=[ThreadReader.thread_id, ThreadReader.reader_id],
            set_={"told_to": telling.excluded.told_to},
            where=ThreadReader.told_to <= ThreadReader.read_to,
        )
        .returning(ThreadReader.reader_id)
        .cte("told")
    )
    return (
        select(
            everybody.c.reader,
            everybody.c.is_person,
            told.c.reader_id.is_not(None),
            *usage.c,
        )
        .select_from(usage)
        .outerjoin(everybody, literal(True))
        .outerjoin(told, told.c.reader_id == everybody.c.reader)
        .add_cte(stored, counted)
    )
