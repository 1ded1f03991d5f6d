"""Works the queue of deliveries off: a few at a time, each under a lease, again when it failed.

One job of the queue for each channel (`carnet.store.jobs`) calls `run`, in whichever process has
it. A delivery is leased, sent, and noted; when a process dies in between, its lease runs out and it
is sent again, with the same Message-ID or Topic. Memory holds `AT_ONCE` deliveries, however many
wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from carnet.notifications import outgoing, texts
from carnet.notifications.channels import Channels
from carnet.notifications.codes import Codes
from carnet.notifications.recipients import may_sign_in
from carnet.notifications.rules import CODE_LIFE, next_attempt
from carnet.notifications.sending import (
    AT_ONCE,
    SEND_WITHIN,
    ChannelDown,
    Gone,
    Later,
    Outcome,
    Parcel,
    Refused,
    Run,
    Sender,
    Sent,
)
from carnet.notifications.tables import (
    Channel,
    Delivery,
    DeliveryMessage,
    DeliveryState,
    Destination,
    DestinationState,
    Locale,
    Notification,
    NotificationSettings,
)
from carnet.store.database import Database, Work
from carnet.store.jobs import Handler

JOBS = {channel: f"notifications.{channel.value.lower()}" for channel in Channel}
FORGET_JOB = "notifications.forget"

INTERVAL = timedelta(seconds=1)  # between two looks into the queue
PAUSE = timedelta(seconds=30)  # while a channel is down
OF_A_RUN = 400  # deliveries; then others have their turn
LEASE = timedelta(seconds=4 * SEND_WITHIN)  # all of a batch begin at once, and end in a quarter
STOPS_WITHIN = 5  # seconds that what is just sent gets when the process stops
FORGET_INTERVAL = timedelta(hours=1)
FORGET_BATCH = 1000

_SENDABLE = {
    DeliveryMessage.NOTIFICATION: DestinationState.ACTIVE,
    DeliveryMessage.EMAIL_CODE: DestinationState.PENDING,
    DeliveryMessage.EMAIL_RETIRED: DestinationState.RETIRED,
}

_log = logging.getLogger(__name__)


def handlers(channels: Channels, server_key: bytes) -> dict[str, Handler]:
    """Return what a `carnet.store.jobs.Worker` needs to know: a job for each channel that is on.

    Args:
        channels: of this server.
        server_key: what codes follow from.
    """
    codes = Codes(server_key)

    def handler(sender: Sender) -> Handler:
        async def deliver(database: Database, _arguments: Mapping[str, Any]) -> datetime:
            return await run(database, sender, codes)

        return deliver

    return {
        FORGET_JOB: forget,
        **{JOBS[sender.channel]: handler(sender) for sender in channels.senders},
    }


async def run(database: Database, sender: Sender, codes: Codes) -> datetime:
    """Send what is due over one channel, and return when to look again."""
    tried = 0
    async with sender.run() as open_run:
        while tried < OF_A_RUN:
            lease = uuid4()
            async with database.write() as work:
                taken = await _take(work, sender.channel, lease, codes)
            tried += taken.touched
            if not taken.touched:
                return database.clock.now() + INTERVAL
            try:
                await _send_all(database, open_run, taken.leased)
            except ChannelDown as down:
                _log.warning("%s cannot be sent: %s", sender.channel.value, down.error)
                return database.clock.now() + PAUSE
    return database.clock.now()


async def forget(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Delete what is done with, addresses that were never confirmed, and counts of codes."""
    more = True
    while more:
        async with database.write() as work:
            more = await outgoing.forget(work, FORGET_BATCH)
    return database.clock.now() + FORGET_INTERVAL


@dataclass(frozen=True, slots=True)
class _Leased:
    parcel: Parcel
    message: DeliveryMessage
    destination_id: UUID
    attempts: int
    expires_at: datetime
    lease: UUID

    def still_ours(self) -> ColumnElement[bool]:
        """Return the filter on the delivery while nobody else took it over."""
        return (Delivery.id == self.parcel.id) & (Delivery.leased_by == self.lease)


@dataclass(frozen=True, slots=True)
class _Taken:
    touched: int  # given up ones too
    leased: Sequence[_Leased] = field(default_factory=tuple)


