"""``carnet check``: what would be unsafe in production, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from carnet.cli.faults import FAILED, wait_for
from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.settings import Settings

EPILOG = """\
\b
Example:
  CARNET_MODE=production carnet check && carnet serve
"""


@click.command(epilog=EPILOG)
def check() -> int:
    """Tell what is unsafe for real records; exit 1 if anything.

    Looks at the settings, the key files and the database, and changes nothing. In production,
    `carnet serve` does the same first, and does not start when something is found.
    """
    from carnet.cli.safety import find_all

    found = wait_for(find_all())
    for finding in found:
        click.echo(str(finding))
    if found:
        return FAILED
    click.echo("Nothing unsafe was found.")
    return 0


def refuse_danger(settings: Settings) -> None:
    """Refuse to serve where something is unsafe; each finding is told on stderr.

    Raises:
        UserMistake: there is any.
    """
    from carnet.cli.safety import find_dangers

    found = wait_for(find_dangers(settings))
    for finding in found:
        click.echo(str(finding), err=True)
    if found:
        raise UserMistake(
            f"Not safe for production: {len(found)} finding{'s' * (len(found) > 1)},"
            " see docs/operations.md."
        )
