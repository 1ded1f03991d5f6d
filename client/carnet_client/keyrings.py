"""The system's keyring: macOS's Keychain, Windows' Credential Locker, Secret Service or KWallet."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BinasciiError

from keyring import get_keyring
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringError

from carnet_client.errors import DamagedKeyStore, KeyStoreError

SERVICE = "carnet-client"
_OF_THE_SYSTEM = frozenset(
    f"keyring.backends.{name}"
    for name in ("macOS", "Windows", "SecretService", "libsecret", "kwallet")
)


class SystemKeyring:
    """A keyring that the system itself protects. Files in plain text are none."""

    def __init__(self, backend: KeyringBackend) -> None:
        self._backend = backend

    @staticmethod
    def find() -> SystemKeyring | None:
        """Return the system's keyring, or None where there is none, as on most servers."""
        try:
            chosen = get_keyring()
            backends = chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]
        except (KeyringError, RuntimeError, OSError):
            return None
        for backend in backends:
            if type(backend).__module__ in _OF_THE_SYSTEM:
                return SystemKeyring(backend)
        return None

    def get(self, name: str) -> bytes | None:
        """Return what is kept under a name.

        Raises:
            KeyStoreError: the keyring is locked, or fails.
            DamagedKeyStore: it holds something else.
        """
        try:
            found = self._backend.get_password(SERVICE, name)
        except KeyringError as error:
            raise _failed(error) from None
        try:
            return None if found is None else b64decode(found, validate=True)
        except (BinasciiError, ValueError):
            raise DamagedKeyStore("The key in the system's keyring is damaged.") from None

    def put(self, name: str, secret: bytes) -> None:
        """Keep something under a name.

        Raises:
            KeyStoreError: the keyring is locked, or fails.
        """
        try:
            self._backend.set_password(SERVICE, name, b64encode(secret).decode())
        except KeyringError as error:
            raise _failed(error) from None

    def __repr__(self) -> str:
        return "<SystemKeyring>"


def _failed(error: KeyringError) -> KeyStoreError:
    return KeyStoreError(f"The system's keyring does not answer ({type(error).__name__}).")
