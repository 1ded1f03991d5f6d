"""``carnet terminology``: the published code tables, larger than those that ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.terminology.actions import LoadReport

EXAMPLE = """\
\b
Example:
  carnet terminology load nuva/ valuesets/JDV_J07*.xml
"""


@click.group()
def terminology() -> None:
    """Load code tables: vaccines and value sets."""


@terminology.command(epilog=EXAMPLE)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…"
)
def load(paths: tuple[Path, ...]) -> None:
    """Load tables from files or folders.

    What they say replaces what was loaded before.

    Read are the files of NUVA (CSV, YAML and the archive of its units) and value sets as France's
    health agency publishes them (XML). Give NUVA's files together: the codes need the units. All
    or nothing is loaded; other files in a folder are skipped.
    """
    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable
    from carnet.cli.progress import telling
    from carnet.terminology.actions import load as load_paths

    async def act(opened: Workspace) -> LoadReport:
        with telling("Loading") as tell:
            async with opened.database.write() as work:
                return await load_paths(work, paths, lambda name: tell(printable(name)))

    report = with_stores(act)
    for path in report.skipped:
        click.echo(f"{printable(str(path))}: skipped, not of a known kind", err=True)
    for each in report.loaded:
        click.echo(
            f"{printable(each.name)}: {each.total} codes"
            f" ({each.changed} changed, {each.removed} removed)"
        )
    if report.ignored:
        codes = sum(report.ignored.values())
        names = ", ".join(printable(name) for name in sorted(report.ignored))
        click.echo(f"Left out: {codes} codes of systems that are not looked up ({names})")
    if report.unknown_targets:
        targets = ", ".join(printable(target) for target in sorted(report.unknown_targets))
        click.echo(f"Left out: diseases of NUVA that Carnet does not know ({targets})")
    click.echo(f"{sum(each.total for each in report.loaded)} codes loaded.")
