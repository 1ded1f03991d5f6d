"""Alembic's entry: runs the revisions on the connection that `carnet.store.migrate` opened."""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from carnet.store.base import PartialDateText
from carnet.store.migrations.everything import METADATA


def _render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column types as the plain ones they are stored as: revisions are frozen."""
    return "sa.Text()" if kind == "type" and isinstance(item, PartialDateText) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_server_default=True,
    transaction_per_migration=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
