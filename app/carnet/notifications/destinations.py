"""Where somebody is told outside the app: what they do with addresses, browsers and preferences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, false, func, select
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import (
    AccessDenied,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from carnet.notifications import rules
from carnet.notifications.tables import (
    Channel,
    Delivery,
    Destination,
    Language,
    NotificationKind,
    Purpose,
    Silence,
)
from carnet.people.actor import Actor, Anonymous, Patient, Professional
from carnet.people.tables import Account
from carnet.store.database import Work

DAY = timedelta(days=1)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the one filter on destinations: each sees those of their own account."""
    match actor:
        case Patient(account_id=id_) | Professional(account_id=id_):
            return Destination.account_id == id_
    return false()


async def by_ids(actor: Actor, work: Work, ids: Sequence[UUID]) -> dict[UUID, Destination]:
    """Return those of the destinations that are the actor's and in use."""
    statement = select(Destination).where(
        Destination.id.in_(ids), visible_to(actor), Destination.ended_at.is_(None)
    )
    return {row.id: row for row in await work.session.scalars(statement)}


async def of_accounts(
    actor: Actor, work: Work, account_ids: Sequence[UUID]
) -> dict[UUID, list[Destination]]:
    """Return the destinations in use of the actor's account, the oldest first."""
    statement = (
        select(Destination)
        .where(
            Destination.account_id.in_(account_ids),
            visible_to(actor),
            Destination.ended_at.is_(None),
        )
        .order_by(Destination.created_at, Destination.id)
    )
    found: dict[UUID, list[Destination]] = {}
    for row in await work.session.scalars(statement):
        found.setdefault(row.account_id, []).append(row)
    return found


async def silences_of(
    actor: Actor, work: Work, account_ids: Sequence[UUID]
) -> dict[UUID, frozenset[tuple[NotificationKind, Channel]]]:
    """Return what the actor's account does not want."""
    own = _account_of(actor)
    if own not in account_ids:
        return {}
    rows = await work.session.execute(
        select(Silence.kind, Silence.channel).where(Silence.account_id == own)
    )
    return {own: frozenset((kind, channel) for kind, channel in rows)}


async def set_email(actor: Actor, work: Work, address: str, language: Language) -> UUID:
    """Take an e-mail address, and send it the code that confirms it.

    Returns:
        The id of the destination. An address that is in use stays until this is confirmed.

    Raises:
        ValidationFailed: it is no address.
        RateLimited: too many codes were sent today.
    """
    account_id = await _locked(actor, work)
    checked = rules.checked_address(address)
    sent = select(func.count()).select_from(Delivery).join(Destination)
    today = sent.where(
        Destination.account_id == account_id,
        Delivery.purpose == Purpose.CONFIRMATION,
        Delivery.created_at > work.now - DAY,
    )
    if (await work.session.scalar(today) or 0) >= rules.CODES_A_DAY:
        raise RateLimited("Too many codes were sent today.", retry_after=3600)
    theirs = (
        Destination.account_id == account_id,
        Destination.channel == Channel.EMAIL,
        Destination.confirmed_at.is_(None),
        Destination.address != checked,
    )
    for row in await work.session.scalars(
        select(Destination).where(*theirs, Destination.ended_at.is_(None))
    ):
        row.ended_at = work.now
    destination = await work.session.scalar(
        select(Destination).where(
            Destination.account_id == account_id,
            Destination.channel == Channel.EMAIL,
            Destination.address == checked,
        )
    )
    if destination is None:
        destination = Destination(
            id=work.new_id(),
            account_id=account_id,
            channel=Channel.EMAIL,
            address=checked,
            issue=0,
            tries=0,
            created_at=work.now,
        )
        work.session.add(destination)
    if destination.ended_at is not None:
        destination.ended_at = destination.confirmed_at = None
    destination.language = language
    if destination.confirmed_at is None:
        destination.issue += 1
        destination.tries = 0
        destination.code_sent_at = work.now
        await work.session.flush()
        _queue(work, destination, Purpose.CONFIRMATION)
    await work.session.flush()
    return destination.id


