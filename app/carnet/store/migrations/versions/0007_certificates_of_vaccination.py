"""Certificates of vaccination."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.add_column(
        "immunization_sources",
        sa.Column(
            "certificate_scheme",
            sa.Enum(
                "EU_DCC",
                "SMART_HEALTH_CARD",
                name="scheme",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
    )
    op.add_column("immunization_sources", sa.Column("certificate_issuer", sa.Text(), nullable=True))
