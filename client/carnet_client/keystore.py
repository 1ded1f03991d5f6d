"""Where a profile's state is kept: the system's keyring guards it, or a passphrase does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from carnet_client.errors import DamagedKeyStore, NoKeyStore, UserMistake
from carnet_client.keyrings import SystemKeyring
from carnet_client.state import ClientState
from carnet_client.vault import LEAST_PASSPHRASE, FromKeyring, Passphrase, Unlocker, Vault

HOME = "CARNET_CLIENT_HOME"
PASSPHRASE = "CARNET_CLIENT_PASSPHRASE"  # noqa: S105 — the name of a variable

AskPassphrase = Callable[[bool], str]
"""Asks a person for the passphrase; the argument says whether it is a new one."""


def profile_folder(chosen: Path | None = None) -> Path:
    """Return the folder of a profile: the chosen one, CARNET_CLIENT_HOME, or the usual place."""
    if chosen is not None:
        return chosen
    named = os.environ.get(HOME)
    return Path(named) if named else Path.home() / ".carnet-client"


class KeyStore:
    """The state of a profile, open: change `state`, then `save`. Shows nothing of itself."""

    def __init__(self, vault: Vault, state: ClientState) -> None:
        self._vault = vault
        self._kept = state.encode()
        self.state = state

    @staticmethod
    def create(folder: Path, state: ClientState, unlocker: Unlocker) -> KeyStore:
        """Make a profile.

        Raises:
            UserMistake: the passphrase is too short, or there is a profile already.
            KeyStoreError: the keyring does not answer, or another process is at it.
            OSError: the folder is not ours to write to.
        """
        if isinstance(unlocker, Passphrase) and len(unlocker.text) < LEAST_PASSPHRASE:
            raise UserMistake(f"A passphrase has at least {LEAST_PASSPHRASE} characters.")
        try:
            return KeyStore(Vault.create(folder, unlocker, state.encode()), state)
        except FileExistsError:
            raise UserMistake("There are keys in this profile's folder already.") from None

    @staticmethod
    def open(folder: Path, unlocker: Unlocker) -> KeyStore:
        """Open a profile.

        Raises:
            NoKeyStore, KeyStoreInUse, WrongPassphrase, DamagedKeyStore: see there.
        """
        vault, content = Vault.open(folder, unlocker)
        try:
            return KeyStore(vault, ClientState.decode(content))
        except BaseException:
            vault.close()
            raise

    def save(self) -> None:
        """Keep the state as it is now. After this returns, a crash takes nothing back.

        Raises:
            OSError: the disk is full, or the folder not ours to write to.
        """
        encoded = self.state.encode()
        if encoded != self._kept:
            self._vault.write(encoded)
            self._kept = encoded

    def close(self) -> None:
        """Let others open the profile."""
        self._vault.close()

    def __repr__(self) -> str:
        return "<KeyStore>"


def unlocker_for_new(ask: AskPassphrase, *, may_use_keyring: bool = True) -> Unlocker:
    """Return what a new profile is locked with: the system's keyring where there is one."""
    named = os.environ.get(PASSPHRASE)
    if named is not None:
        return Passphrase(named)
    keyring = SystemKeyring.find() if may_use_keyring else None
    return Passphrase(ask(True)) if keyring is None else FromKeyring(keyring)


def unlocker_of(folder: Path, ask: AskPassphrase) -> Unlocker:
    """Return what unlocks a profile; asks for a passphrase only where one is needed.

    Raises:
        NoKeyStore: there is no profile, or the keyring that its key is in is gone.
        DamagedKeyStore: its file is not what was written.
    """
    kind = Vault.kind(folder)
    if kind == Passphrase.KIND:
        named = os.environ.get(PASSPHRASE)
        return Passphrase(ask(False) if named is None else named)
    if kind != FromKeyring.KIND:
        raise DamagedKeyStore("This profile is locked in a way that this client does not know.")
    keyring = SystemKeyring.find()
    if keyring is None:
        raise NoKeyStore("The key of this profile is in a system keyring that is not there now.")
    return FromKeyring(keyring)
