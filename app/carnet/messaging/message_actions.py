"""Sending, erasing and marking as read. The relay orders envelopes, and opens none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from carnet.errors import (
    AccessDenied,
    NotFound,
    RotationDue,
    StaleControlHead,
    StaleSequence,
    ThreadClosed,
    ValidationFailed,
)
from carnet.messaging import facts
from carnet.messaging.accounts import acts_with
from carnet.messaging.tables import (
    Message,
    MessageAttachment,
    MessagingAccount,
    MessagingAccountKind,
    MessagingDevice,
    Thread,
    ThreadMember,
    ThreadRole,
    ThreadState,
)
from carnet.messaging.telling import ThreadEventKind, tell
from carnet.messaging.threads import require, visible_to
from carnet.messaging.usage import count
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database, Work
from carnet_crypto.envelope import Envelope, read_envelope
from carnet_crypto.errors import ProtocolError

MOST_EPOCH_MESSAGES = 1000  # of one epoch: clients begin another long before
MOST_FILES = 16  # of one message
EXPIRE_JOB = "messages.expire"
EXPIRE_INTERVAL = timedelta(minutes=1)
EXPIRE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Sending:
    """An envelope, with what its sender says of it in the clear."""

    envelope: bytes
    account: bytes  # the protocol's id
    device: bytes
    sequence: int
    blobs: tuple[UUID, ...] = ()
    expires_at: datetime | None = None


async def send(actor: Actor, work: Work, blobs: BlobStore, sending: Sending) -> UUID:
    """Put an envelope into its thread; the same envelope again is the same message.

    Raises:
        NotFound: the thread, the account or a file is not the actor's.
        AccessDenied: the account does not write in the thread.
        ThreadClosed: nothing more is written in it.
        StaleControlHead: the envelope is of another epoch than the newest.
        RotationDue: a new epoch must begin first.
        StaleSequence: the device's next number is another.
        ValidationFailed: it is no envelope, or what is said of it is wrong.
        QuotaExceeded: too much was sent today.
    """
    envelope = _read(sending)
    thread = await _locked(actor, work, bytes(envelope.thread))
    name = bytes(envelope.name)
    sent = select(Message.id).where(Message.thread_id == thread.id, Message.name == name)
    known = await work.session.scalar(sent)
    if known is not None:
        return known
    sender = await _sender(actor, work, thread, sending)
    if thread.state is ThreadState.CLOSED:
        raise ThreadClosed()
    if envelope.epoch != thread.epoch:
        raise StaleControlHead(number=thread.control_number)
    if thread.has_left or thread.epoch_messages >= MOST_EPOCH_MESSAGES:
        raise RotationDue()
    await _check_sequence(work, thread.id, sending)
    await _check_not_blocked(actor, work, thread, sender)
    number = thread.last_number + 1
    cut = len(envelope.erased()) - 4
    id_ = work.new_id()
    await work.session.execute(
        insert(Message).values(
            id=id_,
            thread_id=thread.id,
            number=number,
            name=name,
            account_id=sender.id,
            device_id=sending.device,
            sequence=sending.sequence,
            head=sending.envelope[:cut],
            body=sending.envelope[cut:],
            received_at=work.now,
            expires_at=_expiry(work, thread, sending),
        )
    )
    size = len(sending.envelope) + await _attach(actor, work, blobs, id_, sending.blobs)
    await count(work, sender.id, messages=1, size=size)
    await work.session.execute(
        update(Thread)
        .where(Thread.id == thread.id)
        .values(
            last_number=number,
            epoch_messages=Thread.epoch_messages + 1,
            last_activity_at=work.now,
        )
    )
    await work.session.execute(
        update(ThreadMember)
        .where(
            ThreadMember.thread_id == thread.id,
            ThreadMember.account_id == sender.id,
            ThreadMember.read_to == number - 1,
        )
        .values(read_to=number)
        .execution_options(synchronize_session=False)
    )
    await tell(work, thread.id, ThreadEventKind.MESSAGE, id_)
    await _notify(work, thread, sender, number, id_)
    return id_


async def erase(actor: Actor, work: Work, message_id: UUID) -> UUID:
    """Erase a message's body and files; what orders it stays.

    Raises:
        NotFound: the actor does not see the message.
        AccessDenied: it is neither theirs nor in a thread that they manage.
    """
    row = await work.session.get(Message, message_id)
    if row is None:
        raise NotFound()
    thread = await _locked(actor, work, None, row.thread_id)
    row = await work.session.get_one(Message, message_id, populate_existing=True)
    may = (
        select(ThreadMember.role, ThreadMember.account_id)
        .join(MessagingAccount, MessagingAccount.id == ThreadMember.account_id)
        .where(
            ThreadMember.thread_id == thread.id,
            ThreadMember.left_at.is_(None),
            acts_with(actor, work.now, MessagingAccount),
        )
    )
    roles = (await work.session.execute(may)).all()
    is_own = any(account_id == row.account_id for _, account_id in roles)
    if not is_own and not any(role is ThreadRole.MANAGER for role, _ in roles):
        raise AccessDenied("messaging.erases")
    if row.erased_at is None:
        await erase_bodies(work, [row])
    return message_id


async def erase_bodies(work: Work, rows: Sequence[Message]) -> None:
    """Erase the bodies and files of messages, and tell."""
    ids = [row.id for row in rows]
    gone = delete(MessageAttachment).where(MessageAttachment.message_id.in_(ids))
    blob_ids = list(await work.session.scalars(gone.returning(MessageAttachment.blob_id)))
    if blob_ids:
        await BlobStore.destroy(work, blob_ids)
    await work.session.execute(
        update(Message)
        .where(Message.id.in_(ids))
        .values(body=None, erased_at=work.now)
        .execution_options(synchronize_session=False)
    )
    for row in rows:
        await tell(work, row.thread_id, ThreadEventKind.ERASED, row.id)


async def expire(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Erase what has expired: a job that is always in the queue."""
    while True:
        async with database.write() as work:
            due = (
                select(Message)
                .where(Message.expires_at <= work.now, Message.erased_at.is_(None))
                .order_by(Message.expires_at, Message.id)
                .limit(EXPIRE_BATCH)
                .with_for_update(skip_locked=True)
            )
            rows = list(await work.session.scalars(due))
            if rows:
                await erase_bodies(work, rows)
            now = work.now
        if len(rows) < EXPIRE_BATCH:
            return now + EXPIRE_INTERVAL