async def _take(work: Work, channel: Channel, lease: UUID, codes: Codes) -> _Taken:
    """Lease what has been due for longest, the urgent before the rest.

    What is too old is given up, and what is for somebody who was cut off since it was queued.
    """
    ids: list[UUID] = []
    for is_urgent in (True, False):
        due = (
            select(Delivery.id)
            .where(
                Delivery.channel == channel,
                Delivery.state == DeliveryState.QUEUED,
                Delivery.is_urgent == is_urgent,
                Delivery.due_at <= work.now,
                or_(
                    Delivery.leased_until.is_(None),
                    Delivery.leased_until < func.clock_timestamp(),
                ),
            )
            .order_by(Delivery.due_at, Delivery.id)
            .limit(AT_ONCE - len(ids))
            .with_for_update(skip_locked=True)
        )
        ids += (await work.session.scalars(due)).all()
        if len(ids) == AT_ONCE:
            break
    if not ids:
        return _Taken(0)
    statement = (
        select(Delivery, Destination, Notification.kind, NotificationSettings.locale, may_sign_in())
        .join(Destination, Destination.id == Delivery.destination_id)
        .outerjoin(Notification, Notification.id == Delivery.notification_id)
        .outerjoin(
            NotificationSettings,
            or_(
                NotificationSettings.person_id == Destination.person_id,
                NotificationSettings.professional_id == Destination.professional_id,
            ),
        )
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.is_urgent.desc(), Delivery.due_at, Delivery.id)
    )
    leased, given_up = [], []
    found = (await work.session.execute(statement)).all()
    for delivery, destination, kind, locale, is_let_in in found:
        if delivery.expires_at <= work.now:
            given_up.append((delivery, "Expired"))
            continue
        if destination.state is not _SENDABLE[delivery.message]:
            given_up.append((delivery, "DestinationUnusable"))
            continue
        # That an address is used no more is told to whoever reads it, not to the one cut off.
        if not is_let_in and delivery.message is not DeliveryMessage.EMAIL_RETIRED:
            given_up.append((delivery, "RecipientCutOff"))
            continue
        code = None
        if delivery.message is DeliveryMessage.EMAIL_CODE:
            code = codes.code(destination.id)
        text = texts.text_of(
            delivery.message,
            kind,
            locale or Locale.FR,
            code,
            int(CODE_LIFE.total_seconds()) // 60,
        )
        parcel = Parcel(
            id=delivery.id,
            subject_id=delivery.notification_id or delivery.id,
            text=text,
            address=destination.address,
            p256dh=destination.p256dh,
            auth=destination.auth,
            is_urgent=delivery.is_urgent,
            lives_for=delivery.expires_at - work.now,
        )
        leased.append(
            _Leased(
                parcel,
                delivery.message,
                destination.id,
                delivery.attempts + 1,
                delivery.expires_at,
                lease,
            )
        )
    for delivery, reason in given_up:
        await _end(work, Delivery.id == delivery.id, DeliveryState.GIVEN_UP, reason)
        if delivery.message is DeliveryMessage.EMAIL_RETIRED:
            await _forget_retired(work, delivery.destination_id)
    await work.session.execute(
        update(Delivery)
        .where(Delivery.id.in_([each.parcel.id for each in leased]))
        .values(
            leased_until=func.clock_timestamp() + LEASE,
            leased_by=lease,
            attempts=Delivery.attempts + 1,
        )
        .execution_options(synchronize_session=False)
    )
    return _Taken(len(ids), leased)


async def _send_all(database: Database, open_run: Run, leased: Sequence[_Leased]) -> None:
    """Send them at once and note each outcome as it comes.

    When the process stops, what is just being sent is let finish for a moment: it would be sent
    twice else.

    Raises:
        ChannelDown: the channel does not work; what was not sent is free again.
    """
    if not leased:  # all that was taken was given up
        return
    sending = [asyncio.create_task(_send(database, open_run, each)) for each in leased]
    try:
        await asyncio.wait(sending)
    except asyncio.CancelledError:
        _, late = await asyncio.wait(sending, timeout=STOPS_WITHIN)
        for task in late:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        raise
    failures = [error for task in sending if (error := task.exception()) is not None]
    if failures:
        raise failures[0]


