"""Table of exports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class ExportState(StrEnum):
    """How far an export is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    READY = "READY"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class Export(Base):
    """A request for a whole record, and the archive once it is made."""

    __tablename__ = "exports"
    __table_args__ = (Index("ix_exports_record_id_requested_at", "record_id", "requested_at"),)

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    state: Mapped[ExportState] = mapped_column(enum_column(ExportState))
    steps_done: Mapped[int] = mapped_column(server_default=text("0"))
    steps_total: Mapped[int | None]
    blob_id: Mapped[UUID | None] = mapped_column(ForeignKey("blobs.id"), index=True)
    requested_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # of the archive
    error_code: Mapped[str | None]
