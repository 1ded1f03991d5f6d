"""Identifiers that we give: UUIDv7, so that indexes grow at one end, from a time passed in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from uuid_utils import uuid7


def new_id(now: datetime) -> UUID:
    """Return a fresh UUIDv7 whose time part is ``now``."""
    nanoseconds = int(now.timestamp() * 1_000_000) * 1_000
    return UUID(bytes=uuid7(nanoseconds=nanoseconds).bytes)
