"""``carnet-client people`` and ``verify``."""

from __future__ import annotations

import click

from carnet_client.cli.profile import with_messenger
from carnet_client.messenger import Messenger

_MARKS = {True: "verified", False: "", None: "CHANGED SINCE YOU VERIFIED"}
VERIFY_EXAMPLES = """\
\b
Example:
  carnet-client verify "Sophie BERNARD"
"""


@click.command()
def people() -> None:
    """List whom you can write to.

    Your care team, your patients, those you act for; who has not enrolled yet is not there.
    """

    async def act(messenger: Messenger) -> None:
        found = await messenger.people()
        for info in found:
            number = info.register_id or ""
            line = f"{info.name:32} {info.kind.lower():13} {number:12}"
            click.echo(f"{line} {_MARKS[messenger.is_verified(info.id)]}".rstrip())
        if not found:
            click.echo("Nobody yet who has enrolled.", err=True)

    with_messenger(act)


@click.command(epilog=VERIFY_EXAMPLES)
@click.argument("name")
@click.option("--yes", is_flag=True, help="You have compared already: do not ask.")
def verify(name: str, yes: bool) -> None:
    """Compare safety numbers with NAME, by voice or at the desk.

    If both of you see the same sixty digits, nobody stands between you. You are told if it ever
    changes.
    """

    async def act(messenger: Messenger) -> bool:
        info = await messenger.find(name)
        number = await messenger.safety_number(info.id)
        click.echo(f"\nYou and {info.name}:\n")
        groups = number.split()
        for at in range(0, len(groups), 4):
            click.secho("    " + " ".join(groups[at : at + 4]), bold=True)
        click.echo()
        if yes or click.confirm("Does the other person see the same?", err=True):
            await messenger.verify(info.id)
            return True
        return False

    click.echo("Verified." if with_messenger(act) else "Not verified: do not write about anything.")
