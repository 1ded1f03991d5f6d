"""``carnet-client chat``: everything on one screen; the first time, it asks for all it needs."""

from __future__ import annotations

import asyncio
import sys

import click

from carnet_client.cli.enrolling import confirm
from carnet_client.cli.profile import is_new, open_store, store_for
from carnet_client.cli.signing import sign_in
from carnet_client.errors import NotSignedIn, UserMistake
from carnet_client.keystore import KeyStore
from carnet_client.messenger import Messenger


@click.command()
@click.option("--server", metavar="URL", help="The first time: where.")
@click.option("--login", "name", metavar="LOGIN", help="The first time: as whom.")
def chat(server: str | None, name: str | None) -> None:
    """Read and write on one screen.

    In a new profile it signs in and enrols first. Keys are listed at the bottom of the screen.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserMistake("The screen needs a terminal; programs use read, send and follow.")
    if server is None and is_new():
        server = str(click.prompt("Server", err=True))
    store = open_store() if server is None else store_for(server)
    asyncio.run(_chat(store, name))


async def _chat(store: KeyStore, name: str | None) -> None:
    from carnet_client.tui.app import ChatApp

    async with Messenger(store) as messenger:
        try:
            await messenger.viewer()
        except NotSignedIn:
            await sign_in(messenger, name or store.state.login or None)
        await messenger.accounts.resume()
        if not messenger.is_enrolled:
            await confirm(await messenger.enrol())
        await ChatApp(messenger).run_async()
