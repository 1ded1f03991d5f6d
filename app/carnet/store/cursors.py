"""Cursors of streams: places that a client keeps and hands back, sealed.

A number in the clear would tell a client who skips from 7 to 9 that something happened which they
may not see, so a cursor is encrypted; being authenticated too, it cannot be made up. The cursor of
an event is the same in every process with the same key. One of the end of a stream is salted:
compared with an older one, it would tell whether something happened in between.
"""

from __future__ import annotations

import hashlib
import struct
from secrets import token_bytes
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from carnet.errors import BadCursor
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

CURSOR_LIMIT = 200  # characters
_FORM = struct.Struct(">Q8s8s")  # number, what is kept of the event's id, salt


class Cursors:
    """Seals places of streams, under a key that follows from the server's."""

    def __init__(self, server_key: bytes) -> None:
        key = hashlib.sha512(b"carnet stream cursors v1" + server_key).digest()
        self._siv = AESSIV(key)

    def seal(
        self,
        kind: str,
        stream_id: UUID,
        viewer_id: UUID,
        number: int,
        event_id: UUID | None,
        *,
        is_salted: bool = False,
    ) -> str:
        """Return the cursor of a place.

        Args:
            kind: of the subscription; another does not take it.
            stream_id: the stream.
            viewer_id: the account that it is told to; no other may hand it back, or whoever joins
                later could ask for what went before they came.
            number: the last number that was seen; 0 before the first.
            event_id: of the event there; None where there is none, or where it is not kept.
            is_salted: never the same cursor twice.
        """
        salt = token_bytes(8) if is_salted else bytes(8)
        place = _FORM.pack(number, mark_of(event_id), salt)
        sealed = self._siv.encrypt(place, _bound_to(kind, stream_id, viewer_id))
        return to_base64url(sealed)

    def open(self, kind: str, stream_id: UUID, viewer_id: UUID, cursor: str) -> tuple[int, bytes]:
        """Return the number and the mark of the event there, all zero where there is none.

        Raises:
            BadCursor: not a cursor of this subscription to this stream by this account.
        """
        try:
            if len(cursor) > CURSOR_LIMIT:
                raise BadCursor(path=("after",))
            sealed = from_base64url(cursor)
            plain = self._siv.decrypt(sealed, _bound_to(kind, stream_id, viewer_id))
            number, mark, _ = _FORM.unpack(plain)
        except (DecodeError, InvalidTag, ValueError, struct.error):
            raise BadCursor(path=("after",)) from None
        return number, mark


def _bound_to(kind: str, stream_id: UUID, viewer_id: UUID) -> list[bytes]:
    return [kind.encode(), stream_id.bytes, viewer_id.bytes]


def mark_of(event_id: UUID | None) -> bytes:
    """Return what a cursor keeps of an event's id: the random half of a UUIDv7."""
    return event_id.bytes[8:] if event_id else bytes(8)
