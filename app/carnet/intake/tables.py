"""Tables of what publishers sent and where each item landed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id


class Submission(Base):
    """One body a publisher sent, and the answer it got."""

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("publisher_id", "sha256"),
        CheckConstraint("octet_length(sha256) = 32", name="sha256_length"),
    )

    id: Mapped[Id]
    publisher_id: Mapped[UUID] = mapped_column(ForeignKey("publishers.id"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    format: Mapped[str]
    is_settled: Mapped[bool]  # no item is refused for a reason that may pass
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    received_at: Mapped[datetime]


class IntakeItem(Base):
    """Where one of a publisher's items landed, by the publisher's own key for it."""

    __tablename__ = "intake_items"
    __table_args__ = (UniqueConstraint("publisher_id", "source_key"),)

    id: Mapped[Id]
    publisher_id: Mapped[UUID] = mapped_column(ForeignKey("publishers.id"))
    source_key: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), index=True
    )
    target_kind: Mapped[str]
    target_id: Mapped[UUID]
    landed_at: Mapped[datetime]
