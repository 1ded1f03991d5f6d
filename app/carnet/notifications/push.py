"""Web Push (RFC 8030): the payload is encrypted for the browser (RFC 8291), the request signed.

The endpoint is a URL that anybody may have named. So a connection is only made to an address of the
public internet, whatever name led to it; redirects are not followed, and no more than a little of
an answer is read.

The libraries are loaded with the first push: they take as long as the rest of the area together.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from carnet.errors import ValidationFailed
from carnet.notifications.devices import EndpointRules
from carnet.notifications.sending import (
    AT_ONCE,
    SEND_WITHIN,
    Gone,
    Later,
    Outcome,
    Parcel,
    Refused,
    Sent,
)
from carnet.notifications.tables import Channel
from carnet.notifications.vapid import VapidKey

if TYPE_CHECKING:
    import aiohttp

PADDED_BYTES = 1024  # of every payload, so that its length tells nothing
ANSWER_LIMIT = 1024  # bytes of an answer that are read, to use the connection again
CONNECT_WITHIN = 10  # seconds
RETRY_STATUSES = {408, 425, 429}

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


class PushSender:
    """Pushes to browsers.

    Args:
        key: by which push services know this server.
        contact: of the operator, a ``mailto:`` or ``https:`` URL (RFC 8292, 2.1).
        link: the address of the app.
        rules: which endpoints are taken.
    """

    channel = Channel.WEB_PUSH

    def __init__(self, key: VapidKey, contact: str, link: str, rules: EndpointRules) -> None:
        self.key = key
        self.contact = contact
        self.link = link
        self.rules = rules

    @asynccontextmanager
    async def run(self) -> AsyncIterator[PushRun]:
        """Open connections as they are needed, and close them."""
        for name in ("aiohttp", "pywebpush"):
            await asyncio.to_thread(import_module, name)  # so that nobody waits for it
        import aiohttp

        connector = aiohttp.TCPConnector(
            limit=AT_ONCE, socket_factory=None if self.rules.allows_private else public_socket
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=SEND_WITHIN, connect=CONNECT_WITHIN),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            yield PushRun(self, session)

    def payload(self, parcel: Parcel) -> bytes:
        """Return what the browser's service worker gets: JSON, padded with spaces."""
        shape = {
            "title": parcel.text.title,
            "body": parcel.text.body,
            "url": self.link,
            "tag": parcel.subject_id.hex,
        }
        return orjson.dumps(shape).ljust(PADDED_BYTES)


class PushRun:
    """Some pushes over a few connections."""

    def __init__(self, sender: PushSender, session: aiohttp.ClientSession) -> None:
        self._sender = sender
        self._session = session

    async def send(self, parcel: Parcel) -> Outcome:
        """Push one message; see `carnet.notifications.sending.Run`."""
        import aiohttp

        try:
            self._sender.rules.check(parcel.address)  # the list may have changed since
        except ValidationFailed:
            return Refused("EndpointRefused", is_undeliverable=True)
        parts = urlsplit(parcel.address)
        origin = f"{parts.scheme}://{parts.netloc}"
        headers = {
            **self._sender.key.headers(origin, self._sender.contact, int(time.time())),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(int(parcel.lives_for.total_seconds()), 0)),
            "Topic": parcel.subject_id.hex,  # 32 characters: sent twice, it is shown once
            "Urgency": "high" if parcel.is_urgent else "normal",
        }
        try:
            body = self._encrypt(parcel)
            async with self._session.post(
                parcel.address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(ANSWER_LIMIT)
                return _outcome(answer.status, answer.headers.get("Retry-After"))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
            return Later(type(error).__name__)

    def _encrypt(self, parcel: Parcel) -> bytes:
        """Encrypt for the browser; half a millisecond, so it stays on the event loop."""
        from pywebpush import WebPusher

        keys = {
            "p256dh": base64.urlsafe_b64encode(parcel.p256dh or b"").decode(),
            "auth": base64.urlsafe_b64encode(parcel.auth or b"").decode(),
        }
        pusher = WebPusher({"endpoint": parcel.address, "keys": keys})
        encrypted: bytes = pusher.encode(self._sender.payload(parcel), "aes128gcm")["body"]
        return encrypted


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address of the public internet, as aiohttp's ``socket_factory``.

    It is asked with the very address that is connected to, so a name that leads elsewhere the next
    time it is looked up gains nothing.

    Raises:
        OSError: the address is of this machine, of a private network or otherwise not public.
    """
    family, kind, protocol, _, where = address
    if not is_public(str(where[0])):
        raise PermissionError("not an address of the public internet")
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    return made


def is_public(text: str) -> bool:
    """Tell whether an IP address is one of the public internet, in whatever form it is wrapped."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
    return address.is_global and not address.is_multicast and not address.is_reserved


def _outcome(status: int, retry_after: str | None) -> Outcome:
    if 200 <= status < 300:
        return Sent()
    failure = f"HTTP {status}"
    if status in {404, 410}:
        return Gone(failure)
    if status in RETRY_STATUSES or status >= 500:
        return Later(failure, _wait(retry_after))
    return Refused(failure)


def _wait(retry_after: str | None) -> timedelta:
    """Return how long the service asks to wait: seconds or a date (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()[:64]
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**6))
    try:
        return max(parsedate_to_datetime(text) - datetime.now(UTC), timedelta())
    except (ValueError, TypeError):
        return timedelta()
