"""Messaging."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


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
        "messaging_pairings",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "number", name=op.f("pk_messaging_pairings")),
    )
    op.create_index("ix_messaging_pairings_at", "messaging_pairings", ["at"], unique=False)
    op.create_table(
        "messaging_threads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("thread_id", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "OPEN",
                "CLOSED",
                name="thread_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("creator", sa.LargeBinary(), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.LargeBinary(), nullable=False),
        sa.Column("is_delegation_allowed", sa.Boolean(), nullable=False),
        sa.Column("control_number", sa.Integer(), nullable=False),
        sa.Column("control_head", sa.LargeBinary(), nullable=False),
        sa.Column("controlled_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("epoch_entry", sa.Integer(), nullable=False),
        sa.Column("epoch_messages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("has_left", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("retention_days", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_messaging_threads_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messaging_threads")),
        sa.UniqueConstraint("thread_id", name=op.f("uq_messaging_threads_thread_id")),
    )
    op.create_index(
        "ix_messaging_threads_person_id", "messaging_threads", ["person_id"], unique=False
    )
    op.create_table(
        "messaging_accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.LargeBinary(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "PERSON",
                "PROFESSIONAL",
                "ORGANIZATION",
                "TEAM",
                name="messaging_account_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("label", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'PERSON') = (person_id IS NOT NULL) AND (kind = 'PROFESSIONAL') = (professional_id IS NOT NULL) AND (kind IN ('ORGANIZATION', 'TEAM')) = (organization_id IS NOT NULL) AND (kind = 'TEAM') = (name IS NOT NULL)",
            name=op.f("ck_messaging_accounts_one_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_messaging_accounts_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_messaging_accounts_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_messaging_accounts_professional_id_professionals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messaging_accounts")),
        sa.UniqueConstraint("account_id", name=op.f("uq_messaging_accounts_account_id")),
    )
    op.create_index(
        "ix_messaging_accounts_organization_id",
        "messaging_accounts",
        ["organization_id"],
        unique=False,
    )
    op.create_index(
        "uq_messaging_accounts_organization",
        "messaging_accounts",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND kind = 'ORGANIZATION'"),
    )
    op.create_index(
        "uq_messaging_accounts_person",
        "messaging_accounts",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_messaging_accounts_professional",
        "messaging_accounts",
        ["professional_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_messaging_accounts_team",
        "messaging_accounts",
        ["organization_id", "name"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND kind = 'TEAM'"),
    )
    op.create_table(
        "messaging_control_entries",
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["messaging_threads.id"],
            name=op.f("fk_messaging_control_entries_thread_id_messaging_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("thread_id", "number", name=op.f("pk_messaging_control_entries")),
    )
    op.create_table(
        "messaging_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("is_quiet", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["messaging_threads.id"],
            name=op.f("fk_messaging_messages_thread_id_messaging_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messaging_messages")),
        sa.UniqueConstraint(
            "thread_id",
            "device_id",
            "sequence",
            name=op.f("uq_messaging_messages_thread_id_device_id_sequence"),
        ),
        sa.UniqueConstraint(
            "thread_id", "number", name=op.f("uq_messaging_messages_thread_id_number")
        ),
    )
    op.create_index(
        "ix_messaging_messages_expires_at",
        "messaging_messages",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL AND erased_at IS NULL"),
    )
    op.create_table(
        "messaging_readers",
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("read_to", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("told_to", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["messaging_threads.id"],
            name=op.f("fk_messaging_readers_thread_id_messaging_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("thread_id", "reader_id", name=op.f("pk_messaging_readers")),
    )
    op.create_table(
        "messaging_account_entries",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("blind", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_account_entries_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "number", name=op.f("pk_messaging_account_entries")),
        sa.UniqueConstraint("leaf_index", name=op.f("uq_messaging_account_entries_leaf_index")),
    )
    op.create_table(
        "messaging_attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("blob_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name=op.f("fk_messaging_attachments_blob_id_blobs")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messaging_messages.id"],
            name=op.f("fk_messaging_attachments_message_id_messaging_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messaging_attachments")),
        sa.UniqueConstraint("blob_id", name=op.f("uq_messaging_attachments_blob_id")),
    )
    op.create_index(
        op.f("ix_messaging_attachments_message_id"),
        "messaging_attachments",
        ["message_id"],
        unique=False,
    )
    op.create_table(
        "messaging_backups",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_backups_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_messaging_backups")),
    )
    op.create_table(
        "messaging_bindings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("blind", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_bindings_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messaging_bindings")),
        sa.UniqueConstraint("label", "version", name=op.f("uq_messaging_bindings_label_version")),
        sa.UniqueConstraint("leaf_index", name=op.f("uq_messaging_bindings_leaf_index")),
    )
    op.create_index(
        "ix_messaging_bindings_account_id", "messaging_bindings", ["account_id"], unique=False
    )
    op.create_table(
        "messaging_devices",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_devices_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "device_id", name=op.f("pk_messaging_devices")),
    )
    op.create_table(
        "messaging_mandates",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("who", sa.LargeBinary(), nullable=False),
        sa.Column("is_delegation", sa.Boolean(), nullable=False),
        sa.Column("may_write", sa.Boolean(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_mandates_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "who", "is_delegation", name=op.f("pk_messaging_mandates")
        ),
    )
    op.create_index("ix_messaging_mandates_who", "messaging_mandates", ["who"], unique=False)
    op.create_table(
        "messaging_members",
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "MANAGER",
                "MEMBER",
                "GUARDIAN",
                "READER",
                name="thread_role",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("joined_in", sa.Integer(), nullable=False),
        sa.Column("history_from", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_members_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["messaging_threads.id"],
            name=op.f("fk_messaging_members_thread_id_messaging_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("thread_id", "account_id", name=op.f("pk_messaging_members")),
    )
    op.create_index(
        "ix_messaging_members_account_id", "messaging_members", ["account_id"], unique=False
    )
    op.create_table(
        "messaging_usage",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("threads", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("messages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("minute", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("minute_messages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_usage_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_messaging_usage")),
    )
    op.create_table(
        "messaging_wraps",
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["messaging_accounts.id"],
            name=op.f("fk_messaging_wraps_account_id_messaging_accounts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["messaging_threads.id"],
            name=op.f("fk_messaging_wraps_thread_id_messaging_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "thread_id", "account_id", "epoch", name=op.f("pk_messaging_wraps")
        ),
    )
