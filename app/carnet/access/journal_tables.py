"""Tables of the access journal. Rows are only ever added; the server's role can do no more.

They refer to nothing by foreign key: entries outlive what they tell of, and after a deletion the
ids in them lead nowhere.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class JournalChain(StrEnum):
    """The two gapless numberings of a record's entries.

    What concerns a document that its holder may not know of yet is numbered apart, so that the
    main chain has no gap that tells of it.
    """

    MAIN = "MAIN"
    HELD = "HELD"


class JournalEntry(Base):
    """One access or change. Ids only: no name, no text, no health data.

    ``actor_id`` is the person, professional or publisher, or an operator's account;
    ``on_behalf_of`` the holder where a delegate acts. ``details`` are codes such as the states of
    a transition. ``text_digest`` is SHA-256 of salt and text where something was said in words.
    """

    __tablename__ = "journal_entries"
    __table_args__ = (
        UniqueConstraint("record_id", "chain", "number"),
        CheckConstraint("number > 0", name="number_positive"),
        Index("ix_journal_entries_page", "record_id", "at", "id"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID]
    chain: Mapped[JournalChain] = mapped_column(enum_column(JournalChain))
    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    on_behalf_of: Mapped[UUID | None]
    action: Mapped[str]
    object_kind: Mapped[str | None]
    object_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID(as_uuid=True)))
    rule: Mapped[str]
    is_emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    text_digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class JournalCounter(Base):
    """The last numbers of a record's two chains; its row lock orders the entries."""

    __tablename__ = "journal_counters"

    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_main: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_held: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class UnsealedEntry(Base):
    """An entry that is not in the log yet: the sealer's queue."""

    __tablename__ = "journal_unsealed"

    entry_id: Mapped[Id]


class JournalLeaf(Base):
    """The place of an entry in the log."""

    __tablename__ = "journal_leaves"
    __table_args__ = (UniqueConstraint("entry_id"),)

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[UUID]


class TechnicalEvent(Base):
    """What operators need to know and no holder does; kept for a year."""

    __tablename__ = "technical_events"
    __table_args__ = (Index("ix_technical_events_at", "at"),)

    id: Mapped[Id]
    at: Mapped[datetime]
    kind: Mapped[str]
    actor: Mapped[str]  # kind:uuid
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