async def mark_read(actor: Actor, work: Work, thread_id: bytes, number: int) -> UUID:
    """Note that the actor has read a thread up to a message; never back.

    Raises:
        NotFound: the thread is not the actor's to see.
        ValidationFailed: there is no such message.
    """
    row = await require(actor, work, thread_id)
    if not 0 <= number <= row.last_number:
        raise ValidationFailed("There is no such message.", path=("number",))
    own = select(MessagingAccount.id).where(acts_with(actor, work.now, MessagingAccount))
    await work.session.execute(
        update(ThreadMember)
        .where(ThreadMember.thread_id == row.id, ThreadMember.account_id.in_(own))
        .values(read_to=func.greatest(ThreadMember.read_to, number))
        .execution_options(synchronize_session=False)
    )
    return row.id


def _read(sending: Sending) -> Envelope:
    try:
        envelope = read_envelope(sending.envelope)
    except ProtocolError as error:
        raise ValidationFailed(f"It is no envelope: {error}.", path=("envelope",)) from None
    if envelope.is_erased:
        raise ValidationFailed("An envelope is sent with its body.", path=("envelope",))
    if not 1 <= sending.sequence < 2**53:
        raise ValidationFailed("A sequence begins at 1.", path=("sequence",))
    if len(sending.blobs) > MOST_FILES or len(set(sending.blobs)) != len(sending.blobs):
        raise ValidationFailed(f"At most {MOST_FILES} files, each once.", path=("attachments",))
    return envelope


