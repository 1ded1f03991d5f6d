"""``carnet-client chat``: everything on one screen; the first time, it asks for all it needs."""

from __future__ import annotations

import asyncio

import click

from carnet_client.cli.enrolling import confirm
from carnet_client.cli.profile import chosen_folder, create_store, open_store
from carnet_client.cli.signing import sign_in
from carnet_client.errors import NotSignedIn
from carnet_client.keystore import KeyStore
from carnet_client.messenger import Messenger
from carnet_client.vault import Vault


@click.command()
@click.option("--server", metavar="URL", help="The first time: where.")
@click.option("--login", "name", metavar="LOGIN", help="The first time: as whom.")
def chat(server: str | None, name: str | None) -> None:
    """Read and write on one screen.

    In a new profile it signs in and enrols first. Keys are listed at the bottom of the screen.
    """
    if not Vault.is_there(chosen_folder()):
        store = create_store(server or click.prompt("Server", err=True))
    else:
        store = open_store()
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