async def confirm_email(actor: Actor, work: Work, server_key: bytes, code: str) -> UUID:
    """Confirm the address that was set last; the one before is told, and ends.

    Returns:
        The id of the destination; its ``confirmed_at`` stays None where the code is wrong, which
        is counted, and so must be committed.

    Raises:
        NotFound: no address waits for a code.
        ValidationFailed: the code is too old, or was tried too often.
    """
    account_id = await _locked(actor, work)
    waiting = await work.session.scalar(
        select(Destination).where(
            Destination.account_id == account_id,
            Destination.channel == Channel.EMAIL,
            Destination.confirmed_at.is_(None),
            Destination.ended_at.is_(None),
        )
    )
    if waiting is None or waiting.code_sent_at is None:
        raise NotFound()
    if waiting.code_sent_at + rules.CODE_LIFE <= work.now or waiting.tries >= rules.CODE_TRIES:
        raise ValidationFailed("This code is over; ask for another.", path=("code",))
    expected = rules.code_of(server_key, waiting.id, waiting.issue)
    if not rules.same_code(expected, "".join(code.split())):
        waiting.tries += 1
        await work.session.flush()
        return waiting.id
    former = select(Destination).where(
        Destination.account_id == account_id,
        Destination.channel == Channel.EMAIL,
        Destination.confirmed_at.is_not(None),
        Destination.ended_at.is_(None),
    )
    for old in await work.session.scalars(former):
        old.ended_at = work.now
        _queue(work, old, Purpose.ADDRESS_CHANGED)
    waiting.confirmed_at = work.now
    await work.session.flush()
    return waiting.id


async def add_push(
    actor: Actor, work: Work, subscription: PushSubscription, language: Language
) -> UUID:
    """Take a browser's push subscription; the same again changes its keys.

    Raises:
        QuotaExceeded: the account has too many browsers.
    """
    account_id = await _locked(actor, work)
    count = select(func.count()).where(
        Destination.account_id == account_id,
        Destination.channel == Channel.WEB_PUSH,
        Destination.ended_at.is_(None),
        Destination.address != subscription.endpoint,
    )
    if (await work.session.scalar(count) or 0) >= rules.DEVICES_LIMIT:
        raise QuotaExceeded(f"At most {rules.DEVICES_LIMIT} browsers.")
    new = insert(Destination).values(
        id=work.new_id(),
        account_id=account_id,
        channel=Channel.WEB_PUSH,
        address=subscription.endpoint,
        p256dh=subscription.p256dh,
        auth=subscription.auth,
        language=language,
        confirmed_at=work.now,
        created_at=work.now,
    )
    kept = new.on_conflict_do_update(
        index_elements=["account_id", "channel", "address"],
        set_={
            "p256dh": new.excluded.p256dh,
            "auth": new.excluded.auth,
            "language": new.excluded.language,
            "ended_at": None,
        },
    ).returning(Destination.id)
    return (await work.session.scalars(kept)).one()


async def remove(actor: Actor, work: Work, destination_id: UUID) -> UUID:
    """Stop telling an address or a browser.

    Raises:
        NotFound: it is not the actor's, or was removed.
    """
    await _locked(actor, work)
    found = (await by_ids(actor, work, [destination_id])).get(destination_id)
    if found is None:
        raise NotFound()
    found.ended_at = work.now
    await work.session.flush()
    return found.id


async def set_preference(
    actor: Actor, work: Work, kind: NotificationKind, channel: Channel, is_on: bool
) -> UUID:
    """Have a kind of notification sent over a channel, or not; returns the account's id.

    Raises:
        ValidationFailed: the kind is one that everybody is told.
    """
    account_id = await _locked(actor, work)
    if is_on:
        await work.session.execute(
            delete(Silence).where(
                Silence.account_id == account_id, Silence.kind == kind, Silence.channel == channel
            )
        )
        return account_id
    if kind in rules.MANDATORY:
        raise ValidationFailed("Everybody is told this; it cannot be turned off.", path=("kind",))
    silence = insert(Silence).values(account_id=account_id, kind=kind, channel=channel)
    await work.session.execute(silence.on_conflict_do_nothing())
    return account_id


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """What a browser's `PushSubscription` says, checked."""

    endpoint: str
    p256dh: str
    auth: str

    @classmethod
    def of(cls, endpoint: str, p256dh: str, auth: str, *, private: bool) -> PushSubscription:
        """Check what a browser says.

        Raises:
            ValidationFailed: it leads nowhere that one may write to.
        """
        return cls(
            rules.checked_endpoint(endpoint, allows_private=private),
            rules.checked_key(p256dh, "p256dh"),
            rules.checked_key(auth, "auth"),
        )


def _account_of(actor: Actor) -> UUID:
    match actor:
        case Patient(account_id=id_) | Professional(account_id=id_):
            return id_
        case Anonymous():
            raise Unauthenticated()
    raise AccessDenied("access.no-role")


async def _locked(actor: Actor, work: Work) -> UUID:
    """Return the actor's account, locked: what is counted stays so."""
    account_id = _account_of(actor)
    locked = select(Account.id).where(Account.id == account_id).with_for_update()
    if await work.session.scalar(locked) is None:
        raise Unauthenticated()
    return account_id


def _queue(work: Work, destination: Destination, purpose: Purpose) -> None:
    work.session.add(
        Delivery(
            id=work.new_id(),
            destination_id=destination.id,
            purpose=purpose,
            issue=destination.issue,
            due_at=work.now,
            created_at=work.now,
        )
    )
