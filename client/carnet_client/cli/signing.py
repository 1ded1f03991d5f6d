"""``carnet-client login`` and ``logout``."""

from __future__ import annotations

import os
from typing import TextIO

import click

from carnet_client.cli.profile import is_new, open_store, store_for, with_messenger
from carnet_client.errors import SignInFailed, UserMistake
from carnet_client.messenger import Messenger

PASSWORD = "CARNET_CLIENT_PASSWORD"  # noqa: S105 — the name of a variable
EXAMPLES = """\
\b
Examples:
  carnet-client login https://records.example --login camille@example.org
  carnet token --as camille | carnet-client login http://127.0.0.1:8000 --token -
"""


@click.command(epilog=EXAMPLES)
@click.argument("server", required=False)
@click.option("--login", "name", metavar="LOGIN", help="Whom to sign in as; you are asked.")
@click.option(
    "--token",
    type=click.File(),
    metavar="FILE",
    help="Use the token in FILE, - for standard input.",
)
@click.option(
    "--no-keyring", is_flag=True, help="Use a passphrase though the system has a keyring."
)
@click.option("--log-key", metavar="KEY", help="Key of the directory, name+id+key, to trust alone.")
def login(
    server: str | None,
    name: str | None,
    token: TextIO | None,
    no_keyring: bool,
    log_key: str | None,
) -> None:
    """Sign in at SERVER, and keep the session in the profile.

    The first time it makes the profile. Later SERVER is known, and only the session is renewed.
    Without --log-key the directory's key is trusted that the server shows first, and no other
    from then on.
    """
    given = None if token is None else token.read().strip()
    if server is not None:
        store = store_for(server, may_use_keyring=not no_keyring)
    elif is_new():
        raise click.UsageError("Say which server: carnet-client login https://…")
    else:
        store = open_store()
    if log_key is not None:
        if store.state.log_key not in (None, log_key):
            store.close()
            raise UserMistake("This profile trusts another key.")
        store.state.log_key = log_key

    async def act(messenger: Messenger) -> str:
        if given:
            await messenger.use_token(given)
        else:
            await sign_in(messenger, name or store.state.login or None)
        return (await messenger.viewer()).name

    who = with_messenger(act, store)
    click.echo(f"Signed in as {who}.")
    if store.state.own is None:
        click.echo("Next: carnet-client enrol, or pair or recover if you have another device.")


async def sign_in(messenger: Messenger, name: str | None) -> None:
    """Ask for what is missing, and sign in; a wrong password may be typed three times."""
    name = name or click.prompt("Login", err=True)
    scripted = os.environ.get(PASSWORD)
    for attempt in range(3):
        password = scripted or click.prompt(f"Password of {name}", hide_input=True, err=True)
        try:
            await messenger.sign_in(name, password)
        except SignInFailed as error:
            if scripted or attempt == 2:
                raise
            click.echo(str(error), err=True)
        else:
            return


@click.command()
def logout() -> None:
    """End the session. The keys stay: login again to go on."""

    async def act(messenger: Messenger) -> None:
        await messenger.sign_out()

    with_messenger(act)
    click.echo("Signed out.")
