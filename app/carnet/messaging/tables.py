"""Tables of messaging: accounts with their chains, threads with their logs, and envelopes.

All that people say is ciphertext. What is in the clear is what a relay needs to order and deliver:
who is in which thread, since when, and sizes.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class MessagingAccountKind(StrEnum):
    """Whose an account is."""

    PERSON = "PERSON"
    PROFESSIONAL = "PROFESSIONAL"
    ORGANIZATION = "ORGANIZATION"
    TEAM = "TEAM"  # some of an organization's professionals


class ThreadState(StrEnum):
    """Whether something can be written."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class ThreadRole(StrEnum):
    """What a member is in a thread, as its control log says."""

    MANAGER = "MANAGER"
    MEMBER = "MEMBER"
    GUARDIAN = "GUARDIAN"
    READER = "READER"


class MessagingAccount(Base):
    """An identity of the protocol: its id is the digest of its first entry."""

    __tablename__ = "messaging_accounts"
    __table_args__ = (
        UniqueConstraint("account_id"),
        CheckConstraint(
            "(kind = 'PERSON') = (person_id IS NOT NULL)"
            " AND (kind = 'PROFESSIONAL') = (professional_id IS NOT NULL)"
            " AND (kind IN ('ORGANIZATION', 'TEAM')) = (organization_id IS NOT NULL)"
            " AND (kind = 'TEAM') = (name IS NOT NULL)",
            name="one_owner",
        ),
        Index(
            "uq_messaging_accounts_person",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "uq_messaging_accounts_professional",
            "professional_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "uq_messaging_accounts_organization",
            "organization_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND kind = 'ORGANIZATION'"),
        ),
        Index(
            "uq_messaging_accounts_team",
            "organization_id",
            "name",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND kind = 'TEAM'"),
        ),
        Index("ix_messaging_accounts_organization_id", "organization_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[MessagingAccountKind] = mapped_column(enum_column(MessagingAccountKind))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(ForeignKey("professionals.id"))
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str | None]  # of a team
    label: Mapped[bytes] = mapped_column(LargeBinary)  # what its bindings are found by
    number: Mapped[int]  # of the newest entry
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # closed, or another account took its place


class AccountEntry(Base):
    """An entry of an account's chain. Erasing ``data`` and ``blind`` leaves an opaque leaf."""

    __tablename__ = "messaging_account_entries"
    __table_args__ = (UniqueConstraint("leaf_index"),)

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    blind: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_index: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class DirectoryBinding(Base):
    """The service's word that an account is that of whoever its label is of."""

    __tablename__ = "messaging_bindings"
    __table_args__ = (
        UniqueConstraint("label", "version"),
        UniqueConstraint("leaf_index"),
        Index("ix_messaging_bindings_account_id", "account_id"),
    )

    id: Mapped[Id]
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE")
    )
    label: Mapped[bytes] = mapped_column(LargeBinary)
    version: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    blind: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_index: Mapped[int] = mapped_column(BigInteger)


class MessagingDevice(Base):
    """A device that an account's chain holds: what a send is checked against."""

    __tablename__ = "messaging_devices"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    device_id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    not_after: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class MessagingMandate(Base):
    """Who may write for an account, as its chain says: somebody of its roster, or a delegate."""

    __tablename__ = "messaging_mandates"
    __table_args__ = (Index("ix_messaging_mandates_who", "who"),)

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    who: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # the protocol's id
    is_delegation: Mapped[bool] = mapped_column(primary_key=True)
    may_write: Mapped[bool]
    not_before: Mapped[datetime | None]
    not_after: Mapped[datetime | None]


class RecoveryBackup(Base):
    """What only a recovery code opens. The chain holds its digest."""

    __tablename__ = "messaging_backups"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    data: Mapped[bytes] = mapped_column(LargeBinary)
    stored_at: Mapped[datetime]


