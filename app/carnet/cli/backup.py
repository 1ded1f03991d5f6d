"""``carnet backup``: everything but the keys, in a folder or a file, while servers run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.faults import wait_for
from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.settings import Settings
    from carnet.store.keys import FileKeyProvider
    from carnet.store.manifests import Manifest
    from carnet.store.signing import Signer

EXAMPLES = """\
\b
Examples:
  carnet backup /backups/2026-11-23          a folder
  carnet backup /backups/2026-11-23.tar      one file
"""


@click.command(epilog=EXAMPLES)
@click.argument("place", type=click.Path(path_type=Path))
def backup(place: Path) -> None:
    """Save database and contents, sealed, while servers go on.

    PLACE is a folder, or a file where its name ends in .tar; it appears when the backup is
    complete. The keys are not in it, and without them nobody can read it: keep copies of the files
    that are named at the end somewhere else. Reads the database as its owner.
    """
    manifest = wait_for(_backup(place))
    click.echo(
        f"Saved in {place}: {manifest.dump_bytes / 1e6:,.1f} MB of the database,"
        f" {manifest.contents:,} contents ({manifest.object_bytes / 1e6:,.1f} MB)."
    )
    click.echo(
        f"It opens with these keys only, which are not in it: {', '.join(manifest.kek_ids)}"
        " (CARNET_KEK_FILE), and the one that signs the journal (CARNET_LOG_KEY_FILE)."
    )
    if manifest.lost:
        raise UserMistake(
            f"The backup is complete, but the store had lost {manifest.lost:,} contents already."
        )


async def _backup(place: Path) -> Manifest:
    from carnet.cli.progress import telling
    from carnet.cli.saving import save
    from carnet.cli.workspace import owner_url
    from carnet.settings import Settings
    from carnet.store.objects import Objects
    from carnet.store.shelves import new_shelf

    settings = Settings.from_env()
    if settings.database_url is None and not (settings.data_dir / "postgres").is_dir():
        raise UserMistake(f"There is nothing to back up in {settings.data_dir}.")
    keys, signer = key_files(settings)
    objects = Objects.open(settings.blob_url, settings.data_dir)
    with (
        new_shelf(place) as shelf,
        owner_url(settings) as owner,
        telling("Backing up") as told,
    ):
        return await save(owner, objects, keys, signer, shelf, told)


def key_files(settings: Settings) -> tuple[FileKeyProvider, Signer]:
    """Read the two key files that are there; none is made.

    Raises:
        UserMistake: one is missing, ill-formed or open to others.
    """
    from carnet.store.keys import FileKeyProvider, read_key_file
    from carnet.store.signing import Signer

    folder = settings.data_dir / "keys"
    return (
        FileKeyProvider(read_key_file(settings.kek_file or folder / "kek")),
        Signer(read_key_file(settings.log_key_file or folder / "log")),
    )
