"""``carnet restore``: a backup into an installation that has nothing yet."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.faults import wait_for
from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.cli.restoring import Restored

EXAMPLES = """\
\b
Examples:
  CARNET_DATA_DIR=/srv/carnet carnet restore /backups/2026-11-23
  carnet restore /backups/2026-11-23.tar
"""


@click.command(epilog=EXAMPLES)
@click.argument("place", type=click.Path(path_type=Path))
def restore(place: Path) -> None:
    """Bring a backup back, and prove its journal.

    Put the key files where the settings name them first (by default, keys/ in the data folder).
    Refuses a database with tables and a blob store with contents of others. Everybody has to sign
    in anew afterwards. Runs as the owner of the database.
    """
    done = wait_for(_restore(place))
    manifest, journal = done.manifest, done.journal
    click.echo(
        f"Restored what was saved on {manifest.created_at}: {manifest.contents:,} contents."
        " All sessions have ended."
    )
    if manifest.erased_meanwhile or manifest.lost:
        click.echo(
            f"The contents of {manifest.erased_meanwhile:,} documents were erased while the backup"
            f" was made, and {manifest.lost:,} were lost before."
        )
    for finding in journal.findings:
        click.echo(f"{finding.problem.value}: {finding.message}")
    if not journal.is_whole:
        raise UserMistake("The journal is not whole.")
    click.echo(f"The journal is whole: {journal.entries:,} entries; head of size {journal.size:,}.")


async def _restore(place: Path) -> Restored:
    from carnet.cli.backup import key_files
    from carnet.cli.progress import telling
    from carnet.cli.restoring import read_manifest
    from carnet.cli.restoring import restore as bring_back
    from carnet.cli.workspace import owner_url
    from carnet.settings import Settings
    from carnet.store.embedded import hold
    from carnet.store.objects import Objects
    from carnet.store.shelves import Shelf

    settings = Settings.from_env()
    shelf = Shelf(place)
    keys, signer = key_files(settings)
    read_manifest(shelf, signer, keys)  # before anything is made
    is_embedded = settings.database_url is None
    with ExitStack() as held:
        if is_embedded:
            held.enter_context(hold(settings.data_dir))
        owner = held.enter_context(owner_url(settings, tells_new=True))
        told = held.enter_context(telling("Restoring"))
        objects = Objects.open(settings.blob_url, settings.data_dir)
        return await bring_back(owner, objects, keys, signer, shelf, told, create=is_embedded)