class PairingMessage(Base):
    """What one device of an account says to another while people compare digits."""

    __tablename__ = "messaging_pairings"
    __table_args__ = (Index("ix_messaging_pairings_at", "at"),)

    owner: Mapped[str] = mapped_column(primary_key=True)  # of `people.actor.actor_key`
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class Thread(Base):
    """A thread, as its control log says it is now.

    ``creator``, ``context``, ``policy``, ``control_head``, ``controlled_at`` (milliseconds since
    1970) and the columns of the epoch are what the protocol's thread is built from again, so that a
    further entry replays nothing.
    """

    __tablename__ = "messaging_threads"
    __table_args__ = (
        UniqueConstraint("thread_id"),
        Index("ix_messaging_threads_person_id", "person_id"),
    )

    id: Mapped[Id]
    thread_id: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[ThreadState] = mapped_column(enum_column(ThreadState))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    creator: Mapped[bytes] = mapped_column(LargeBinary)  # the protocol's id of the account
    context: Mapped[bytes] = mapped_column(LargeBinary)
    policy: Mapped[bytes] = mapped_column(LargeBinary)
    is_delegation_allowed: Mapped[bool]
    control_number: Mapped[int]
    control_head: Mapped[bytes] = mapped_column(LargeBinary)
    controlled_at: Mapped[int] = mapped_column(BigInteger)
    epoch: Mapped[int]
    epoch_entry: Mapped[int]  # number of the entry that began it
    epoch_messages: Mapped[int] = mapped_column(server_default=text("0"))
    has_left: Mapped[bool] = mapped_column(server_default=text("false"))
    last_number: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    retention_days: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime]
    last_activity_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None]  # the account that closed it


class ThreadMember(Base):
    """Somebody in a thread, until ``left_at``."""

    __tablename__ = "messaging_members"
    __table_args__ = (Index("ix_messaging_members_account_id", "account_id"),)

    thread_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_threads.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[ThreadRole] = mapped_column(enum_column(ThreadRole))
    joined_in: Mapped[int]  # number of the entry
    history_from: Mapped[int] = mapped_column(BigInteger)  # first epoch they may read
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class ThreadReader(Base):
    """How far a person or professional has read a thread, and up to where they were told of it."""

    __tablename__ = "messaging_readers"

    thread_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_threads.id", ondelete="CASCADE"), primary_key=True
    )
    reader_id: Mapped[UUID] = mapped_column(primary_key=True)
    read_to: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    told_to: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class ControlEntry(Base):
    """An entry of a thread's control log."""

    __tablename__ = "messaging_control_entries"

    thread_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_threads.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID]
    account_id: Mapped[UUID]  # the author's row
    epoch: Mapped[int]  # the newest once it is written
    data: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class EpochWrap(Base):
    """An epoch's secret, sealed for one account."""

    __tablename__ = "messaging_wraps"

    thread_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_threads.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Message(Base):
    """An envelope. ``body`` goes when it is erased; ``head`` stays, and stays verifiable.

    Its id is the first half of the envelope's name, so that one envelope is one message, however
    often it is sent. ``account_id`` is whose device sent it, ``sender_id`` the person or
    professional who was signed in. ``is_quiet``: nobody is told of it, and it is never unread.
    """

    __tablename__ = "messaging_messages"
    __table_args__ = (
        UniqueConstraint("thread_id", "number"),
        UniqueConstraint("thread_id", "device_id", "sequence"),
        Index(
            "ix_messaging_messages_expires_at",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL AND erased_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("messaging_threads.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(BigInteger)
    epoch: Mapped[int]
    account_id: Mapped[UUID]  # the sender's row
    member_id: Mapped[UUID]  # the row of the member it was written for: mostly the same
    sender_id: Mapped[UUID]
    device_id: Mapped[bytes] = mapped_column(LargeBinary)
    sequence: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    is_quiet: Mapped[bool]
    received_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class MessageAttachment(Base):
    """A sealed file that a message refers to."""

    __tablename__ = "messaging_attachments"

    id: Mapped[Id]
    message_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_messages.id", ondelete="CASCADE"), index=True
    )
    blob_id: Mapped[UUID] = mapped_column(ForeignKey("blobs.id"), unique=True)
    position: Mapped[int]


class MessagingUsage(Base):
    """What an account has sent on one day: its quotas are counted here."""

    __tablename__ = "messaging_usage"

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("messaging_accounts.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # since 1970
    threads: Mapped[int] = mapped_column(server_default=text("0"))
    messages: Mapped[int] = mapped_column(server_default=text("0"))
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    minute: Mapped[int] = mapped_column(server_default=text("0"))  # of the day, the last one
    minute_messages: Mapped[int] = mapped_column(server_default=text("0"))  # in it
