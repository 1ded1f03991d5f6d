"""Browsers that notifications are pushed to: their subscriptions, added and removed.

An endpoint is a URL that this server will send requests to, and anybody may name one. So it must be
https on the usual port and of a push service on the list, and never an address of a private
network; `carnet.notifications.push` looks again at the address that the name really has.

A subscription is its endpoint and the two keys that the browser made for it. Whoever gives all
three has the browser in hand: it follows them, and who had it before is pushed nothing there any
more. Whoever gives the endpoint with other keys has read it somewhere. That is taken as any new
browser is, so it tells nothing of whose it was, and takes nothing away; what is pushed under keys
that are not the browser's, the browser drops.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from carnet.errors import NotFound, QuotaExceeded, ValidationFailed
from carnet.notifications.codes import plain_hash
from carnet.notifications.recipients import Recipient, hold, recipient
from carnet.notifications.rules import DEVICES_LIMIT
from carnet.notifications.tables import Channel, Destination, DestinationState
from carnet.people.actor import Actor
from carnet.store.database import Work

ENDPOINT_LIMIT = 2000  # characters; push services use up to about 600
NAME_LIMIT = 100  # characters
PUBLIC_KEY_BYTES = 65  # an uncompressed point of P-256 (RFC 8291, 3.2)
AUTH_BYTES = 16

USUAL_HOSTS = (
    "fcm.googleapis.com",
    "*.push.apple.com",
    "updates.push.services.mozilla.com",
    "*.notify.windows.com",
)
"""The push services of Chrome, Safari, Firefox and Edge."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """Which endpoints are taken.

    ``hosts`` are names, ``*.name`` for all below one, ``*`` for every public one.
    ``allows_private``: http and private networks too, for development and tests.
    """

    hosts: tuple[str, ...] = USUAL_HOSTS
    allows_private: bool = False

    def check(self, endpoint: str) -> str:
        """Return the endpoint.

        Raises:
            ValidationFailed: it is not taken; the message does not repeat it.
        """
        if len(endpoint) > ENDPOINT_LIMIT or not endpoint.isascii() or not endpoint.isprintable():
            raise _bad("The endpoint is too long or no URL.")
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _bad("The endpoint is no URL.") from None
        if " " in endpoint or "\\" in endpoint or "@" in parts.netloc or parts.fragment or not host:
            raise _bad("The endpoint is no URL of a push service.")
        if self.allows_private:
            if parts.scheme not in {"https", "http"}:
                raise _bad("The endpoint must be an https URL.")
            return endpoint
        if parts.scheme != "https" or port not in {None, 443}:
            raise _bad("The endpoint must be an https URL on the usual port.")
        if _is_address(host) or not any(_matches(host, name) for name in self.hosts):
            raise _bad("The endpoint is not of a push service that this server knows.")
        return endpoint


async def add_device(
    actor: Actor,
    work: Work,
    rules: EndpointRules,
    *,
    endpoint: str,
    p256dh: bytes,
    auth: bytes,
    name: str | None = None,
) -> UUID:
    """Push to a browser from now on. The same endpoint again has the new keys and name.

    Somebody else's subscription becomes the actor's; see the module for what proves it.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: the actor is told nothing outside the app.
        ValidationFailed: the endpoint is not taken, or the keys are none.
        QuotaExceeded: there are too many browsers; remove one.
    """
    who = recipient(actor)
    rules.check(endpoint)
    _check_keys(p256dh, auth)
    label = None if name is None else " ".join(name[: 2 * NAME_LIMIT].split())[:NAME_LIMIT] or None
    await hold(work, who)
    hashed = plain_hash(endpoint)
    number = int.from_bytes(hashed[:8], signed=True)
    await work.session.execute(select(func.pg_advisory_xact_lock(number)))
    same = (Destination.channel == Channel.WEB_PUSH) & (Destination.address_hash == hashed)
    await _take_from_others(work, who, same, p256dh, auth)
    values = {
        "p256dh": p256dh,
        "auth": auth,
        "name": label,
        "state": DestinationState.ACTIVE,
        "confirmed_at": work.now,
        "refused_at": None,
    }
    known: UUID | None = await work.session.scalar(
        update(Destination)
        .where(same, who.owns(Destination))
        .values(values)
        .returning(Destination.id)
    )
    if known is not None:
        return known
    count = await work.session.scalar(
        select(func.count()).where(who.owns(Destination), Destination.channel == Channel.WEB_PUSH)
    )
    if (count or 0) >= DEVICES_LIMIT:
        raise QuotaExceeded(f"At most {DEVICES_LIMIT} browsers: remove one first.")
    destination_id = work.new_id()
    await work.session.execute(
        insert(Destination).values(
            id=destination_id,
            **who.columns,
            channel=Channel.WEB_PUSH,
            address=endpoint,
            address_hash=hashed,
            created_at=work.now,
            **values,
        )
    )
    return destination_id


async def remove_device(actor: Actor, work: Work, destination_id: UUID) -> UUID:
    """Push to a browser no more.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: it is not one of the actor's.
    """
    who = recipient(actor)
    await hold(work, who)
    removed: UUID | None = await work.session.scalar(
        delete(Destination)
        .where(
            Destination.id == destination_id,
            who.owns(Destination),
            Destination.channel == Channel.WEB_PUSH,
        )
        .returning(Destination.id)
    )
    if removed is None:
        raise NotFound()
    return removed


async def _take_from_others(
    work: Work, who: Recipient, same: ColumnElement[bool], p256dh: bytes, auth: bytes
) -> None:
    """End the subscription for others who have it, with what waits for them there.

    ``auth`` is compared here, for how long an index looks tells of what it holds.
    """
    held = select(
        Destination.id, Destination.auth, Destination.person_id, Destination.professional_id
    ).where(same, Destination.p256dh == p256dh)
    taken = [
        id_
        for id_, secret, *owner in await work.session.execute(held)
        if owner != [who.person_id, who.professional_id]
        and hmac.compare_digest(secret or b"", auth)
    ]
    await work.session.execute(delete(Destination).where(Destination.id.in_(taken)))


def _check_keys(p256dh: bytes, auth: bytes) -> None:
    if len(auth) != AUTH_BYTES:
        raise ValidationFailed(f"auth has {AUTH_BYTES} bytes.", path=("auth",))
    try:
        if len(p256dh) != PUBLIC_KEY_BYTES:
            raise ValueError
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        raise ValidationFailed(
            f"p256dh is a point of P-256, {PUBLIC_KEY_BYTES} bytes.", path=("p256dh",)
        ) from None


def _matches(host: str, name: str) -> bool:
    wanted = name.lower()
    if wanted == "*":
        return "." in host
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    return host == wanted


def _is_address(host: str) -> bool:
    """Tell whether the host is an address: names of push services never are."""
    try:
        ip_address(host)
    except ValueError:
        return host.rpartition(".")[2].isdigit()  # 127.1 and the like, which resolvers take too
    return True


def _bad(message: str) -> ValidationFailed:
    return ValidationFailed(message, path=("endpoint",))
