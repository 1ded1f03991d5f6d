"""The e-mail address that notifications go to: asked for, confirmed, replaced, removed."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from carnet.errors import NotFound, RateLimited, ValidationFailed
from carnet.notifications.codes import Codes, plain_hash
from carnet.notifications.outgoing import queued, redirect
from carnet.notifications.recipients import Recipient, hold, recipient
from carnet.notifications.rules import (
    CODE_LIFE,
    CODE_TRIES,
    CODES_OF_RECIPIENT,
    CODES_TO_ADDRESS,
    CODES_WINDOW,
)
from carnet.notifications.tables import (
    Channel,
    CodeRequest,
    Delivery,
    DeliveryMessage,
    Destination,
    DestinationState,
)
from carnet.people.actor import Actor
from carnet.store.database import Database, Work

ADDRESS_LIMIT = 254  # characters; RFC 5321, 4.5.3.1.3
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"(?=.{{1,64}}@){_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}", re.ASCII
)


def mail_address(text: str) -> str:
    """Return an address as mail servers take it, its domain in small letters.

    Raises:
        ValidationFailed: it is none that every server takes; the message does not repeat it.
    """
    trimmed = text[: 2 * ADDRESS_LIMIT].strip()
    if len(trimmed) > ADDRESS_LIMIT or not _ADDRESS.fullmatch(trimmed):
        raise ValidationFailed(
            "This is no e-mail address in ASCII, such as name@example.org.", path=("address",)
        )
    local, _, domain = trimmed.rpartition("@")
    return f"{local}@{domain.lower()}"


async def request_code(actor: Actor, work: Work, codes: Codes, text: str) -> UUID:
    """Send a code to an address that notifications shall go to; until it is given, nothing changes.

    An address that waited for its code is dropped.

    Returns:
        The destination that waits for its code, or the one that has this address already.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: the actor is told nothing outside the app.
        ValidationFailed: it is no address.
        RateLimited: too many codes were asked for, by the actor or to the address.
    """
    who = recipient(actor)
    address = mail_address(text)
    await hold(work, who)
    await _drop_pending(work, who)
    current = await _current(work, who)
    is_in_use = current is not None and current.state is DestinationState.ACTIVE
    if current is not None and is_in_use and current.address.casefold() == address.casefold():
        return current.id
    await _count(work, who, codes.hide(address))
    expires_at = work.now + CODE_LIFE
    destination_id = work.new_id()
    await work.session.execute(
        insert(Destination).values(
            id=destination_id,
            **who.columns,
            channel=Channel.EMAIL,
            state=DestinationState.PENDING,
            address=address,
            address_hash=plain_hash(address),
            created_at=work.now,
            expires_at=expires_at,
        )
    )
    await _send(work, destination_id, DeliveryMessage.EMAIL_CODE, expires_at)
    return destination_id


async def count_try(actor: Actor, database: Database) -> UUID | None:
    """Count one try at the code, in a transaction of its own, before it is looked at.

    Returns:
        The destination that waits for its code; None where none does, or all tries are used up.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: the actor is told nothing outside the app.
    """
    who = recipient(actor)
    async with database.write() as work:
        counted: UUID | None = await work.session.scalar(
            update(Destination)
            .where(
                _is(who, DestinationState.PENDING),
                Destination.tries < CODE_TRIES,
                Destination.expires_at > work.now,
            )
            .values(tries=Destination.tries + 1)
            .returning(Destination.id)
        )
        return counted


async def confirm(
    actor: Actor, work: Work, codes: Codes, destination_id: UUID | None, code: str
) -> UUID:
    """Let notifications go to the address whose code this is; the former address is told.

    Args:
        actor: who was sent the code.
        work: the transaction.
        codes: checks it.
        destination_id: what `count_try` counted.
        code: what came.

    Raises:
        ValidationFailed: the code is wrong, too old or was tried too often: which, is not said.
    """
    who = recipient(actor)
    await hold(work, who)
    wrong = ValidationFailed("This is not the code, or no longer: ask for another.", path=("code",))
    if destination_id is None or not codes.is_right(destination_id, code):
        raise wrong
    former = await _current(work, who)
    confirmed = await work.session.scalar(
        update(Destination)
        .where(_is(who, DestinationState.PENDING), Destination.id == destination_id)
        .values(
            state=DestinationState.ACTIVE, confirmed_at=work.now, expires_at=None, refused_at=None
        )
        .returning(Destination.id)
    )
    if confirmed is None:
        raise wrong
    if former is not None:
        await redirect(work, former.id, destination_id)
        await _retire(work, former)
    return destination_id


async def remove_address(actor: Actor, work: Work) -> UUID:
    """Send no more e-mails, and drop an address that waits for its code.

    Returns:
        The destination that is gone.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: there is no address.
    """
    who = recipient(actor)
    await hold(work, who)
    dropped = await _drop_pending(work, who)
    current = await _current(work, who)
    if current is not None:
        await work.session.execute(
            delete(Delivery).where(
                Delivery.destination_id == current.id,
                Delivery.message == DeliveryMessage.NOTIFICATION,
            )
        )
        await _retire(work, current)
        return current.id
    if dropped is None:
        raise NotFound()
    return dropped


def _is(who: Recipient, *states: DestinationState) -> ColumnElement[bool]:
    return (
        who.owns(Destination)
        & (Destination.channel == Channel.EMAIL)
        & Destination.state.in_(states)
    )


async def _current(work: Work, who: Recipient) -> Destination | None:
    return await work.session.scalar(
        select(Destination).where(_is(who, DestinationState.ACTIVE, DestinationState.UNDELIVERABLE))
    )


async def _drop_pending(work: Work, who: Recipient) -> UUID | None:
    dropped: UUID | None = await work.session.scalar(
        delete(Destination)
        .where(_is(who, DestinationState.PENDING))
        .returning(Destination.id)
        .execution_options(synchronize_session=False)
    )
    return dropped


async def _retire(work: Work, former: Destination) -> None:
    """Tell an address that it is used no more; one that does not exist is just deleted."""
    if former.state is DestinationState.UNDELIVERABLE:
        await work.session.delete(former)
        await work.session.flush()
        return
    former.state = DestinationState.RETIRED
    await work.session.flush()
    await _send(work, former.id, DeliveryMessage.EMAIL_RETIRED)


async def _send(
    work: Work, destination_id: UUID, message: DeliveryMessage, expires_at: datetime | None = None
) -> None:
    row = queued(work, destination_id, Channel.EMAIL, message, expires_at=expires_at)
    await work.session.execute(insert(Delivery).values(row))


async def _count(work: Work, who: Recipient, address_hash: bytes) -> None:
    """Count one code, unless there were too many; the recipient's settings are locked."""
    number = int.from_bytes(address_hash[:8], signed=True)
    await work.session.execute(select(func.pg_advisory_xact_lock(number)))
    for filter_, limit in (
        (who.owns(CodeRequest), CODES_OF_RECIPIENT),
        (CodeRequest.address_hash == address_hash, CODES_TO_ADDRESS),
    ):
        counted = select(func.count(), func.min(CodeRequest.requested_at)).where(
            filter_, CodeRequest.requested_at > work.now - CODES_WINDOW
        )
        count, first = (await work.session.execute(counted)).one()
        if count >= limit:
            wait: Any = first + CODES_WINDOW - work.now
            raise RateLimited(retry_after=max(math.ceil(wait.total_seconds()), 1))
    await work.session.execute(
        insert(CodeRequest).values(
            id=work.new_id(), **who.columns, address_hash=address_hash, requested_at=work.now
        )
    )
