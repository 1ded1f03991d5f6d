"""Sending, erasing and marking as read. The relay orders envelopes, and opens none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.errors import (
    Conflict,
    NotFound,
    RotationDue,
    StaleControlHead,
    StaleSequence,
    ThreadClosed,
    ValidationFailed,
)
from carnet.messaging import control_log, messages
from carnet.messaging.retention import expiry
from carnet.messaging.rules import Writing, denied, writing
from carnet.messaging.sending import Prepared, prepare, writing_down
from carnet.messaging.tables import (
    Message,
    MessageAttachment,
    MessagingAccount,
    Thread,
    ThreadMember,
    ThreadReader,
    ThreadRole,
    ThreadState,
)
from carnet.messaging.taking_part import takes_part
from carnet.messaging.telling import ThreadEventKind, add, tell_all
from carnet.messaging.threads import locked, require
from carnet.messaging.usage import check, counted
from carnet.notifications.actions import Notice, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Patient, Professional, actor_key
from carnet.store.blobs import BlobStore, StoredBlob, is_sealed_file
from carnet.store.database import Database, Work
from carnet.store.events import NewEvent
from carnet_crypto.envelope import Envelope, read_envelope
from carnet_crypto.errors import ProtocolError
from carnet_crypto.values import AccountId, DeviceId

MOST_EPOCH_MESSAGES = 1000  # of one epoch: clients begin another long before
MOST_FILES = 16  # of one message
EXPIRE_JOB = "messages.expire"
EXPIRE_INTERVAL = timedelta(minutes=1)
EXPIRE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Sending:
    """An envelope, with what its sender says of it in the clear.

    ``account`` is the device's own; where it is no member, it writes for one whose delegate or
    roster it is. ``is_quiet``: nobody need be told, such as of a receipt.
    """

    envelope: bytes
    account: bytes  # the protocol's id
    device: bytes
    sequence: int
    blobs: tuple[UUID, ...] = ()
    expires_at: datetime | None = None
    is_quiet: bool = False


async def send(actor: Actor, work: Work, blobs: BlobStore, sending: Sending) -> UUID:
    """Put an envelope into its thread; the same envelope again is the same message.

    Raises:
        NotFound: the thread, the account or a file is not the actor's.
        AccessDenied: the account does not write in the thread; ``rule`` decided.
        ThreadClosed: nothing more is written in it.
        StaleControlHead: the envelope is of another epoch than the newest.
        RotationDue: a new epoch must begin first.
        StaleSequence: the device's next number is another.
        Conflict: the envelope was sent with another body.
        ValidationFailed: it is no envelope, or what is said of it is wrong.
        QuotaExceeded: too much was sent today, or in this minute.
    """
    envelope = _read(sending, work.now)
    given = {
        "b_me": _reader(actor),
        "b_now": work.now,
        "b_thread": bytes(envelope.thread),
    }
    prepared = prepare(actor.kind)
    thread = (await work.session.execute(prepared.lock, given)).one_or_none()
    if thread is None:
        raise NotFound()
    id_ = id_of(envelope)
    asked = {"b_id": id_, "b_account": sending.account, "b_device": sending.device}
    found = await _standing(work, prepared, given | asked)
    if found.message_id is not None:
        return await _sent_before(work, found, sending)
    if thread.state is ThreadState.CLOSED:
        raise ThreadClosed()
    is_allowed, rule = writing(found.writing)
    if not is_allowed:
        raise denied(rule)
    if envelope.epoch != thread.epoch:
        entries = await control_log.after_epoch(work, thread.id, envelope.epoch)
        raise StaleControlHead(number=thread.control_number, entries=tuple(entries))
    if thread.has_left or thread.epoch_messages >= MOST_EPOCH_MESSAGES:
        raise RotationDue()
    if sending.sequence != found.sequence + 1:
        raise StaleSequence(expected=found.sequence + 1)
    files = await _claim(actor, work, blobs, sending.blobs)
    size = len(sending.envelope) + sum(blob.size_bytes for blob in files)
    cut = len(envelope.erased()) - 4
    message = {
        "id": id_,
        "thread_id": thread.id,
        "number": thread.last_number + 1,
        "epoch": envelope.epoch,
        "account_id": found.account_id,
        "member_id": found.member_id,
        "sender_id": _reader(actor),
        "device_id": sending.device,
        "sequence": sending.sequence,
        "head": sending.envelope[:cut],
        "body": sending.envelope[cut:],
        "is_quiet": sending.is_quiet,
        "received_at": work.now,
        "expires_at": expiry(work.now, thread.retention_days, sending.expires_at),
    }
    inboxes, awaits = await _write(work, message, size)
    if files:
        await _attach(work, id_, files)
    add(work, thread.id, inboxes, ThreadEventKind.MESSAGE, id_)
    kind = NotificationKind.MESSAGE_AWAITS
    await notify_all(
        work, [Notice(person, kind, id_, professional_id=other) for person, other in awaits]
    )
    return id_


def id_of(envelope: Envelope) -> UUID:
    """Return the id under which an envelope is kept: the first half of its name."""
    return UUID(bytes=bytes(envelope.name)[:16])


@dataclass(frozen=True, slots=True)
class Standing:
    """What a thread knows of who sends: read in one statement, under the thread's lock."""

    account_id: UUID
    member_id: UUID
    sequence: int  # the device's last
    message_id: UUID | None  # of the same envelope, sent before
    writing: Writing


