"""Push subscriptions are told apart by their keys too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_index(
        "uq_notification_destinations_subscription",
        "notification_destinations",
        ["address_hash", "p256dh", "auth"],
        unique=True,
        postgresql_where=sa.text("channel = 'WEB_PUSH'"),
    )
    op.drop_index(
        "uq_notification_destinations_endpoint",
        table_name="notification_destinations",
        postgresql_where=sa.text("channel = 'WEB_PUSH'"),
    )
