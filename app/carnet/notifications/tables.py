"""Tables of notifications, and of where and how they leave the server."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
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


class Channel(StrEnum):
    """How somebody is told outside the app."""

    EMAIL = "EMAIL"
    WEB_PUSH = "WEB_PUSH"


class Language(StrEnum):
    """Of a text."""

    FR = "fr"
    EN = "en"


class Purpose(StrEnum):
    """What a delivery says."""

    NOTIFICATION = "NOTIFICATION"
    CONFIRMATION = "CONFIRMATION"  # the code that confirms an address
    ADDRESS_CHANGED = "ADDRESS_CHANGED"  # to the old address


class Destination(Base):
    """An e-mail address or one browser of an account. Personal data: never in logs or errors.

    ``address`` is the e-mail address or the push endpoint. ``issue`` counts the codes that were
    sent to it. ``ended_at`` is set when the owner takes it away, another takes its place or the
    other side says that it is gone.
    """

    __tablename__ = "notification_destinations"
    __table_args__ = (
        UniqueConstraint("account_id", "channel", "address"),
        CheckConstraint(
            "(channel = 'WEB_PUSH') = (p256dh IS NOT NULL AND auth IS NOT NULL)",
            name="keys_of_push",
        ),
    )

    id: Mapped[Id]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    channel: Mapped[Channel] = mapped_column(enum_column(Channel))
    address: Mapped[str]
    p256dh: Mapped[str | None]
    auth: Mapped[str | None]
    language: Mapped[Language] = mapped_column(enum_column(Language))
    issue: Mapped[int] = mapped_column(server_default=text("0"))
    code_sent_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    def __repr__(self) -> str:
        return f"Destination(id={self.id})"


class Silence(Base):
    """A kind of notification that an account does not want over a channel; the rest goes out."""

    __tablename__ = "notification_silences"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[NotificationKind] = mapped_column(
        enum_column(NotificationKind, "silenced_kind"), primary_key=True
    )
    channel: Mapped[Channel] = mapped_column(
        enum_column(Channel, "silenced_channel"), primary_key=True
    )


class Delivery(Base):
    """One text to one destination, until it was taken or given up.

    ``last_error`` is a status or the type of an error; its text may hold an address.
    """

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        UniqueConstraint(
            "destination_id",
            "notification_id",
            "purpose",
            "issue",
            name="uq_notification_deliveries_once",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint(
            "(purpose = 'NOTIFICATION') = (notification_id IS NOT NULL)", name="of_notification"
        ),
        Index(
            "ix_notification_deliveries_due_at",
            "due_at",
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_notification_deliveries_notification_id", "notification_id"),
    )

    id: Mapped[Id]
    destination_id: Mapped[UUID] = mapped_column(
        ForeignKey("notification_destinations.id", ondelete="CASCADE")
    )
    notification_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE")
    )
    purpose: Mapped[Purpose] = mapped_column(enum_column(Purpose))
    issue: Mapped[int] = mapped_column(server_default=text("0"))  # of a code
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # sent, or given up
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
