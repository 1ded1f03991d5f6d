"""Table of notifications."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class NotificationKind(StrEnum):
    """What somebody is told."""

    RECORD_NOTICE = "RECORD_NOTICE"  # a record will be opened unless they object
    RECORD_OPENED = "RECORD_OPENED"
    RECORD_DELETION_DUE = "RECORD_DELETION_DUE"
    MAJORITY = "MAJORITY"  # the record is theirs alone now
    RESULT_AWAITS = "RESULT_AWAITS"  # a depositor has been hiding something for two weeks
    CARE_TEAM_JOINED = "CARE_TEAM_JOINED"
    CONSENT_ATTESTED = "CONSENT_ATTESTED"
    EMERGENCY_ACCESS = "EMERGENCY_ACCESS"
    DELEGATION_ACCEPTED = "DELEGATION_ACCEPTED"
    DELEGATION_ENDED = "DELEGATION_ENDED"
    EXPORT_READY = "EXPORT_READY"
    VOLUME_ALARM = "VOLUME_ALARM"  # to operators


class Notification(Base):
    """One thing that one person, one professional or (both None) the operators are told.

    ``subject_id`` is what it is about, such as the emergency access. It says nothing of health.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("num_nonnulls(person_id, professional_id) <= 1", name="one_recipient"),
        UniqueConstraint(
            "person_id",
            "professional_id",
            "kind",
            "subject_id",
            name="uq_notifications_once",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_notifications_person_id_created_at", "person_id", "created_at"),
        Index("ix_notifications_professional_id_created_at", "professional_id", "created_at"),
        Index("ix_notifications_record_id", "record_id"),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(ForeignKey("professionals.id"))
    kind: Mapped[NotificationKind] = mapped_column(enum_column(NotificationKind))
    record_id: Mapped[UUID | None] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    subject_id: Mapped[UUID]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
