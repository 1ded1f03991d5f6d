"""Attempts of who has signed in are counted by the account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.add_column("sign_in_attempts", sa.Column("account_id", sa.Uuid(), nullable=True))
    op.alter_column("sign_in_attempts", "address", nullable=True)
    op.create_foreign_key(
        op.f("fk_sign_in_attempts_account_id_accounts"),
        "sign_in_attempts",
        "accounts",
        ["account_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_check_constraint(
        op.f("ck_sign_in_attempts_one_source"),
        "sign_in_attempts",
        "(address IS NULL) <> (account_id IS NULL)",
    )
    op.create_index(
        "ix_sign_in_attempts_account_id_attempted_at",
        "sign_in_attempts",
        ["account_id", "attempted_at"],
        unique=False,
    )
