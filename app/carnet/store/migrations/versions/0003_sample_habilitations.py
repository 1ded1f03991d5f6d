"""The sample of the habilitation matrix, until `carnet habilitation load` replaces it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SAMPLE = Path(__file__).parents[3] / "access" / "data" / "habilitations.tsv"


def upgrade() -> None:
    """Go up; there is no way down but a backup."""
    names = ("profession_code", "type_code", "level", "source")
    table = sa.table("habilitations", *(sa.column(name, sa.Text()) for name in names))
    lines = [line for line in SAMPLE.read_text().splitlines() if not line.startswith("#")]
    rows = [dict(zip(names, [*line.split("\t"), "SAMPLE"], strict=True)) for line in lines[1:]]
    op.bulk_insert(table, rows)
