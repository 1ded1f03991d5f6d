"""``carnet sweep``: gives back the room of uploads that nothing refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace

EXAMPLE = """\
\b
Example:
  carnet sweep
"""


@click.command(epilog=EXAMPLE)
def sweep() -> None:
    """Delete uploads that broke off or expired.

    A running server does it by itself.
    """
    from carnet.cli.console import with_stores
    from carnet.cli.progress import telling

    async def act(opened: Workspace) -> tuple[int, int, int]:
        from carnet.store.sweeping import Sweeper

        sweeper = Sweeper(opened.blobs)
        blobs = orphans = files = 0
        is_done = False
        with telling("Sweeping") as told:
            while not is_done:
                found = await sweeper.sweep(opened.database)
                blobs += found.expired_blobs
                orphans += found.orphan_blobs
                files += found.unfinished_files
                is_done = found.is_done
                told(f"{blobs} uploads")
        return blobs, orphans, files

    blobs, orphans, files = with_stores(act)
    click.echo(f"Deleted: {blobs} expired, {orphans} without an owner, {files} half written.")