async def _send(database: Database, open_run: Run, leased: _Leased) -> None:
    try:
        outcome: Outcome
        try:
            async with asyncio.timeout(SEND_WITHIN):
                outcome = await open_run.send(leased.parcel)
        except TimeoutError:
            outcome = Later("TimeoutError")
    except ChannelDown:
        async with database.write() as work:
            await work.session.execute(
                update(Delivery)
                .where(leased.still_ours())
                .values(leased_until=None, leased_by=None, attempts=Delivery.attempts - 1)
            )
        raise
    except Exception as error:  # a fault of ours must not stop the queue, nor be tried at once
        _log.warning("a delivery failed: %s", type(error).__name__)
        outcome = Later(type(error).__name__)
    async with database.write() as work:
        await _note(work, leased, outcome)


async def _note(work: Work, leased: _Leased, outcome: Outcome) -> None:
    """Write down what came of it, unless somebody else took it over meanwhile."""
    ours = leased.still_ours()
    if isinstance(outcome, Refused | Gone) and await _has_moved(work, leased):
        return
    match outcome:
        case Sent():
            is_noted = await _end(work, ours, DeliveryState.SENT, None)
            if is_noted:
                await _mark(work, leased.destination_id, refused_at=None)
        case Later(error, wait):
            due_at = next_attempt(work.now, leased.attempts, leased.expires_at, wait)
            if due_at is None:
                is_noted = await _end(work, ours, DeliveryState.GIVEN_UP, error)
            else:
                await work.session.execute(
                    update(Delivery)
                    .where(ours)
                    .values(due_at=due_at, leased_until=None, leased_by=None, last_error=error)
                )
                return
        case Refused(error, is_undeliverable):
            is_noted = await _end(work, ours, DeliveryState.REFUSED, error)
            if is_noted:
                await _mark(work, leased.destination_id, is_undeliverable, refused_at=work.now)
        case Gone(error):
            is_noted = await _end(work, ours, DeliveryState.REFUSED, error)
            if is_noted:
                await work.session.execute(
                    delete(Destination).where(Destination.id == leased.destination_id)
                )
    if is_noted and leased.message is DeliveryMessage.EMAIL_RETIRED:
        await _forget_retired(work, leased.destination_id)


async def _has_moved(work: Work, leased: _Leased) -> bool:
    """Free a delivery that was redirected while it was sent: its new address did not refuse it."""
    moved = await work.session.scalar(
        update(Delivery)
        .where(leased.still_ours(), Delivery.destination_id != leased.destination_id)
        .values(leased_until=None, leased_by=None)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return moved is not None


async def _end(
    work: Work, which: ColumnElement[bool], state: DeliveryState, error: str | None
) -> bool:
    """Take a delivery out of the queue; returns whether it was there."""
    ended = await work.session.scalar(
        update(Delivery)
        .where(which, Delivery.state == DeliveryState.QUEUED)
        .values(
            state=state,
            finished_at=work.now,
            last_error=error,
            leased_until=None,
            leased_by=None,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return ended is not None


async def _mark(
    work: Work,
    destination_id: UUID,
    is_undeliverable: bool = False,
    *,
    refused_at: datetime | None,
) -> None:
    """Note at a destination how the last sending went, where that is news."""
    statement = update(Destination).where(Destination.id == destination_id)
    if refused_at is None:
        await work.session.execute(
            statement.where(Destination.refused_at.is_not(None)).values(refused_at=None)
        )
        return
    await work.session.execute(statement.values(refused_at=refused_at))
    if is_undeliverable:
        await work.session.execute(
            statement.where(Destination.state == DestinationState.ACTIVE).values(
                state=DestinationState.UNDELIVERABLE
            )
        )


async def _forget_retired(work: Work, destination_id: UUID) -> None:
    """Delete an address that was told that it is used no more, or cannot be."""
    await work.session.execute(
        delete(Destination).where(
            Destination.id == destination_id, Destination.state == DestinationState.RETIRED
        )
    )
