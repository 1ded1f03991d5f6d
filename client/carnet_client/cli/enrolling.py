"""``carnet-client enrol`` and ``recover``: the first device, and one after all are lost."""

from __future__ import annotations

import click

from carnet_client.accounts import Enrolment, Owner
from carnet_client.cli.profile import with_messenger
from carnet_client.errors import UserMistake
from carnet_client.messenger import Messenger
from carnet_crypto.values import AccountId

TRIES = 3
EXAMPLES = """\
\b
Examples:
  carnet-client enrol
  carnet-client enrol --child Léa           an account for a child of yours
  carnet-client enrol --team "Diabetes"     an inbox of a team where you work
"""
RECOVER_EXAMPLES = """\
\b
Example:
  carnet-client recover
"""


@click.command(epilog=EXAMPLES)
@click.option("--child", metavar="NAME", help="For somebody you act for in messages.")
@click.option("--team", metavar="NAME", help="For a team of where you work.")
@click.option("--organization", is_flag=True, help="For the organization where you work.")
@click.option("--with-passphrase", is_flag=True, help="Ask for one that recovery needs as well.")
@click.option(
    "--start-anew",
    is_flag=True,
    help="Give up the account on your other devices: its history is lost.",
)
@click.option("--code-on-stdout", is_flag=True, help="Print the code and ask nothing, for scripts.")
def enrol(
    child: str | None,
    team: str | None,
    organization: bool,
    with_passphrase: bool,
    start_anew: bool,
    code_on_stdout: bool,
) -> None:
    """Make keys on this device, and begin your account.

    A recovery code is shown once. Write it on paper: with it, a new device brings everything back;
    without it and without your devices, your messages are lost, and nobody can help.
    """
    phrase = ""
    if with_passphrase:
        phrase = click.prompt("Passphrase for recovery", hide_input=True, confirmation_prompt=True)

    async def act(messenger: Messenger) -> None:
        owner = await _owner(messenger, child, team, organization)
        enrolment = await messenger.enrol(owner, phrase, is_anew=start_anew)
        if code_on_stdout:
            click.echo(enrolment.code)
            await enrolment.confirm(enrolment.code)
        else:
            await confirm(enrolment)

    with_messenger(act)
    click.echo("Enrolled. Next: carnet-client chat", err=code_on_stdout)


async def confirm(enrolment: Enrolment) -> AccountId:
    """Show a recovery code, and ask for it until it is typed right."""
    click.echo("\nYour recovery code. Write it down now; it is not shown again:\n")
    click.secho(f"    {enrolment.code}\n", bold=True)
    for attempt in range(TRIES):
        typed = click.prompt("Type it from your paper", err=True)
        try:
            return await enrolment.confirm(typed)
        except UserMistake as error:
            if attempt + 1 == TRIES:
                raise
            click.echo(str(error), err=True)
    raise UserMistake("Nothing was made.")


async def _owner(
    messenger: Messenger, child: str | None, team: str | None, organization: bool
) -> Owner | None:
    if sum((child is not None, team is not None, organization)) > 1:
        raise click.UsageError("One at a time: --child, --team or --organization.")
    if child is not None:
        return Owner(record_id=await messenger.record_of(child))
    if team is None and not organization:
        return None
    viewer = await messenger.viewer()
    if viewer.organization_id is None:
        raise UserMistake("You work at no organization.")
    return Owner(organization_id=viewer.organization_id, team=team)


@click.command(epilog=RECOVER_EXAMPLES)
@click.option("--with-passphrase", is_flag=True, help="Ask for the passphrase set beside the code.")
@click.option(
    "--keep-devices", is_flag=True, help="Keep your other devices; else they are revoked."
)
@click.option("--account", metavar="NAME", help="Of a child or team instead of your own.")
def recover(with_passphrase: bool, keep_devices: bool, account: str | None) -> None:
    """Bring your account back here with your recovery code.

    Devices that you had are revoked, as lost, unless you keep them.
    """
    code = click.prompt("Recovery code", err=True)
    phrase = click.prompt("Passphrase", hide_input=True, err=True) if with_passphrase else ""

    async def act(messenger: Messenger) -> None:
        chosen = None if account is None else (await messenger.acting(account)).id
        await messenger.recover(code, phrase, chosen, keep_others=keep_devices)

    with_messenger(act)
    click.echo("Recovered. Next: carnet-client threads")
