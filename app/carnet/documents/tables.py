"""Tables of documents, in IHE XDS terms: one row is one DocumentEntry, so one version."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class DocumentCategory(StrEnum):
    """The folders in which a holder finds documents."""

    REPORT = "REPORT"
    LABORATORY = "LABORATORY"
    IMAGING = "IMAGING"
    PRESCRIPTION = "PRESCRIPTION"
    DISPENSATION = "DISPENSATION"
    HOSPITAL_STAY = "HOSPITAL_STAY"
    PREVENTION = "PREVENTION"
    VACCINATION = "VACCINATION"
    CERTIFICATE = "CERTIFICATE"
    CARE_PLAN = "CARE_PLAN"
    SUMMARY = "SUMMARY"
    REIMBURSEMENT = "REIMBURSEMENT"
    ADVANCE_DIRECTIVE = "ADVANCE_DIRECTIVE"
    PERSONAL = "PERSONAL"
    OTHER = "OTHER"


class DocumentStatus(StrEnum):
    """Availability of one version: CURRENT and SUPERSEDED as in XDS, WITHDRAWN when deleted."""

    CURRENT = "CURRENT"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


class DepositorKind(StrEnum):
    """Who deposited a document."""

    HOLDER = "HOLDER"
    DELEGATE = "DELEGATE"
    PROFESSIONAL = "PROFESSIONAL"
    PUBLISHER = "PUBLISHER"


class ContentRole(StrEnum):
    """What a content part is: the bytes as deposited, or something read out of them."""

    ORIGINAL = "ORIGINAL"
    EMBEDDED = "EMBEDDED"


class Document(Base):
    """One version of one document.

    ``lineage_id`` is the id of the first version. ``unique_id`` is the publisher's own
    (XDS uniqueId); ``content_key`` is the SHA-256 of what was deposited, so that (publisher,
    unique id, content key) makes a deposit idempotent. ``flags`` name what was accepted but is
    not as claimed (see ``intake.model.Flag``).
    """

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("publisher_id", "unique_id", "content_key"),
        # Deferred: a late original is put before the versions that already stand.
        UniqueConstraint("lineage_id", "version", deferrable=True, initially="DEFERRED"),
        CheckConstraint("version > 0", name="version_positive"),
        CheckConstraint("octet_length(content_key) = 32", name="content_key_length"),
        CheckConstraint(
            "(depositor = 'PUBLISHER') = (publisher_id IS NOT NULL)", name="publisher_deposits"
        ),
        Index("ix_documents_sorted", "record_id", "sort_at", "id"),
        Index(
            "ix_documents_held",
            "hidden_from_holder_until",
            postgresql_where=text(
                "hidden_from_holder_until IS NOT NULL AND released_at IS NULL"
                " AND status <> 'WITHDRAWN'"
            ),
        ),
        Index("ix_documents_publisher_id_unique_id", "publisher_id", "unique_id"),
        Index("ix_documents_publisher_id_replaces", "publisher_id", "replaces_unique_id"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    lineage_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    status: Mapped[DocumentStatus] = mapped_column(enum_column(DocumentStatus))
    depositor: Mapped[DepositorKind] = mapped_column(enum_column(DepositorKind))
    depositor_account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("accounts.id", ondelete="SET NULL"), index=True
    )
    publisher_id: Mapped[UUID | None] = mapped_column(ForeignKey("publishers.id"))
    unique_id: Mapped[str]
    set_id: Mapped[str | None]
    content_key: Mapped[bytes] = mapped_column(LargeBinary)
    replaces_unique_id: Mapped[str | None]
    category: Mapped[DocumentCategory] = mapped_column(enum_column(DocumentCategory))
    type_system: Mapped[str | None]
    type_code: Mapped[str | None]
    type_display: Mapped[str | None]
    format_code: Mapped[str | None]
    title: Mapped[str]
    language: Mapped[str | None]
    confidentiality_codes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    practice_setting_code: Mapped[str | None]
    practice_setting_display: Mapped[str | None]
    facility_type_code: Mapped[str | None]
    facility_type_display: Mapped[str | None]
    source_created_at: Mapped[datetime | None]  # XDS creationTime, by the author's clock
    service_started_at: Mapped[datetime | None]
    service_ended_at: Mapped[datetime | None]
    authors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    author_rpps: Mapped[list[str]] = mapped_column(
        ARRAY(TEXT), server_default=text("'{}'")
    )  # of the authors who are registered professionals, or may become so
    author_text: Mapped[str]  # names of the authors, lower case, for filtering
    is_masked: Mapped[bool] = mapped_column(server_default=text("false"))
    hidden_from_holder_until: Mapped[datetime | None]
    holder_told_at: Mapped[datetime | None]  # that something awaits them (R1111-53)
    released_at: Mapped[datetime | None]  # to the holder, once the journal says so
    is_hidden_from_representatives: Mapped[bool] = mapped_column(server_default=text("false"))
    flags: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    sort_at: Mapped[datetime]  # service start, else creation, else deposit: the list's keyset
    deposited_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DocumentContent(Base):
    """One part of a document's content: part 0 is the original, the others were inside it."""

    __tablename__ = "document_contents"
    __table_args__ = (
        UniqueConstraint("document_id", "part"),
        CheckConstraint("(part = 0) = (role = 'ORIGINAL')", name="part_zero_original"),
    )

    id: Mapped[Id]
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    part: Mapped[int]
    role: Mapped[ContentRole] = mapped_column(enum_column(ContentRole))
    blob_id: Mapped[UUID] = mapped_column(ForeignKey("blobs.id"), index=True)
    media_type: Mapped[str]
    file_name: Mapped[str]
    claimed_size_bytes: Mapped[int | None]
    claimed_sha1: Mapped[bytes | None] = mapped_column(LargeBinary)


class DocumentWithdrawal(Base):
    """A publisher's deletion of a unique id, kept so that a late original stays deleted."""

    __tablename__ = "document_withdrawals"
    __table_args__ = (UniqueConstraint("record_id", "publisher_id", "unique_id"),)

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    publisher_id: Mapped[UUID] = mapped_column(ForeignKey("publishers.id"))
    unique_id: Mapped[str]
    withdrawn_at: Mapped[datetime]
