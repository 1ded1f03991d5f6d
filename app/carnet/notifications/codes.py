"""Codes that prove whose mailbox it is. They follow from a key that is not in the database, so
neither a code nor a hash that could be guessed through is kept anywhere."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from carnet.notifications.rules import CODE_DIGITS


class Codes:
    """Makes and checks codes, and hides addresses that are only counted."""

    def __init__(self, server_key: bytes) -> None:
        self._code_key = hmac.digest(server_key, b"carnet e-mail codes v1", "sha256")
        self._address_key = hmac.digest(server_key, b"carnet e-mail addresses v1", "sha256")

    def code(self, destination_id: UUID) -> str:
        """Return the code of one request, in digits."""
        digest = hmac.digest(self._code_key, destination_id.bytes, "sha256")
        return f"{int.from_bytes(digest[:16]) % 10**CODE_DIGITS:0{CODE_DIGITS}}"

    def is_right(self, destination_id: UUID, given: str) -> bool:
        """Tell whether this is the code; how long that takes tells nothing."""
        wanted = self.code(destination_id).encode()
        return hmac.compare_digest(wanted, "".join(given[:32].split()).encode(errors="replace"))

    def hide(self, address: str) -> bytes:
        """Return what stands for an address where it is only counted."""
        return hmac.digest(self._address_key, address.casefold().encode(), "sha256")


def plain_hash(address: str) -> bytes:
    """Return the SHA-256 by which an endpoint is found again."""
    return hashlib.sha256(address.encode()).digest()
