"""How a command reaches its profile and its server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from carnet_client.connection import checked_address
from carnet_client.errors import NoKeyStore, UserMistake
from carnet_client.keystore import KeyStore, profile_folder, unlocker_for_new, unlocker_of
from carnet_client.messenger import Messenger
from carnet_client.state import ClientState
from carnet_client.vault import Vault

T = TypeVar("T")


def chosen_folder() -> Path:
    """Return the folder of the profile that the command line or the environment names."""
    root = click.get_current_context().find_root()
    return profile_folder(root.params.get("profile"))


def ask_passphrase(is_new: bool) -> str:
    """Ask for the passphrase of the profile, twice for a new one."""
    if is_new:
        click.echo("A passphrase will protect this profile's keys on this machine.", err=True)
    prompt = "New passphrase" if is_new else "Passphrase"
    typed: str = click.prompt(prompt, hide_input=True, confirmation_prompt=is_new, err=True)
    return typed


def open_store() -> KeyStore:
    """Open the profile.

    Raises:
        NoKeyStore: there is none yet.
        KeyStoreError: it cannot be opened.
    """
    folder = chosen_folder()
    if is_new():
        raise NoKeyStore(f"There is no profile in {folder}: begin with `carnet-client login`.")
    return KeyStore.open(folder, unlocker_of(folder, ask_passphrase))


def is_new() -> bool:
    """Tell whether there is no profile yet."""
    return not Vault.is_there(chosen_folder())


def store_for(server: str, *, may_use_keyring: bool = True) -> KeyStore:
    """Make a profile for a server, or open the one that is of it.

    One that nobody has signed in with is of any server: its address may have been mistyped.

    Raises:
        UserMistake: it is no address, or the profile is of another server.
        KeyStoreError: it cannot be opened.
    """
    checked_address(server)
    if is_new():
        unlocker = unlocker_for_new(ask_passphrase, may_use_keyring=may_use_keyring)
        return KeyStore.create(chosen_folder(), ClientState(server), unlocker)
    store = open_store()
    if server.rstrip("/") != store.state.server.rstrip("/"):
        if not store.state.is_unused:
            store.close()
            raise UserMistake(
                f"This profile is of {store.state.server}: use another one (--profile FOLDER)."
            )
        store.state.server = server
    return store


def with_messenger(act: Callable[[Messenger], Awaitable[T]], store: KeyStore | None = None) -> T:
    """Run the action of a command on the opened profile; say what is wrong at the end."""
    opened = store or open_store()

    async def run() -> T:
        async with Messenger(opened) as messenger:
            if messenger.is_enrolled:
                await messenger.accounts.resume()
            try:
                return await act(messenger)
            finally:
                for alarm in messenger.alarms:
                    click.secho(f"ALARM: {alarm.message}", fg="red", bold=True, err=True)

    try:
        return asyncio.run(run())
    except BaseException:
        opened.close()
        raise
