"""Tables of notifications: what people are told, and where it goes out to."""

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
    SmallInteger,
    UniqueConstraint,
    text,
)
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
    MESSAGE_AWAITS = "MESSAGE_AWAITS"  # a message in a thread of theirs
    DEVICE_ADDED = "DEVICE_ADDED"  # to their messaging account
    DEVICE_REVOKED = "DEVICE_REVOKED"
    ROOT_CHANGED = "ROOT_CHANGED"  # the key that speaks for all their devices, now or in three days
    ACCOUNT_REPLACED = "ACCOUNT_REPLACED"  # their messaging account, by a new one
    BACKUP_FETCHED = "BACKUP_FETCHED"  # what their recovery code opens
    PREVENTION_DUE = "PREVENTION_DUE"  # something of the calendar is due, or soon overdue
    PREVENTION_CHANGED = "PREVENTION_CHANGED"  # by a new version of the schedule
    APPOINTMENT_SOON = "APPOINTMENT_SOON"
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
    """A way out of the app. The list in the app always has everything."""

    EMAIL = "EMAIL"
    WEB_PUSH = "WEB_PUSH"


class Locale(StrEnum):
    """A language that texts are sent in."""

    FR = "fr"
    EN = "en"


class NotificationSettings(Base):
    """How one person or professional is told things; its row's lock orders their changes.

    ``choices`` has the channels of each kind that was chosen for: ``{"EXPORT_READY": ["EMAIL"]}``.
    """

    __tablename__ = "notification_settings"
    __table_args__ = (
        CheckConstraint("num_nonnulls(person_id, professional_id) = 1", name="one_recipient"),
        UniqueConstraint("person_id"),
        UniqueConstraint("professional_id"),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("professionals.id", ondelete="CASCADE")
    )
    locale: Mapped[Locale] = mapped_column(enum_column(Locale))
    choices: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class DestinationState(StrEnum):
    """Only to what is ACTIVE notifications are sent."""

    PENDING = "PENDING"  # an e-mail address whose code was not given yet
    ACTIVE = "ACTIVE"
    UNDELIVERABLE = "UNDELIVERABLE"  # its server said that there is no such mailbox
    RETIRED = "RETIRED"  # an e-mail address that is told so, and then deleted


class Destination(Base):
    """Where one recipient is reached: an e-mail address, or a browser's push subscription.

    ``address`` is personal data and a subscription's endpoint a secret: whoever has it can push.
    A subscription, endpoint and keys, is one owner's; see `carnet.notifications.devices`.
    ``refused_at`` is when the other side last refused something for good.
    """

    __tablename__ = "notification_destinations"
    __table_args__ = (
        CheckConstraint("num_nonnulls(person_id, professional_id) = 1", name="one_recipient"),
        CheckConstraint(
            "(channel = 'WEB_PUSH') = (p256dh IS NOT NULL AND auth IS NOT NULL)"
            " AND (p256dh IS NULL OR octet_length(p256dh) = 65)"
            " AND (auth IS NULL OR octet_length(auth) = 16)",
            name="push_keys",
        ),
        CheckConstraint(
            "(state = 'PENDING') = (expires_at IS NOT NULL)"
            " AND (channel = 'EMAIL' OR state IN ('ACTIVE', 'UNDELIVERABLE'))",
            name="pending_expires",
        ),
        Index(
            "uq_notification_destinations_subscription",
            "address_hash",
            "p256dh",
            "auth",
            unique=True,
            postgresql_where=text("channel = 'WEB_PUSH'"),
        ),
        Index("ix_notification_destinations_person_id", "person_id"),
        Index("ix_notification_destinations_professional_id", "professional_id"),
        Index(
            "ix_notification_destinations_leaving",
            "created_at",
            postgresql_where=text("state IN ('PENDING', 'RETIRED')"),
        ),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("professionals.id", ondelete="CASCADE")
    )
    channel: Mapped[Channel] = mapped_column(enum_column(Channel))
    state: Mapped[DestinationState] = mapped_column(enum_column(DestinationState))
    address: Mapped[str]
    address_hash: Mapped[bytes] = mapped_column(LargeBinary)  # SHA-256
    p256dh: Mapped[bytes | None] = mapped_column(LargeBinary)
    auth: Mapped[bytes | None] = mapped_column(LargeBinary)
    name: Mapped[str | None]  # what a browser calls itself
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # of the code
    confirmed_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]


class CodeRequest(Base):
    """A code that was sent to an address, so that they can be counted. Kept for a day.

    ``address_hash`` is keyed, so the table tells nobody which addresses there are.
    """

    __tablename__ = "notification_code_requests"
    __table_args__ = (
        CheckConstraint("num_nonnulls(person_id, professional_id) = 1", name="one_recipient"),
        Index("ix_notification_code_requests_person_id", "person_id"),
        Index("ix_notification_code_requests_professional_id", "professional_id"),
        Index("ix_notification_code_requests_address_hash", "address_hash", "requested_at"),
        Index("ix_notification_code_requests_requested_at", "requested_at"),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("professionals.id", ondelete="CASCADE")
    )
    address_hash: Mapped[bytes] = mapped_column(LargeBinary)
    requested_at: Mapped[datetime]


class DeliveryMessage(StrEnum):
    """What a delivery says."""

    NOTIFICATION = "NOTIFICATION"
    EMAIL_CODE = "EMAIL_CODE"
    EMAIL_RETIRED = "EMAIL_RETIRED"


class DeliveryState(StrEnum):
    """QUEUED until it was SENT, REFUSED by the other side, or GIVEN_UP when its time was over."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    REFUSED = "REFUSED"
    GIVEN_UP = "GIVEN_UP"


class Delivery(Base):
    """One message on its way to one destination.

    ``due_at`` and ``expires_at`` are by the injected clock, the lease by the database's own.
    ``last_error`` names a kind of failure; a server's own words may hold an address.
    """

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        CheckConstraint(
            "(message = 'NOTIFICATION') = (notification_id IS NOT NULL)", name="says_something"
        ),
        CheckConstraint("(state = 'QUEUED') = (finished_at IS NULL)", name="finished"),
        UniqueConstraint("notification_id", "destination_id"),
        Index("ix_notification_deliveries_destination_id", "destination_id"),
        Index(
            "ix_notification_deliveries_due",
            "channel",
            "is_urgent",
            "due_at",
            "id",
            postgresql_where=text("state = 'QUEUED'"),
        ),
        Index(
            "ix_notification_deliveries_expires_at",
            "expires_at",
            postgresql_where=text("state = 'QUEUED'"),
        ),
        Index(
            "ix_notification_deliveries_finished_at",
            "finished_at",
            postgresql_where=text("state <> 'QUEUED'"),
        ),
    )

    id: Mapped[Id]
    notification_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE")
    )
    destination_id: Mapped[UUID] = mapped_column(
        ForeignKey("notification_destinations.id", ondelete="CASCADE")
    )
    channel: Mapped[Channel] = mapped_column(enum_column(Channel))
    message: Mapped[DeliveryMessage] = mapped_column(enum_column(DeliveryMessage))
    state: Mapped[DeliveryState] = mapped_column(enum_column(DeliveryState))
    is_urgent: Mapped[bool]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    leased_until: Mapped[datetime | None]
    leased_by: Mapped[UUID | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
