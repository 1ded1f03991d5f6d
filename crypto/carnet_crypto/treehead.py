"""What is signed of a log: its name, size and root at a moment."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime

DOMAIN = b"carnet tree head v1\x00"


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The state of a log; ``signature`` is Ed25519 over `signed_bytes`."""

    log: str
    size: int
    root: bytes
    signed_at: datetime
    key_id: str
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return tree_head_bytes(self.log, self.size, self.root, self.signed_at, self.key_id)


def tree_head_bytes(log: str, size: int, root: bytes, signed_at: datetime, key_id: str) -> bytes:
    """Return the one byte form of a head.

    The domain; the log's name and the key's id, each with its length in one byte before it; the
    size and the time in milliseconds since 1970, each as 8 bytes, the most significant first; the
    32 bytes of the root.
    """
    milliseconds = int(signed_at.timestamp() * 1000)
    names = b"".join(bytes([len(text)]) + text for text in (log.encode(), key_id.encode()))
    return DOMAIN + names + struct.pack(">QQ", size, milliseconds) + root
