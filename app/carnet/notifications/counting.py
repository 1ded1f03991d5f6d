"""How the queue stands, in numbers and kinds of failure only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from carnet.notifications.tables import (
    Channel,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
)
from carnet.people.actor import Actor, require_operator
from carnet.store.database import Work

FAILURES_SHOWN = 10  # kinds


@dataclass(frozen=True, slots=True)
class Standing:
    """One channel: what waits, what became of the last days, and whom it reaches."""

    queued: int
    failed_before: int  # of the queued, those that were tried
    oldest_at: datetime | None  # of the queued
    sent: int
    refused: int
    given_up: int
    destinations: int  # in use
    undeliverable: int
    failures: dict[str, int]


async def standing(actor: Actor, work: Work, channel: Channel) -> Standing:
    """Return how a channel stands.

    Raises:
        AccessDenied: the actor is no operator.
        Unauthenticated: nobody has signed in.
    """
    require_operator(actor)
    state = Delivery.state
    queued = state == DeliveryState.QUEUED
    counts = (
        await work.session.execute(
            select(
                func.count().filter(queued),
                func.count().filter(queued, Delivery.last_error.is_not(None)),
                func.min(Delivery.created_at).filter(queued),
                func.count().filter(state == DeliveryState.SENT),
                func.count().filter(state == DeliveryState.REFUSED),
                func.count().filter(state == DeliveryState.GIVEN_UP),
            ).where(Delivery.channel == channel)
        )
    ).one()
    reached = (
        await work.session.execute(
            select(
                func.count().filter(Destination.state == DestinationState.ACTIVE),
                func.count().filter(Destination.state == DestinationState.UNDELIVERABLE),
            ).where(Destination.channel == channel)
        )
    ).one()
    failures = await work.session.execute(
        select(Delivery.last_error, func.count())
        .where(Delivery.channel == channel, Delivery.last_error.is_not(None))
        .group_by(Delivery.last_error)
        .order_by(func.count().desc(), Delivery.last_error)
        .limit(FAILURES_SHOWN)
    )
    named = {error: count for error, count in failures if error is not None}
    return Standing(*counts, *reached, failures=named)