async def _standing(work: Work, prepared: Prepared, given: dict[str, Any]) -> Standing:
    """Return whom the actor writes for, and what decides whether they may.

    Raises:
        NotFound: the account is not the actor's to act with, or writes for no member; or they take
            no part in the thread any more.
    """
    row = (await work.session.execute(prepared.facts, given)).one_or_none()
    if row is None:
        raise NotFound()
    facts = Writing(row[2], row[3], row[4], row[5], row[6])
    return Standing(row[0], row[1], int(row[7] or 0), row[8], facts)


async def _write(
    work: Work, message: dict[str, Any], size: int
) -> tuple[set[UUID], list[tuple[UUID | None, UUID | None]]]:
    """Store a message and count it, in one statement.

    Returns:
        The inboxes that are told of it, and who is told outside, as person or professional: those
        who had read what they were last told of.

    Raises:
        QuotaExceeded: it is too much.
    """
    used = counted(message["account_id"], work.now, messages=1, size=size)
    given = used | {f"b_{name}": value for name, value in message.items()} | {"b_now": work.now}
    rows = (await work.session.execute(writing_down(), given)).all()
    check(rows[0][3:], work.now)
    inboxes = {row[0] for row in rows if row[0] is not None}
    awaits: list[tuple[UUID | None, UUID | None]] = [
        (row[0], None) if row[1] else (None, row[0]) for row in rows if row[2]
    ]
    return inboxes, awaits


async def _sent_before(work: Work, found: Standing, sending: Sending) -> UUID:
    """Return the id of an envelope that was sent before.

    Raises:
        Conflict: the body that came with it was another.
    """
    row = await work.session.get_one(Message, cast(UUID, found.message_id))
    given = sending.device, sending.sequence
    if (row.device_id, row.sequence) != given or (
        row.body is not None and row.head + row.body != sending.envelope
    ):
        raise Conflict("Something else was sent under this envelope's name.")
    return row.id


