"""The job that sends what waits, and what puts notifications into its queue.

A delivery is claimed by moving its next attempt on before it is sent: a process that dies in
between leaves one that is tried again, with the same Message-ID or topic, and none is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import any_, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from carnet.notifications import rules, texts
from carnet.notifications.mail import Mail, MailSession
from carnet.notifications.outcomes import Gone, Refused
from carnet.notifications.push import Push, PushSession
from carnet.notifications.tables import (
    Channel,
    Delivery,
    Destination,
    Notification,
    Purpose,
    Silence,
)
from carnet.people.tables import Account
from carnet.store.database import Database, Work

JOB = "notifications.deliver"
INTERVAL = timedelta(seconds=2)  # until the next look
BATCH = 100
AT_ONCE = 10  # pushes under way


@dataclass(frozen=True, slots=True)
class Channels:
    """What is set up, and what texts are made from."""

    mail: Mail | None
    push: Push | None
    link: str  # where the app is
    server_key: bytes = field(repr=False)

    @property
    def open(self) -> frozenset[Channel]:
        """The channels that work here."""
        offered = {Channel.EMAIL: self.mail, Channel.WEB_PUSH: self.push}
        return frozenset(channel for channel, setup in offered.items() if setup is not None)


NO_CHANNELS = Channels(None, None, "", b"")


async def queue(work: Work, notification_ids: Sequence[UUID]) -> None:
    """Have notifications sent to whoever they are for, where they want it."""
    if not notification_ids:
        return
    unwanted = exists().where(
        Silence.account_id == Destination.account_id,
        Silence.kind == Notification.kind,
        Silence.channel == Destination.channel,
        Notification.kind.not_in(rules.MANDATORY),
    )
    wanted = (
        select(
            func.gen_random_uuid(),
            Destination.id,
            Notification.id,
            literal(Purpose.NOTIFICATION.value),
            literal(work.now),
            literal(work.now),
        )
        .join(Account, Account.id == Destination.account_id)
        .join(
            Notification,
            or_(
                Notification.person_id == Account.person_id,
                Notification.professional_id == Account.professional_id,
            ),
        )
        .where(
            Notification.id == any_(literal(list(notification_ids), ARRAY(PG_UUID(as_uuid=True)))),
            Destination.confirmed_at.is_not(None),
            Destination.ended_at.is_(None),
            Account.disabled_at.is_(None),
            ~unwanted,
        )
    )
    columns = ["id", "destination_id", "notification_id", "purpose", "due_at", "created_at"]
    await work.session.execute(
        insert(Delivery).from_select(columns, wanted).on_conflict_do_nothing()
    )


async def run(database: Database, channels: Channels, _arguments: Mapping[str, Any]) -> datetime:
    """Send what is due, in batches; returns when to look again."""
    while channels.open:
        claimed = await _claim(database, channels.open)
        if not claimed:
            break
        await _send_all(database, channels, claimed)
        if len(claimed) < BATCH:
            break
    return database.clock.now() + INTERVAL


@dataclass(frozen=True, slots=True)
class _Claimed:
    delivery: Delivery
    destination: Destination
    text: texts.Text


async def _claim(
    database: Database, open_channels: frozenset[Channel]
) -> list[tuple[Delivery, Destination, Notification | None]]:
    async with database.write() as work:
        statement = (
            select(Delivery, Destination, Notification)
            .join(Destination, Destination.id == Delivery.destination_id)
            .outerjoin(Notification, Notification.id == Delivery.notification_id)
            .where(
                Delivery.ended_at.is_(None),
                Delivery.due_at <= work.now,
                Destination.channel.in_(open_channels),
            )
            .order_by(Delivery.due_at, Delivery.id)
            .limit(BATCH)
            .with_for_update(of=Delivery, skip_locked=True)
        )
        found: list[tuple[Delivery, Destination, Notification | None]] = [
            (delivery, destination, notification)
            for delivery, destination, notification in await work.session.execute(statement)
        ]
        for delivery, _, _ in found:
            delivery.due_at = work.now + rules.wait_after(delivery.attempts)
            delivery.attempts += 1
        await work.session.flush()
    return found


async def _send_all(
    database: Database,
    channels: Channels,
    claimed: Sequence[tuple[Delivery, Destination, Notification | None]],
) -> None:
    async with AsyncExitStack() as opened:
        mail = push = None
        if channels.mail is not None:
            mail = await opened.enter_async_context(MailSession(channels.mail))
        if channels.push is not None:
            push = await opened.enter_async_context(PushSession(channels.push))
        at_once = asyncio.Semaphore(AT_ONCE)

        async def pushed(one: _Claimed) -> None:
            async with at_once:
                await _attempt(database, one, mail, push)

        prepared = [_prepare(channels, *one) for one in claimed]
        pushes = [one for one in prepared if one.destination.channel is Channel.WEB_PUSH]
        tasks = [asyncio.create_task(pushed(one)) for one in pushes]
        try:
            for one in prepared:
                if one.destination.channel is Channel.EMAIL:
                    await _attempt(database, one, mail, push)
        finally:
            await asyncio.gather(*tasks)


def _prepare(
    channels: Channels,
    delivery: Delivery,
    destination: Destination,
    notification: Notification | None,
) -> _Claimed:
    language = destination.language
    match delivery.purpose:
        case Purpose.CONFIRMATION:
            code = rules.code_of(channels.server_key, destination.id, delivery.issue)
            text = texts.of_code(code, language)
        case Purpose.ADDRESS_CHANGED:
            text = texts.of_change(language, channels.link)
        case _:
            assert notification is not None  # noqa: S101 — a constraint of the table
            text = texts.of_notification(notification.kind, language, channels.link)
    return _Claimed(delivery, destination, text)


async def _attempt(
    database: Database, one: _Claimed, mail: MailSession | None, push: PushSession | None
) -> None:
    delivery, destination = one.delivery, one.destination
    is_over = destination.ended_at is not None and delivery.purpose is not Purpose.ADDRESS_CHANGED
    try:
        if is_over:
            raise Gone("ended")
        if destination.channel is Channel.EMAIL and mail is not None:
            await mail.send(delivery.id, destination.address, one.text, delivery.created_at)
        elif push is not None and destination.p256dh and destination.auth:
            keys = destination.p256dh, destination.auth
            await push.send(delivery.id, destination.address, *keys, one.text)
    except Gone as gone:
        await _note(database, delivery, ended=True, error=str(gone))
        await _end(database, destination)
    except Refused as refused:
        age = database.clock.now() - delivery.created_at
        await _note(database, delivery, ended=age > rules.GIVEN_UP_AFTER, error=str(refused))
    else:
        await _note(database, delivery, ended=True, error=None, sent=True)


async def _note(
    database: Database,
    delivery: Delivery,
    *,
    ended: bool,
    error: str | None,
    sent: bool = False,
) -> None:
    async with database.write() as work:
        values: dict[str, Any] = {"last_error": error}
        if ended:
            values["ended_at"] = work.now
        if sent:
            values["sent_at"] = work.now
        changed = update(Delivery).where(Delivery.id == delivery.id).values(values)
        await work.session.execute(changed)


async def _end(database: Database, destination: Destination) -> None:
    async with database.write() as work:
        await work.session.execute(
            update(Destination)
            .where(Destination.id == destination.id, Destination.ended_at.is_(None))
            .values(ended_at=work.now)
        )
