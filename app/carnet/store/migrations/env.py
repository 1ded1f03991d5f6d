"""Alembic's entry: runs the revisions on the connection that `carnet.store.migrate` opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext, MigrationInfo

from carnet.store.base import PartialDateText
from carnet.store.migrations.everything import METADATA


def _render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column types as the plain ones they are stored as: revisions are frozen."""
    return "sa.Text()" if kind == "type" and isinstance(item, PartialDateText) else False


def _tell(
    ctx: MigrationContext,  # Alembic calls with these names
    step: MigrationInfo,
    heads: Collection[Any],
    run_args: Mapping[str, Any],
) -> None:
    """Say which revision is done, on its own transaction's last word."""
    told = context.config.attributes.get("told")
    if told is not None and step.is_upgrade:
        told(f"Migration {step.up_revision_id} is run.")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_server_default=True,
    transaction_per_migration=True,
    render_item=_render,
    on_version_apply=_tell,
)
with context.begin_transaction():
    context.run_migrations()
