"""Pages of documents are found without their status: what is current depends on who looks."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    op.create_index("ix_documents_sorted", "documents", ["record_id", "sort_at", "id"])
    op.drop_index("ix_documents_page", table_name="documents")
