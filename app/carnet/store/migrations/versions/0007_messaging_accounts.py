"""Messaging accounts: what their owners are told, reads of backups, cosigned checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

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
    op.add_column(
        "messaging_backups",
        sa.Column("reads", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "messaging_backups", sa.Column("read_since", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_table(
        "messaging_cosigned_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_messaging_cosigned_checkpoints")),
    )
