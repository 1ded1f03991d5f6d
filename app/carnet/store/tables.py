"""Tables that belong to no area: blobs, idempotency keys, jobs, events, the log, the sandbox's
clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
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


class Job(Base):
    """Work to be done at ``due_at`` or as soon after as a process is there to do it.

    A job is known by its kind and key: asking for it again moves it. ``leased_until`` is by the
    database's own clock; ``due_at`` by the one that the sandbox can move.
    """

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("kind", "key"), Index("ix_jobs_due_at", "due_at"))

    id: Mapped[Id]
    kind: Mapped[str]
    key: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    leased_by: Mapped[UUID | None]  # one taking of the job; a later one ends its say
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]  # the error's type; its text may hold what people said
    created_at: Mapped[datetime]


class EventStream(Base):
    """What has an order of its own: a record, a thread, or what one person is told (their inbox).

    ``last_number`` is taken under the row's lock in the transaction of the change, so number order
    is commit order. ``pruned_to`` is the last number whose event was deleted for its age.
    """

    __tablename__ = "event_streams"
    __table_args__ = (CheckConstraint("pruned_to <= last_number", name="pruned_in_range"),)

    id: Mapped[Id]  # of the record, thread, person or professional; zero for the operators
    last_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    pruned_to: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class Event(Base):
    """Something that happened, at its place in one stream. Ids only; what they are of is read
    with the rights of whoever is told.

    ``id`` is the same in every stream that the event is in. It refers to nothing by foreign key:
    after a deletion the ids in it lead nowhere.
    """

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_at", "at"),)

    stream_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID]
    kind: Mapped[str]
    subject_id: Mapped[UUID]
    record_id: Mapped[UUID | None]
    at: Mapped[datetime]


class LogNode(Base):
    """The hash of a complete subtree of a transparency log (RFC 9162); level 0 are the leaves."""

    __tablename__ = "log_nodes"
    __table_args__ = (CheckConstraint("octet_length(hash) = 32", name="hash_length"),)

    log: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class TreeHead(Base):
    """A signed tree head: the log's size and root at a moment."""

    __tablename__ = "tree_heads"

    log: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    signed_at: Mapped[datetime]
    key_id: Mapped[str]
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class ClockOffset(Base):
    """How far the sandbox's clock was moved. At most one row, and none in production."""

    __tablename__ = "clock_offset"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    moved_by: Mapped[timedelta]
