"""Tables of records, profile entries and immunizations."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.certificates.certificate import Scheme
from carnet.store.base import Base, Id, enum_column, partial_date_check
from carnet.values import PartialDate


class RecordState(StrEnum):
    """Life cycle of a record (Code de la santé publique R1111-28, R1111-36, R1111-40)."""

    NOTIFIED = "NOTIFIED"
    OPPOSED = "OPPOSED"
    OPEN = "OPEN"
    ACTIVATED = "ACTIVATED"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"
    DELETION_REQUESTED = "DELETION_REQUESTED"
    DELETED = "DELETED"


class Section(StrEnum):
    """Sections of the medical profile. Immunizations have a table of their own."""

    ALLERGIES = "ALLERGIES"
    CONDITIONS = "CONDITIONS"
    TREATMENTS = "TREATMENTS"
    IMMUNIZATIONS = "IMMUNIZATIONS"
    PROCEDURES = "PROCEDURES"
    STAYS = "STAYS"
    FAMILY_HISTORY = "FAMILY_HISTORY"
    LIFESTYLE = "LIFESTYLE"
    MEASUREMENTS = "MEASUREMENTS"
    DISABILITIES = "DISABILITIES"
    ADVANCE_DIRECTIVES = "ADVANCE_DIRECTIVES"
    ENTOURAGE = "ENTOURAGE"
    ATTENDING_DOCTOR = "ATTENDING_DOCTOR"


class StatedBy(StrEnum):
    """Who stated an entry."""

    HOLDER = "HOLDER"
    DELEGATE = "DELEGATE"
    PROFESSIONAL = "PROFESSIONAL"
    PUBLISHER = "PUBLISHER"


class EntryStatus(StrEnum):
    """Clinical status of a profile entry."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    RESOLVED = "RESOLVED"
    REFUTED = "REFUTED"
    UNKNOWN = "UNKNOWN"


class Record(Base):
    """A person's health record. A deleted one stays as a row of times; a fresh one may follow."""

    __tablename__ = "records"
    __table_args__ = (
        Index(
            "uq_records_living",
            "person_id",
            unique=True,
            postgresql_where=text("state <> 'DELETED'"),
        ),
        Index("ix_records_person_id", "person_id"),
        Index("ix_records_calendar_due_at", "calendar_due_at", "id"),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    state: Mapped[RecordState] = mapped_column(enum_column(RecordState), index=True)
    notified_at: Mapped[datetime | None]
    opens_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    opposed_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    deletion_requested_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    former_state: Mapped[RecordState | None] = mapped_column(
        enum_column(RecordState, "former_state")
    )  # to come back to from SUSPENDED, CLOSED or DELETION_REQUESTED
    due_at: Mapped[datetime | None] = mapped_column(index=True)  # of the next timed transition
    enrolment_code_issue: Mapped[int] = mapped_column(server_default=text("1"))
    calendar_due_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
    created_at: Mapped[datetime]


class ProfileEntry(Base):
    """One statement in a section of the medical profile.

    ``details`` holds what only that section has (see ``records.sections``); ``stated_by_id`` is
    the account of a human or the id of a publisher.
    """

    __tablename__ = "profile_entries"
    __table_args__ = (
        partial_date_check("started_on"),
        partial_date_check("ended_on"),
        CheckConstraint("section <> 'IMMUNIZATIONS'", name="immunizations_elsewhere"),
        CheckConstraint(
            "section = 'MEASUREMENTS' OR (value IS NULL AND unit IS NULL)", name="value_measured"
        ),
        Index("ix_profile_entries_page", "record_id", "section", "sort_on", "id"),
        Index("ix_profile_entries_source_document_id", "source_document_id"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    section: Mapped[Section] = mapped_column(enum_column(Section))
    label: Mapped[str]  # what a person reads
    codings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    status: Mapped[EntryStatus] = mapped_column(enum_column(EntryStatus))
    started_on: Mapped[PartialDate | None]
    ended_on: Mapped[PartialDate | None]
    sort_on: Mapped[str]  # started_on, or "" when unknown: the keyset of the section
    value: Mapped[Decimal | None]
    unit: Mapped[str | None]  # UCUM
    note: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]
    source_document_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("documents.id", ondelete="SET NULL")
    )
    hidden_from_holder_until: Mapped[datetime | None]  # while its document is
    version: Mapped[int] = mapped_column(server_default=text("1"))
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Immunization(Base):
    """One dose, merged from all who report it.

    ``disease_codes`` are Carnet's disease codes (``terminology``); an unknown vaccine has none
    and is matched by its own codes. ``given_on`` None means «done, date unknown».
    """

    __tablename__ = "immunizations"
    __table_args__ = (
        partial_date_check("given_on"),
        CheckConstraint("dose_rank > 0", name="dose_rank_positive"),
        Index("ix_immunizations_page", "record_id", "sort_on", "id"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    vaccine_label: Mapped[str]
    codings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    disease_codes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    given_on: Mapped[PartialDate | None]
    sort_on: Mapped[str]
    lot_number: Mapped[str | None]
    dose_rank: Mapped[int | None]
    is_subpotent: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ImmunizationSource(Base):
    """Who reported a dose, from which document, and what they said; the dose is their sum."""

    __tablename__ = "immunization_sources"
    __table_args__ = (UniqueConstraint("immunization_id", "source_key"),)

    id: Mapped[Id]
    immunization_id: Mapped[UUID] = mapped_column(
        ForeignKey("immunizations.id", ondelete="CASCADE"), index=True
    )
    source_key: Mapped[str]  # the publisher's own key of the statement, or the account's
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    source_document_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("documents.id", ondelete="SET NULL"), index=True
    )
    hidden_from_holder_until: Mapped[datetime | None]  # while its document is
    vaccine_label: Mapped[str]
    codings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    disease_codes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    given_on: Mapped[PartialDate | None]
    lot_number: Mapped[str | None]
    dose_rank: Mapped[int | None]
    is_subpotent: Mapped[bool] = mapped_column(server_default=text("false"))
    certificate_scheme: Mapped[Scheme | None] = mapped_column(enum_column(Scheme))
    certificate_issuer: Mapped[str | None]  # who signed for it, in the scheme's terms
    stated_at: Mapped[datetime]


class RetractedDose(Base):
    """That a document once told of a dose, and does no more. What the journal says of the dose
    stays as hidden as the document is."""

    __tablename__ = "retracted_doses"

    immunization_id: Mapped[UUID] = mapped_column(primary_key=True)  # of a dose that may be gone
    document_id: Mapped[UUID] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class NothingToDeclare(Base):
    """A dated «nothing to declare» for one section."""

    __tablename__ = "nothing_to_declare"
    __table_args__ = (UniqueConstraint("record_id", "section"),)

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    section: Mapped[Section] = mapped_column(enum_column(Section))
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]
