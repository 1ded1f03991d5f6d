"""Puts what people are told on its way: a delivery for each channel and destination, in the
transaction of what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from carnet.notifications.recipients import may_sign_in
from carnet.notifications.rules import NOTIFICATION_LIFE, Choices, is_urgent, outgoing_channels
from carnet.notifications.tables import (
    Channel,
    CodeRequest,
    Delivery,
    DeliveryMessage,
    DeliveryState,
    Destination,
    DestinationState,
    Notification,
    NotificationKind,
    NotificationSettings,
)
from carnet.store.database import Work

KEPT_FOR = timedelta(days=7)  # what was sent, refused or given up
COUNTED_FOR = timedelta(days=1)  # codes, and addresses that were not confirmed or are no more
GIVEN_UP_AFTER = timedelta(hours=1)  # more than its time, where no process sends over its channel


async def enqueue(work: Work, told: Sequence[Notification]) -> None:
    """Queue what was just told, for those who have set a channel up."""
    recipients = [row for row in told if row.person_id or row.professional_id]
    if not recipients:
        return
    choices = await _choices(work, recipients)
    if not choices:
        return
    reachable = await _reachable(work, list(choices))
    rows: list[dict[str, Any]] = []
    for row in recipients:
        who = _key(row.person_id, row.professional_id)
        if who not in choices:
            continue
        theirs = reachable.get(who, [])
        set_up = {channel for _, channel in theirs}
        going = outgoing_channels(row.kind, choices[who], set_up)
        rows += [
            queued(
                work,
                destination_id,
                channel,
                DeliveryMessage.NOTIFICATION,
                notification_id=row.id,
                kind=row.kind,
            )
            for destination_id, channel in theirs
            if channel in going
        ]
    if rows:
        await work.session.execute(insert(Delivery), rows)


def queued(
    work: Work,
    destination_id: UUID,
    channel: Channel,
    message: DeliveryMessage,
    *,
    notification_id: UUID | None = None,
    kind: NotificationKind | None = None,
    expires_at: datetime | None = None,
) -> dict[str, Any]:
    """Return the columns of a new delivery.

    Args:
        work: the transaction that it is part of.
        destination_id: where it goes.
        channel: the destination's.
        message: what it says.
        notification_id: the notification, where it is one.
        kind: of the notification.
        expires_at: when it is worth nothing any more; by default as for a notification.
    """
    return {
        "id": work.new_id(),
        "notification_id": notification_id,
        "destination_id": destination_id,
        "channel": channel,
        "message": message,
        "state": DeliveryState.QUEUED,
        "is_urgent": is_urgent(message, kind),
        "due_at": work.now,
        "attempts": 0,
        "created_at": work.now,
        "expires_at": expires_at or work.now + NOTIFICATION_LIFE,
    }


async def redirect(work: Work, from_id: UUID, to_id: UUID) -> None:
    """Send to another destination what still waits for one; also what just fails to go there."""
    await work.session.execute(
        update(Delivery)
        .where(
            Delivery.destination_id == from_id,
            Delivery.state == DeliveryState.QUEUED,
            Delivery.message == DeliveryMessage.NOTIFICATION,
        )
        .values(destination_id=to_id)
    )


async def forget(work: Work, limit: int) -> bool:
    """Give up what nobody took, and delete what is done with and what was never confirmed.

    Returns:
        Whether there may be more.

    Args:
        work: the transaction.
        limit: rows of each kind at most.
    """
    waiting = Delivery.state == DeliveryState.QUEUED
    expired = select(Delivery.id).where(waiting, Delivery.expires_at < work.now - GIVEN_UP_AFTER)
    done = select(Delivery.id).where(~waiting, Delivery.finished_at < work.now - KEPT_FOR)
    leaving = select(Destination.id).where(
        Destination.state.in_([DestinationState.PENDING, DestinationState.RETIRED]),
        Destination.created_at < work.now - COUNTED_FOR,
        ~select(Delivery.id).where(Delivery.destination_id == Destination.id, waiting).exists(),
    )
    counted = select(CodeRequest.id).where(CodeRequest.requested_at < work.now - COUNTED_FOR)
    given_up = {
        "state": DeliveryState.GIVEN_UP,
        "finished_at": work.now,
        "last_error": "NobodySentIt",
        "leased_until": None,
        "leased_by": None,
    }
    statements = (
        update(Delivery)
        .where(Delivery.id.in_(expired.limit(limit).with_for_update(skip_locked=True)))
        .values(given_up)
        .returning(Delivery.id),
        delete(Delivery).where(Delivery.id.in_(done.limit(limit))).returning(Delivery.id),
        delete(Destination)
        .where(Destination.id.in_(leaving.limit(limit)))
        .returning(Destination.id),
        delete(CodeRequest)
        .where(CodeRequest.id.in_(counted.limit(limit)))
        .returning(CodeRequest.id),
    )
    is_full = False
    for statement in statements:
        is_full |= len((await work.session.scalars(statement)).all()) == limit
    return is_full


async def _choices(work: Work, told: Sequence[Notification]) -> dict[UUID, Choices]:
    """Return what the recipients chose who ever set something up.

    Their settings are share-locked: an address that is being replaced gets what comes before, and
    its successor what comes after.
    """
    statement = (
        select(
            NotificationSettings.person_id,
            NotificationSettings.professional_id,
            NotificationSettings.choices,
        )
        .where(_of_any(NotificationSettings, [_key(r.person_id, r.professional_id) for r in told]))
        .order_by(NotificationSettings.id)
        .with_for_update(read=True)
    )
    return {
        _key(person_id, professional_id): choices
        for person_id, professional_id, choices in await work.session.execute(statement)
    }


async def _reachable(
    work: Work, recipient_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, Channel]]]:
    """Return where they are reached; none of it is deleted before the transaction ends.

    Whether they may still be written to is asked again when it is sent.
    """
    statement = (
        select(
            Destination.id, Destination.person_id, Destination.professional_id, Destination.channel
        )
        .where(
            Destination.state == DestinationState.ACTIVE,
            _of_any(Destination, recipient_ids),
            may_sign_in(),
        )
        .order_by(Destination.id)
        .with_for_update(read=True, key_share=True)
    )
    found: defaultdict[UUID, list[tuple[UUID, Channel]]] = defaultdict(list)
    for id_, person_id, professional_id, channel in await work.session.execute(statement):
        found[_key(person_id, professional_id)].append((id_, channel))
    return found


def _of_any(
    table: type[Destination] | type[NotificationSettings], recipient_ids: Sequence[UUID]
) -> ColumnElement[bool]:
    return or_(table.person_id.in_(recipient_ids), table.professional_id.in_(recipient_ids))


def _key(person_id: UUID | None, professional_id: UUID | None) -> UUID:
    """Return the id that a recipient is known by; a person's is never a professional's."""
    id_ = person_id or professional_id
    if id_ is None:
        raise ValueError("operators have no destinations")
    return id_
