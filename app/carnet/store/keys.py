"""Where the keys come from that wrap each blob's own key.

A blob's key is stored next to its metadata, wrapped by a key-encryption key (KEK) that is never
in the database. `FileKeyProvider` keeps the KEKs in a file; another provider, such as a cloud's
key service, implements `KeyProvider`.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carnet.errors import ContentCorrupted, ContentUnavailable, UserMistake

KEK_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"  # of a wrapped key: version ‖ nonce ‖ AES-256-GCM of the key
KEYS_LIMIT = 100  # lines of a key file

_KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?")  # 32 bytes in base64url, one spelling


class KeyProvider(Protocol):
    """Wraps and unwraps keys. ``context`` says what a key is for, and must be the same twice."""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Return the id of the KEK that was used, and the wrapped key."""
        ...

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Return the key.

        Raises:
            ContentUnavailable: the KEK is not here.
            ContentCorrupted: the wrapped key or its context is not what was wrapped.
        """
        ...


class FileKeyProvider:
    """KEKs from a file: one per line, 32 bytes in base64url; lines with ``#`` are comments.

    The first wraps; the others only unwrap. To rotate, put a new line first and keep the others
    until nothing is wrapped by them. One KEK wraps 2³² keys safely: its nonces are random.
    """

    def __init__(self, keks: Sequence[bytes]) -> None:
        if not keks:
            raise ValueError("a key provider needs a key")
        self._keks = {_kek_id(kek): AESGCM(kek) for kek in keks}
        self._current = _kek_id(keks[0])

    def __repr__(self) -> str:
        return f"FileKeyProvider(current={self._current}, keys={len(self._keks)})"

    @classmethod
    def open(cls, path: Path | None, data_dir: Path, *, may_create: bool) -> FileKeyProvider:
        """Read the key file, or make one for development.

        Args:
            path: the file; None for ``keys/kek`` in the data folder.
            data_dir: the data folder.
            may_create: make a missing file in the data folder (development).

        Raises:
            UserMistake: the file is missing, ill-formed or open to others.
        """
        if path is None and not may_create:
            raise UserMistake(
                "Production needs a key file: set CARNET_KEK_FILE to one with mode 0600 that"
                " holds 32 random bytes in base64url."
            )
        return cls(read_key_file(path or made_key_file(data_dir, "kek")))

    @property
    def ids(self) -> list[str]:
        """The ids of the KEKs, in the order of the file."""
        return list(self._keks)

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap with the current KEK."""
        nonce = token_bytes(NONCE_BYTES)
        sealed = self._keks[self._current].encrypt(nonce, key, self._bound(self._current, context))
        return self._current, VERSION + nonce + sealed

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap with the KEK of this id; see `KeyProvider`."""
        kek = self._keks.get(kek_id)
        if kek is None:
            raise ContentUnavailable("The key file lacks the key that this content needs.")
        if wrapped[:1] != VERSION:
            raise ContentCorrupted()
        nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        try:
            return kek.decrypt(nonce, sealed, self._bound(kek_id, context))
        except (InvalidTag, ValueError):
            raise ContentCorrupted() from None

    @staticmethod
    def _bound(kek_id: str, context: bytes) -> bytes:
        return VERSION + kek_id.encode() + b"\x00" + context


def _kek_id(kek: bytes) -> str:
    """Return a name for the KEK that tells nothing about it: it is random and 256 bits long."""
    return sha256(b"carnet kek id\x00" + kek).hexdigest()[:16]


def made_key_file(data_dir: Path, name: str) -> Path:
    """Return the key file of this name in the data folder, with a new key unless it is there; of
    two processes at once, the first one's stays."""
    path = data_dir / "keys" / name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    text = base64.urlsafe_b64encode(token_bytes(KEK_BYTES)).decode().rstrip("=")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path


def read_key_file(path: Path) -> list[bytes]:
    """Return the keys of a file, 32 bytes each, in its order.

    Raises:
        UserMistake: the file is missing, ill-formed or open to others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(64 * KEYS_LIMIT + 64 * 1024)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserMistake(f"The key file {path} cannot be read: {reason}.") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UserMistake(f"The key file {path} is open to others: chmod 600 it.")
    keks = []
    for line in text.decode(errors="replace").splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        keks.append(_kek(entry, path))
    if not 0 < len(keks) <= KEYS_LIMIT:
        raise UserMistake(f"The key file {path} holds {len(keks)} keys; 1 to {KEYS_LIMIT} can be.")
    return keks


def _kek(entry: str, path: Path) -> bytes:
    """Read one line; the text is a secret and must not be in any message."""
    if not _KEY.fullmatch(entry):
        raise UserMistake(
            f"A line of the key file {path} is not a key: 32 bytes in base64url, 43 characters."
        )
    return base64.urlsafe_b64decode(entry.rstrip("=") + "=")
