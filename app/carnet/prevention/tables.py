"""Tables of the prevention calendar. What is due is computed, and never stored."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.records.tables import StatedBy
from carnet.store.base import Base, Id, enum_column, partial_date_check
from carnet.values import PartialDate


class Choice(StrEnum):
    """What a holder, or who cares for them, decided on an item."""

    REFUSED = "REFUSED"
    NOT_CONCERNED = "NOT_CONCERNED"


class Moment(StrEnum):
    """When a reminder goes out."""

    OPENS = "OPENS"  # it is due from today on
    BEFORE_OVERDUE = "BEFORE_OVERDUE"
    APPOINTMENT = "APPOINTMENT"


class PreventionAct(Base):
    """An act that somebody says was done. ``done_on`` None means «done, date unknown»."""

    __tablename__ = "prevention_acts"
    __table_args__ = (
        partial_date_check("done_on"),
        UniqueConstraint(
            "record_id", "act", "done_on", name="uq_prevention_acts_once",
            postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    act: Mapped[str]  # a code of the schedule's acts
    done_on: Mapped[PartialDate | None]
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]


class PreventionChoice(Base):
    """A decision on one item of the calendar, by its key."""

    __tablename__ = "prevention_choices"

    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    item_key: Mapped[str] = mapped_column(primary_key=True)
    choice: Mapped[Choice] = mapped_column(enum_column(Choice))
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]


class PreventionFact(Base):
    """A fact of the schedule that holds of a person, always or between two days."""

    __tablename__ = "prevention_facts"
    __table_args__ = (
        CheckConstraint("until >= since", name="in_order"),
        UniqueConstraint(
            "record_id", "code", "since", name="uq_prevention_facts_once",
            postgresql_nulls_not_distinct=True,
        ),
    )  # fmt: skip

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    code: Mapped[str]
    since: Mapped[date | None]
    until: Mapped[date | None]
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]


class PregnancyEpisode(Base):
    """A pregnancy, from its beginning: two weeks after the last period."""

    __tablename__ = "pregnancies"
    __table_args__ = (
        CheckConstraint("ended_on >= began_on", name="in_order"),
        CheckConstraint("NOT is_delivered OR ended_on IS NOT NULL", name="delivered_on_a_day"),
        UniqueConstraint("record_id", "began_on"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    began_on: Mapped[date]
    ended_on: Mapped[date | None]
    is_delivered: Mapped[bool] = mapped_column(server_default=text("false"))
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    stated_at: Mapped[datetime]


class Appointment(Base):
    """An appointment or reminder that the holder set, at a time or on a day.

    ``source_uid`` is the UID of the calendar entry that it was imported from.
    """

    __tablename__ = "appointments"
    __table_args__ = (
        CheckConstraint("num_nonnulls(starts_at, starts_on) = 1", name="one_start"),
        Index("ix_appointments_record_id_sort_at", "record_id", "sort_at"),
        UniqueConstraint("record_id", "source_uid"),
        Index(
            "ix_appointments_remind_at", "remind_at", postgresql_where=text("remind_at IS NOT NULL")
        ),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    title: Mapped[str]
    place: Mapped[str | None]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    starts_on: Mapped[date | None]
    time_zone: Mapped[str]  # IANA
    sort_at: Mapped[datetime]
    item_key: Mapped[str | None]  # what of the calendar it is for
    remind_minutes: Mapped[int | None]  # before it starts
    remind_at: Mapped[datetime | None]  # None once it was reminded of, or cancelled
    source_uid: Mapped[str | None]
    sequence: Mapped[int] = mapped_column(server_default=text("0"))
    cancelled_at: Mapped[datetime | None]
    stated_by: Mapped[StatedBy] = mapped_column(enum_column(StatedBy))
    stated_by_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PreventionSettings(Base):
    """Which kinds of prevention a holder wants no message about."""

    __tablename__ = "prevention_settings"

    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    refused_kinds: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    updated_at: Mapped[datetime]


class CalendarFeed(Base):
    """An address at which a phone reads a calendar; its secret follows from a key that is not here.

    It shows what its owner may see at that moment, and without details nothing of health.
    """

    __tablename__ = "calendar_feeds"

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), index=True
    )
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    is_detailed: Mapped[bool]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class CalendarFeedEntry(Base):
    """An item as a feed last had it, so that a phone is told of each change, once.

    ``item_on`` None: it stands there no more, and is said to be cancelled.
    """

    __tablename__ = "calendar_feed_entries"

    feed_id: Mapped[UUID] = mapped_column(
        ForeignKey("calendar_feeds.id", ondelete="CASCADE"), primary_key=True
    )
    item_key: Mapped[str] = mapped_column(primary_key=True)
    item_on: Mapped[date | None]
    last_on: Mapped[date]
    sequence: Mapped[int] = mapped_column(server_default=text("0"))
    changed_at: Mapped[datetime]


class PreventionReminder(Base):
    """That somebody was reminded of an item at a moment of its dates, once."""

    __tablename__ = "prevention_reminders"

    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    item_key: Mapped[str] = mapped_column(primary_key=True)
    moment: Mapped[Moment] = mapped_column(enum_column(Moment), primary_key=True)
    due_on: Mapped[date] = mapped_column(primary_key=True)
    told_at: Mapped[datetime]


class PreventionLook(Base):
    """When a record's calendar is looked at next for reminders, and by which schedule it was."""

    __tablename__ = "prevention_looks"
    __table_args__ = (Index("ix_prevention_looks_digest", "digest", "record_id"),)

    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    looked_at: Mapped[datetime]
    digest: Mapped[str]


class PreventionChange(Base):
    """What a new version of the schedule changed for one record, item by item."""

    __tablename__ = "prevention_changes"
    __table_args__ = (UniqueConstraint("record_id", "digest", "item_key"),)

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    digest: Mapped[str]  # of the new version
    item_key: Mapped[str]
    was: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    is_now: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime]


class ScheduleVersion(Base):
    """A schedule that was in force: its files as they are.

    In force is the newest that was loaded; without one, what this version of Carnet ships.
    """

    __tablename__ = "schedule_versions"

    digest: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of names and contents
    name: Mapped[str]
    version: Mapped[str]
    files: Mapped[dict[str, str]] = mapped_column(JSONB)  # content by name
    is_shipped: Mapped[bool]
    loaded_at: Mapped[datetime] = mapped_column(index=True)
