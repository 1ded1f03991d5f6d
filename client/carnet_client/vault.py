"""A file that is sealed as a whole, under a passphrase or a key that the system keeps.

``"CRNK" ‖ u8 1 ‖ u8 kind ‖ u8 passes ‖ u32 memory in KiB ‖ salt (16) ‖ write's salt (32) ‖
commitment (32) ‖ sealed content ‖ BLAKE2b-256 of all before``. Each write has a key of its own,
derived from the file's key and a fresh salt. The commitment says which key it is, so that a wrong
passphrase is told from a changed file; the last digest tells damage from both. Whoever can write
the file can put an older one back; nothing here notices that, and the relay's log does.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from carnet_client.errors import DamagedKeyStore, NoKeyStore, WrongPassphrase
from carnet_client.files import private_folder, sweep, write_whole
from carnet_client.keyrings import SystemKeyring
from carnet_client.lock import FileLock
from carnet_crypto import sodium
from carnet_crypto.errors import Malformed, OpenFailed
from carnet_crypto.values import Key
from carnet_crypto.wire import Reader, u8, u32

NAME = "keys.crnk"
MAGIC = b"CRNK\x01"
SALT = 16  # bytes
WRITE_SALT = 32  # bytes
DIGEST = 32  # bytes
PASSES = 3
MEMORY_KIB = 64 * 1024  # with three passes, a fifth of a second
MOST_PASSES = 10
MOST_MEMORY_KIB = 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
LEAST_PASSPHRASE = 8  # characters, of a new one

_DOMAIN = b"carnet-client/1/keys/"


class Unlocker(Protocol):
    """Where the key of a file comes from."""

    KIND: int

    def key(self, salt: bytes, passes: int, memory_kib: int, *, is_new: bool) -> Key:
        """Return the key; for a new file, make one.

        Raises:
            KeyStoreError: there is none.
        """
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Passphrase:
    """A passphrase, stretched by Argon2id. Shows nothing of itself."""

    text: str
    KIND = 1

    def key(self, salt: bytes, passes: int, memory_kib: int, *, is_new: bool) -> Key:
        """Return what the passphrase leads to; takes a fifth of a second."""
        typed = unicodedata.normalize("NFKC", self.text).encode("utf-8", "surrogatepass")
        return sodium.argon2id(typed, salt, passes=passes, memory_kib=memory_kib)

    def __repr__(self) -> str:
        return "<Passphrase>"


@dataclass(frozen=True, slots=True)
class FromKeyring:
    """A random key that the system's keyring keeps, under the file's salt as its name."""

    keyring: SystemKeyring
    KIND = 2

    def key(self, salt: bytes, passes: int, memory_kib: int, *, is_new: bool) -> Key:
        """Return the key that the keyring holds; for a new file, put one in."""
        if is_new:
            self.keyring.put(salt.hex(), os.urandom(Key.SIZE))
        found = self.keyring.get(salt.hex())
        if found is None:
            raise NoKeyStore("The system's keyring does not hold the key of this profile.")
        try:
            return Key(found)
        except Malformed:
            raise DamagedKeyStore("The key in the system's keyring is damaged.") from None


class Vault:
    """The file, open and locked. Shows nothing of itself."""

    def __init__(self, folder: Path, lock: FileLock, start: bytes, key: Key) -> None:
        self._path, self._lock = folder / NAME, lock
        self._start, self._key = start, key

    @staticmethod
    def is_there(folder: Path) -> bool:
        """Whether the folder has one."""
        return (folder / NAME).exists()

    @staticmethod
    def kind(folder: Path) -> int:
        """Return by what the folder's file is unlocked (`Unlocker.KIND`).

        Raises:
            NoKeyStore: there is none.
            DamagedKeyStore: it is not what was written.
        """
        return _read(folder / NAME).kind

    @staticmethod
    def create(folder: Path, unlocker: Unlocker, content: bytes) -> Vault:
        """Make the file.

        Raises:
            FileExistsError: there is one.
            KeyStoreInUse: another process is about to make it.
            OSError: the folder is not ours to write to.
        """
        private_folder(folder)
        lock = FileLock(folder / "lock")
        lock.take()
        try:
            salt = os.urandom(SALT)
            start = MAGIC + u8(unlocker.KIND) + u8(PASSES) + u32(MEMORY_KIB) + salt
            if Vault.is_there(folder):
                raise FileExistsError("this profile has keys already")
            vault = Vault(folder, lock, start, unlocker.key(salt, PASSES, MEMORY_KIB, is_new=True))
            write_whole(folder / NAME, vault._sealed(content), may_replace=False)
        except BaseException:
            lock.release()
            raise
        return vault

    @staticmethod
    def open(folder: Path, unlocker: Unlocker) -> tuple[Vault, bytes]:
        """Open the file; return it and its content.

        Raises:
            NoKeyStore: there is none.
            KeyStoreInUse: another process has it open.
            WrongPassphrase: it is sealed under another key.
            DamagedKeyStore: it is not what was written.
        """
        if not Vault.is_there(folder):
            raise NoKeyStore("This profile has no keys yet.")
        lock = FileLock(folder / "lock")
        lock.take()
        try:
            sweep(folder / NAME)
            file = _read(folder / NAME)
            if file.kind != unlocker.KIND:
                raise NoKeyStore("The keys of this profile are locked in another way.")
            key = unlocker.key(file.salt, file.passes, file.memory_kib, is_new=False)
            content = file.open(key)
        except BaseException:
            lock.release()
            raise
        return Vault(folder, lock, file.start, key), content

    def write(self, content: bytes) -> None:
        """Put other content in place of what is there, at once or not at all.

        Raises:
            OSError: the disk is full, or the folder not ours to write to.
        """
        write_whole(self._path, self._sealed(content))

    def close(self) -> None:
        """Let others open the file."""
        self._lock.release()

    def _sealed(self, content: bytes) -> bytes:
        head = self._start + os.urandom(WRITE_SALT)
        head += _derived(self._key, b"commitment", head)
        sealed = sodium.encrypt(Key(_derived(self._key, b"write", head)), content, head)
        whole = head + sealed
        return whole + blake2b(whole, digest_size=DIGEST).digest()

    def __repr__(self) -> str:
        return "<Vault>"


@dataclass(frozen=True, slots=True, repr=False)
class _File:
    start: bytes  # what stays the same from write to write
    head: bytes  # up to the commitment
    kind: int
    passes: int
    memory_kib: int
    salt: bytes
    commitment: bytes
    sealed: bytes

    def open(self, key: Key) -> bytes:
        if not sodium.are_equal(_derived(key, b"commitment", self.head), self.commitment):
            raise WrongPassphrase
        whole = self.head + self.commitment
        try:
            return sodium.decrypt(Key(_derived(key, b"write", whole)), self.sealed, whole)
        except OpenFailed:
            raise _damaged() from None


def _read(path: Path) -> _File:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except FileNotFoundError:
        raise NoKeyStore("This profile has no keys yet.") from None
    whole, digest = data[:-DIGEST], data[-DIGEST:]
    if blake2b(whole, digest_size=DIGEST).digest() != digest:
        raise _damaged()
    reader = Reader(whole)
    try:
        reader.magic(MAGIC)
        kind, passes, memory_kib = reader.u8(), reader.u8(), reader.u32()
        salt = reader.take(SALT)
        start = whole[: reader.at]
        reader.take(WRITE_SALT)
        head = whole[: reader.at]
        commitment = reader.take(DIGEST)
    except Malformed:
        raise _damaged() from None
    # A cheaper stretching than ours was put there by somebody else.
    if not PASSES <= passes <= MOST_PASSES or not MEMORY_KIB <= memory_kib <= MOST_MEMORY_KIB:
        raise _damaged()
    return _File(start, head, kind, passes, memory_kib, salt, commitment, reader.rest())


def _damaged() -> DamagedKeyStore:
    return DamagedKeyStore(
        "The file of this profile's keys is damaged; it is left as it is. "
        "Put a copy back, or recover with your recovery code into another profile."
    )


def _derived(key: Key, label: bytes, info: bytes) -> bytes:
    about = _DOMAIN + label + b"\0"
    return blake2b(about + info, key=key, digest_size=DIGEST).digest()
