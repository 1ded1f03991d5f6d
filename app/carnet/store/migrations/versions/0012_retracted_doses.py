"""Which documents told of a dose, and do no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_table(
        "retracted_doses",
        sa.Column("immunization_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_retracted_doses_document_id_documents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("immunization_id", "document_id", name=op.f("pk_retracted_doses")),
    )
    op.create_index(
        op.f("ix_retracted_doses_document_id"), "retracted_doses", ["document_id"], unique=False
    )
