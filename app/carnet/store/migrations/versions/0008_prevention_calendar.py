"""Prevention calendar."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


KINDS = (
    "RECORD_NOTICE",
    "RECORD_OPENED",
    "RECORD_DELETION_DUE",
    "MAJORITY",
    "RESULT_AWAITS",
    "CARE_TEAM_JOINED",
    "CONSENT_ATTESTED",
    "EMERGENCY_ACCESS",
    "DELEGATION_ACCEPTED",
    "DELEGATION_ENDED",
    "EXPORT_READY",
    "MESSAGE_AWAITS",
    "DEVICE_ADDED",
    "DEVICE_REVOKED",
    "ROOT_CHANGED",
    "ACCOUNT_REPLACED",
    "BACKUP_FETCHED",
    "PREVENTION_DUE",
    "PREVENTION_CHANGED",
    "APPOINTMENT_SOON",
    "VOLUME_ALARM",
)


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    name = op.f("ck_notifications_notification_kind")
    op.drop_constraint(name, "notifications", type_="check")
    # Checked afterwards: rows are not locked while it looks at them.
    op.create_check_constraint(
        name, "notifications", f"kind IN ({kinds})", postgresql_not_valid=True
    )
    op.execute(f"ALTER TABLE notifications VALIDATE CONSTRAINT {name}")
    op.create_table(
        "schedule_versions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("files", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_shipped", sa.Boolean(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_schedule_versions")),
    )
    op.create_index(
        op.f("ix_schedule_versions_loaded_at"), "schedule_versions", ["loaded_at"], unique=False
    )
    op.create_table(
        "appointments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("sort_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("item_key", sa.Text(), nullable=True),
        sa.Column("remind_minutes", sa.Integer(), nullable=True),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_uid", sa.Text(), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(starts_at, starts_on) = 1", name=op.f("ck_appointments_one_start")
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_appointments_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint(
            "record_id", "source_uid", name=op.f("uq_appointments_record_id_source_uid")
        ),
    )
    op.create_index(
        "ix_appointments_record_id_sort_at", "appointments", ["record_id", "sort_at"], unique=False
    )
    op.create_index(
        "ix_appointments_remind_at",
        "appointments",
        ["remind_at"],
        unique=False,
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )
    op.create_table(
        "pregnancies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("began_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("is_delivered", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "NOT is_delivered OR ended_on IS NOT NULL",
            name=op.f("ck_pregnancies_delivered_on_a_day"),
        ),
        sa.CheckConstraint("ended_on >= began_on", name=op.f("ck_pregnancies_in_order")),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_pregnancies_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pregnancies")),
        sa.UniqueConstraint(
            "record_id", "began_on", name=op.f("uq_pregnancies_record_id_began_on")
        ),
    )
    op.create_table(
        "prevention_acts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("done_on", sa.Text(), nullable=True),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "done_on ~ '^\\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?)?$'",
            name=op.f("ck_prevention_acts_done_on_partial_date"),
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_acts_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prevention_acts")),
        sa.UniqueConstraint(
            "record_id",
            "act",
            "done_on",
            name="uq_prevention_acts_once",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "prevention_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("item_key", sa.Text(), nullable=False),
        sa.Column("was", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "is_now", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_changes_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prevention_changes")),
        sa.UniqueConstraint(
            "record_id",
            "digest",
            "item_key",
            name=op.f("uq_prevention_changes_record_id_digest_item_key"),
        ),
    )
    op.create_table(
        "prevention_choices",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("item_key", sa.Text(), nullable=False),
        sa.Column(
            "choice",
            sa.Enum(
                "REFUSED",
                "NOT_CONCERNED",
                name="choice",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_choices_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "item_key", name=op.f("pk_prevention_choices")),
    )
    op.create_table(
        "prevention_facts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column(
            "stated_by",
            sa.Enum(
                "HOLDER",
                "DELEGATE",
                "PROFESSIONAL",
                "PUBLISHER",
                name="stated_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("stated_by_id", sa.Uuid(), nullable=True),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("until >= since", name=op.f("ck_prevention_facts_in_order")),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_facts_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prevention_facts")),
        sa.UniqueConstraint(
            "record_id",
            "code",
            "since",
            name="uq_prevention_facts_once",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "prevention_looks",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_looks_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_prevention_looks")),
    )
    op.create_index(
        "ix_prevention_looks_digest", "prevention_looks", ["digest", "record_id"], unique=False
    )
    op.create_table(
        "prevention_reminders",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("item_key", sa.Text(), nullable=False),
        sa.Column(
            "moment",
            sa.Enum(
                "OPENS",
                "BEFORE_OVERDUE",
                "APPOINTMENT",
                name="moment",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_reminders_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "record_id", "item_key", "moment", "due_on", name=op.f("pk_prevention_reminders")
        ),
    )
    op.create_table(
        "prevention_settings",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("refused_kinds", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_prevention_settings_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_prevention_settings")),
    )
    op.create_table(
        "calendar_feeds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("is_detailed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_calendar_feeds_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_calendar_feeds_record_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feeds")),
    )
    op.create_index(
        op.f("ix_calendar_feeds_account_id"), "calendar_feeds", ["account_id"], unique=False
    )
    op.create_index(
        op.f("ix_calendar_feeds_record_id"), "calendar_feeds", ["record_id"], unique=False
    )
    op.create_table(
        "calendar_feed_entries",
        sa.Column("feed_id", sa.Uuid(), nullable=False),
        sa.Column("item_key", sa.Text(), nullable=False),
        sa.Column("item_on", sa.Date(), nullable=True),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["feed_id"],
            ["calendar_feeds.id"],
            name=op.f("fk_calendar_feed_entries_feed_id_calendar_feeds"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("feed_id", "item_key", name=op.f("pk_calendar_feed_entries")),
    )
    op.add_column(
        "records",
        sa.Column(
            "calendar_due_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=True,
        ),
    )
    op.create_index(
        "ix_records_calendar_due_at", "records", ["calendar_due_at", "id"], unique=False
    )
