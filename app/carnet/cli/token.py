"""``carnet token``: becomes somebody of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace

EXAMPLES = """\
\b
Examples:
  carnet token --as camille
  carnet token --as "DOMINIQUE PAT-TROIS"
  carnet token --as 279035121518989
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--as",
    "name",
    metavar="PERSONA",
    help="A name of the sandbox, or anybody in it: full name, family name or national number.",
)
@click.option("--list", "is_list", is_flag=True, help="List the sandbox's people instead.")
def token(name: str | None, is_list: bool) -> None:
    """Print a token of the sandbox.

    It signs in as PERSONA. For a publisher it is the credential that feeds records.
    """
    from carnet.cli.console import refuse_production, with_stores
    from carnet.sandbox.personas import HANDLES

    refuse_production()
    if is_list:
        for handle, who in HANDLES.items():
            click.echo(f"{handle:10} {who}")
        return
    if name is None:
        raise click.UsageError("Say who: --as PERSONA, or --list.")
    wanted = name

    async def act(opened: Workspace) -> str:
        from carnet.cli.impersonation import token_for

        return await token_for(opened, wanted)

    click.echo(with_stores(act))