async def erase(actor: Actor, work: Work, message_id: UUID) -> UUID:
    """Erase a message's body and files; what orders it stays.

    Raises:
        NotFound: the actor does not see the message.
        AccessDenied: it is neither theirs nor in a thread that they manage.
    """
    row = (await messages.by_ids(actor, work, [message_id])).get(message_id)
    if row is None:
        raise NotFound()
    thread = await locked(actor, work, None, row.thread_id)
    again = select(Message).where(Message.id == message_id)
    row = (await work.session.scalars(again.execution_options(populate_existing=True))).one()
    through = (
        select(ThreadMember.role, ThreadMember.account_id)
        .join(MessagingAccount, MessagingAccount.id == ThreadMember.account_id)
        .join(Thread, Thread.id == ThreadMember.thread_id)
        .where(
            Thread.id == thread.id,
            takes_part(actor, work.now, Thread, ThreadMember, MessagingAccount),
        )
    )
    roles = (await work.session.execute(through)).all()
    is_own = any(account_id == row.member_id for _, account_id in roles)
    if not is_own and not any(role is ThreadRole.MANAGER for role, _ in roles):
        raise denied("messaging.erases")
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
    by_thread: dict[UUID, list[UUID]] = defaultdict(list)
    for row in rows:
        by_thread[row.thread_id].append(row.id)
    await tell_all(work, by_thread, ThreadEventKind.ERASED)


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

    It is theirs alone: who acts for somebody reads nothing in their stead.

    Raises:
        NotFound: the thread is not the actor's to see.
        ValidationFailed: there is no such message.
    """
    row = await require(actor, work, thread_id)
    if not 0 <= number <= row.last_number:
        raise ValidationFailed("There is no such message.", path=("number",))
    reader_id = _reader(actor)
    statement = upsert(ThreadReader).values(
        thread_id=row.id, reader_id=reader_id, read_to=number, told_to=0
    )
    moved = await work.session.scalar(
        statement.on_conflict_do_update(
            index_elements=[ThreadReader.thread_id, ThreadReader.reader_id],
            set_={"read_to": statement.excluded.read_to},
            where=ThreadReader.read_to < statement.excluded.read_to,
        ).returning(ThreadReader.read_to)
    )
    if moved is not None:
        kind, id_ = ThreadEventKind.READ.value, work.new_id()
        work.events.extend(
            [
                NewEvent(id_, (row.id,), kind, reader_id, is_hint=True),
                NewEvent(id_, (reader_id,), kind, row.id, is_hint=True),
            ]
        )
    return row.id


def _reader(actor: Actor) -> UUID:
    """Return the person or professional who acts."""
    match actor:
        case Patient(person_id=id_) | Professional(professional_id=id_):
            return id_
    raise NotFound()


def _read(sending: Sending, now: datetime) -> Envelope:
    try:
        envelope = read_envelope(sending.envelope)
        AccountId(sending.account)
        DeviceId(sending.device)
    except ProtocolError as error:
        raise ValidationFailed(f"It is no envelope: {error}.", path=("envelope",)) from None
    if envelope.is_erased:
        raise ValidationFailed("An envelope is sent with its body.", path=("envelope",))
    if not 1 <= sending.sequence < 2**53:
        raise ValidationFailed("A sequence begins at 1.", path=("sequence",))
    if len(sending.blobs) > MOST_FILES or len(set(sending.blobs)) != len(sending.blobs):
        raise ValidationFailed(f"At most {MOST_FILES} files, each once.", path=("blob_ids",))
    if sending.expires_at is not None and sending.expires_at <= now:
        raise ValidationFailed("It would have expired already.", path=("expires_at",))
    return envelope


async def _claim(
    actor: Actor, work: Work, blobs: BlobStore, ids: Collection[UUID]
) -> list[StoredBlob]:
    """Take the uploads that a message refers to.

    Raises:
        NotFound: one is not there, or not the actor's.
        ValidationFailed: one is no sealed file: what anybody can read is not attached.
    """
    files = [await blobs.claim(work, actor_key(actor), blob_id) for blob_id in ids]
    for file in files:
        if not await is_sealed_file(blobs, file):
            raise ValidationFailed("A file is attached sealed.", path=("blob_ids",))
    return files


async def _attach(work: Work, message_id: UUID, files: Sequence[StoredBlob]) -> None:
    rows = [
        {"id": work.new_id(), "message_id": message_id, "blob_id": file.id, "position": position}
        for position, file in enumerate(files)
    ]
    await work.session.execute(insert(MessageAttachment), rows)
