"""``carnet terminology``: the published code tables, larger than those that ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace

EXAMPLE = """\
\b
Example:
  carnet terminology load nuva/nuva_core.csv nuva/CIP2nuva.csv valuesets/JDV_J07*.xml
"""


@click.group()
def terminology() -> None:
    """Load code tables: vaccines and value sets."""


@terminology.command(epilog=EXAMPLE)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…"
)
def load(paths: tuple[Path, ...]) -> None:
    """Load tables from files or folders; what is known of a code already is replaced.

    Read are the files of NUVA (CSV) and value sets as France's health agency publishes them (XML).
    """
    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable
    from carnet.cli.progress import progress
    from carnet.terminology.loading import load as load_file

    async def act(opened: Workspace) -> int:
        total = 0
        files = [file for path in paths for file in _files(path)]
        with progress("Loading", len(files)) as bar:
            for file in files:
                bar.show(file.name)
                async with opened.database.write() as work:
                    count = await load_file(work, file)
                click.echo(f"{printable(str(file))}: {count} codes")
                total += count
                bar.step()
        return total

    click.echo(f"{with_stores(act)} codes loaded.")


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
