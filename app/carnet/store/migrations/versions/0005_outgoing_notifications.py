"""Outgoing notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_table(
        "notification_code_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(person_id, professional_id) = 1",
            name=op.f("ck_notification_code_requests_one_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_notification_code_requests_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_notification_code_requests_professional_id_professionals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_code_requests")),
    )
    op.create_index(
        "ix_notification_code_requests_address_hash",
        "notification_code_requests",
        ["address_hash", "requested_at"],
        unique=False,
    )
    op.create_index(
        "ix_notification_code_requests_person_id",
        "notification_code_requests",
        ["person_id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_code_requests_professional_id",
        "notification_code_requests",
        ["professional_id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_code_requests_requested_at",
        "notification_code_requests",
        ["requested_at"],
        unique=False,
    )
    op.create_table(
        "notification_destinations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column(
            "channel",
            sa.Enum(
                "EMAIL",
                "WEB_PUSH",
                name="channel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "PENDING",
                "ACTIVE",
                "UNDELIVERABLE",
                "RETIRED",
                name="destination_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("p256dh", sa.LargeBinary(), nullable=True),
        sa.Column("auth", sa.LargeBinary(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(channel = 'WEB_PUSH') = (p256dh IS NOT NULL AND auth IS NOT NULL) AND (p256dh IS NULL OR octet_length(p256dh) = 65) AND (auth IS NULL OR octet_length(auth) = 16)",
            name=op.f("ck_notification_destinations_push_keys"),
        ),
        sa.CheckConstraint(
            "(state = 'PENDING') = (expires_at IS NOT NULL) AND (channel = 'EMAIL' OR state IN ('ACTIVE', 'UNDELIVERABLE'))",
            name=op.f("ck_notification_destinations_pending_expires"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(person_id, professional_id) = 1",
            name=op.f("ck_notification_destinations_one_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_notification_destinations_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_notification_destinations_professional_id_professionals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_destinations")),
    )
    op.create_index(
        "ix_notification_destinations_leaving",
        "notification_destinations",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('PENDING', 'RETIRED')"),
    )
    op.create_index(
        "ix_notification_destinations_person_id",
        "notification_destinations",
        ["person_id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_destinations_professional_id",
        "notification_destinations",
        ["professional_id"],
        unique=False,
    )
    op.create_index(
        "uq_notification_destinations_endpoint",
        "notification_destinations",
        ["address_hash"],
        unique=True,
        postgresql_where=sa.text("channel = 'WEB_PUSH'"),
    )
    op.create_table(
        "notification_settings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("professional_id", sa.Uuid(), nullable=True),
        sa.Column(
            "locale",
            sa.Enum(
                "fr", "en", name="locale", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("choices", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(person_id, professional_id) = 1",
            name=op.f("ck_notification_settings_one_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["persons.id"],
            name=op.f("fk_notification_settings_person_id_persons"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["professional_id"],
            ["professionals.id"],
            name=op.f("fk_notification_settings_professional_id_professionals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_settings")),
        sa.UniqueConstraint("person_id", name=op.f("uq_notification_settings_person_id")),
        sa.UniqueConstraint(
            "professional_id", name=op.f("uq_notification_settings_professional_id")
        ),
    )
    op.create_table(
        "notification_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=True),
        sa.Column("destination_id", sa.Uuid(), nullable=False),
        sa.Column(
            "channel",
            sa.Enum(
                "EMAIL",
                "WEB_PUSH",
                name="channel",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "message",
            sa.Enum(
                "NOTIFICATION",
                "EMAIL_CODE",
                "EMAIL_RETIRED",
                name="delivery_message",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "QUEUED",
                "SENT",
                "REFUSED",
                "GIVEN_UP",
                name="delivery_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_by", sa.Uuid(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(message = 'NOTIFICATION') = (notification_id IS NOT NULL)",
            name=op.f("ck_notification_deliveries_says_something"),
        ),
        sa.CheckConstraint(
            "(state = 'QUEUED') = (finished_at IS NULL)",
            name=op.f("ck_notification_deliveries_finished"),
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["notification_destinations.id"],
            name=op.f("fk_notification_deliveries_destination_id_notification_destinations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_notification_deliveries_notification_id_notifications"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_deliveries")),
        sa.UniqueConstraint(
            "notification_id",
            "destination_id",
            name=op.f("uq_notification_deliveries_notification_id_destination_id"),
        ),
    )
    op.create_index(
        "ix_notification_deliveries_destination_id",
        "notification_deliveries",
        ["destination_id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_deliveries_due",
        "notification_deliveries",
        ["channel", "is_urgent", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'QUEUED'"),
    )
    op.create_index(
        "ix_notification_deliveries_expires_at",
        "notification_deliveries",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'QUEUED'"),
    )
    op.create_index(
        "ix_notification_deliveries_finished_at",
        "notification_deliveries",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'QUEUED'"),
    )