async def _locked(
    actor: Actor, work: Work, thread_id: bytes | None, id_: UUID | None = None
) -> Thread:
    """Return a thread that the actor sees, as it is once nobody else is writing in it."""
    which = Thread.id == id_ if id_ is not None else Thread.thread_id == thread_id
    statement = (
        select(Thread)
        .where(which, visible_to(actor, work.now))
        .with_for_update(of=Thread)
        .execution_options(populate_existing=True)
    )
    row = await work.session.scalar(statement)
    if row is None:
        raise NotFound()
    return row


async def _sender(actor: Actor, work: Work, thread: Thread, sending: Sending) -> MessagingAccount:
    """Return the account that writes, which the actor acts with and whose device this is."""
    statement = (
        select(MessagingAccount, ThreadMember.role, MessagingDevice)
        .join(ThreadMember, ThreadMember.account_id == MessagingAccount.id)
        .outerjoin(
            MessagingDevice,
            (MessagingDevice.account_id == MessagingAccount.id)
            & (MessagingDevice.device_id == sending.device),
        )
        .where(
            MessagingAccount.account_id == sending.account,
            MessagingAccount.ended_at.is_(None),
            ThreadMember.thread_id == thread.id,
            ThreadMember.left_at.is_(None),
            acts_with(actor, work.now, MessagingAccount),
        )
    )
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    account, role, device = found
    if role is ThreadRole.READER:
        raise AccessDenied("messaging.reader")
    is_over = device is not None and device.not_after is not None and device.not_after < work.now
    if device is None or device.revoked_at is not None or is_over:
        raise AccessDenied("messaging.device")
    return account


async def _check_sequence(work: Work, thread_id: UUID, sending: Sending) -> None:
    newest = select(func.max(Message.sequence)).where(
        Message.thread_id == thread_id, Message.device_id == sending.device
    )
    expected = (await work.session.scalar(newest) or 0) + 1
    if sending.sequence != expected:
        raise StaleSequence(expected=int(expected))


async def _check_not_blocked(
    actor: Actor, work: Work, thread: Thread, sender: MessagingAccount
) -> None:
    """Refuse an account that the patient shut out, whoever acts with it."""
    if thread.person_id is None or sender.kind is MessagingAccountKind.PERSON:
        return
    if sender.id in await facts.blocked(work, thread.person_id, [sender]):
        raise NotFound()


def _expiry(work: Work, thread: Thread, sending: Sending) -> datetime | None:
    ends = [sending.expires_at] if sending.expires_at is not None else []
    if thread.retention_days:
        ends.append(work.now + timedelta(days=thread.retention_days))
    return min(ends, default=None)


async def _attach(
    actor: Actor, work: Work, blobs: BlobStore, message_id: UUID, ids: Collection[UUID]
) -> int:
    """Take the files that a message refers to; return their bytes."""
    size = 0
    rows = []
    for position, blob_id in enumerate(ids):
        blob = await blobs.claim(work, actor_key(actor), blob_id)
        size += blob.size_bytes
        rows.append(
            {
                "id": work.new_id(),
                "message_id": message_id,
                "blob_id": blob_id,
                "position": position,
            }
        )
    if rows:
        await work.session.execute(insert(MessageAttachment), rows)
    return size


async def _notify(
    work: Work, thread: Thread, sender: MessagingAccount, number: int, message_id: UUID
) -> None:
    """Tell those who had read everything that something awaits; once until they read on."""
    account = (
        select(MessagingAccount.person_id, MessagingAccount.professional_id)
        .join(ThreadMember, ThreadMember.account_id == MessagingAccount.id)
        .where(
            ThreadMember.thread_id == thread.id,
            ThreadMember.left_at.is_(None),
            ThreadMember.account_id != sender.id,
            ThreadMember.read_to == number - 1,
        )
    )
    for person_id, professional_id in await work.session.execute(account):
        if person_id is not None or professional_id is not None:
            await notify(
                work,
                NotificationKind.MESSAGE_AWAITS,
                message_id,
                person_id=person_id,
                professional_id=professional_id,
            )
