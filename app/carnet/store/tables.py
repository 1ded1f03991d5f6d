"""Tables that belong to no area: blobs, idempotency keys, the sandbox's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class BlobState(StrEnum):
    """PENDING while bytes arrive; READY once all are stored and counted."""

    PENDING = "PENDING"
    READY = "READY"


class Blob(Base):
    """One stored object. ``wrapped_key`` opens only with the key-encryption key ``kek_id``.

    ``size_bytes`` counts against the owner's quota, and while PENDING it is what was announced.
    ``claimed_at`` is set when a document or message refers to the blob; until then it expires.
    ``owner`` is ``kind:uuid`` of the actor who uploaded it, the only one who may refer to it.
    """

    __tablename__ = "blobs"
    __table_args__ = (
        CheckConstraint(
            "state = 'PENDING' OR (size_bytes IS NOT NULL AND sha256 IS NOT NULL)",
            name="ready_is_whole",
        ),
        Index("ix_blobs_expires_at", "expires_at", postgresql_where="claimed_at IS NULL"),
        Index("ix_blobs_owner", "owner", postgresql_where="claimed_at IS NULL"),
    )

    id: Mapped[Id]
    owner: Mapped[str]
    state: Mapped[BlobState] = mapped_column(enum_column(BlobState))
    media_type: Mapped[str]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    kek_id: Mapped[str]
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The answer given to one key of one actor, so that a repeated mutation repeats it."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("actor", "key"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )

    id: Mapped[Id]
    actor: Mapped[str]
    key: Mapped[UUID]
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ClockOffset(Base):
    """How far the sandbox's clock was moved. At most one row, and none in production."""

    __tablename__ = "clock_offset"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    moved_by: Mapped[timedelta]
