"""Decisions about notifications that leave the server. Pure."""

from __future__ import annotations

import hmac
import re
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from carnet.errors import ValidationFailed
from carnet.notifications.tables import NotificationKind

MANDATORY = frozenset(
    {
        NotificationKind.RECORD_NOTICE,
        NotificationKind.RECORD_OPENED,
        NotificationKind.RECORD_DELETION_DUE,
        NotificationKind.MAJORITY,
        NotificationKind.RESULT_AWAITS,
        NotificationKind.EMERGENCY_ACCESS,
    }
)
"""Kinds that nobody can silence: law or safety wants the holder to be told (Code de la santé
publique, R1111-28, R1111-34, R1111-49 and R1111-53)."""

CODE_DIGITS = 8
CODE_LIFE = timedelta(hours=1)
CODE_TRIES = 5
CODES_A_DAY = 5  # sent for one account
DEVICES_LIMIT = 10  # browsers of one account
ADDRESS_LIMIT = 254  # characters (RFC 5321, 4.5.3.1)
ENDPOINT_LIMIT = 1000
LONGEST_WAIT = timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=3)
FIRST_WAIT = timedelta(seconds=30)

_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,200}={0,2}", re.ASCII)


def code_of(server_key: bytes, destination_id: UUID, issue: int) -> str:
    """Return the code that confirms an address. It is stored nowhere."""
    message = b"carnet mail code v1" + destination_id.bytes + issue.to_bytes(4)
    number = int.from_bytes(hmac.digest(server_key, message, "sha256")[:8])
    return f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def same_code(one: str, other: str) -> bool:
    """Compare codes in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def checked_address(text: str) -> str:
    """Return an e-mail address as it is kept.

    Raises:
        ValidationFailed: it is none that a message can be sent to.
    """
    address = text.strip()
    if len(address) > ADDRESS_LIMIT or not address.isascii() or not _ADDRESS.fullmatch(address):
        raise ValidationFailed("This is no e-mail address.", path=("address",))
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def checked_endpoint(text: str, *, allows_private: bool) -> str:
    """Return a push endpoint.

    Raises:
        ValidationFailed: it is no https URL, or names a host by an address.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _no_endpoint() from None
    is_plain = allows_private and parts.scheme == "http"
    if len(text) > ENDPOINT_LIMIT or not text.isascii():
        raise _no_endpoint()
    if parts.scheme != "https" and not is_plain:
        raise _no_endpoint()
    if not host or parts.username or parts.password or parts.fragment:
        raise _no_endpoint()
    if not allows_private and (_is_address(host) or "." not in host):
        raise _no_endpoint()
    return text


def checked_key(text: str, *path: str) -> str:
    """Return a key of a push subscription.

    Raises:
        ValidationFailed: it is not base64url of a plausible length.
    """
    if not _KEY.fullmatch(text):
        raise ValidationFailed("This is no key of a push subscription.", path=path)
    return text


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, to six hours."""
    factor: int = 2 ** min(attempts, 20)
    return min(FIRST_WAIT * factor, LONGEST_WAIT)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _no_endpoint() -> ValidationFailed:
    return ValidationFailed("This is no endpoint of a push service.", path=("endpoint",))
