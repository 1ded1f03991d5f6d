"""The key that signs tree heads: Ed25519, in a file that only the server reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carnet.errors import UserMistake
from carnet.store.keys import made_key_file, read_key_file
from carnet_crypto.treehead import TreeHead, tree_head_bytes


class Signer:
    """Signs with the first key of its file and knows the heads that any of them signed.

    To rotate, put a new line first and keep the others.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        if not seeds:
            raise ValueError("a signer needs a key")
        self._key = Ed25519PrivateKey.from_private_bytes(seeds[0])
        keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in seeds]
        self._known = {key_id(key.public_bytes_raw()): key for key in keys}
        self.public_key = keys[0].public_bytes_raw()
        self.key_id = key_id(self.public_key)

    def __repr__(self) -> str:
        return f"Signer(key_id={self.key_id})"

    @classmethod
    def open(cls, path: Path | None, data_dir: Path, *, may_create: bool) -> Signer:
        """Read the key file, or make one for development.

        Args:
            path: the file; None for ``keys/log`` in the data folder.
            data_dir: the data folder.
            may_create: make a missing file in the data folder (development).

        Raises:
            UserMistake: the file is missing, ill-formed or open to others.
        """
        if path is None and not may_create:
            raise UserMistake(
                "Production needs a key that signs the journal: set CARNET_LOG_KEY_FILE to a"
                " file with mode 0600 that holds 32 random bytes in base64url."
            )
        return cls(read_key_file(path or made_key_file(data_dir, "log")))

    def sign(self, log: str, size: int, root: bytes, now: datetime) -> TreeHead:
        """Return the signed head of a log."""
        signature = self._key.sign(tree_head_bytes(log, size, root, now, self.key_id))
        return TreeHead(log, size, root, now, self.key_id, signature)

    def sign_bytes(self, data: bytes) -> bytes:
        """Return a signature over bytes that say themselves what they are."""
        return self._key.sign(data)

    def has_signed(self, head: TreeHead) -> bool:
        """Tell whether one of the keys signed this head."""
        return self.has_signed_bytes(head.key_id, head.signature, head.signed_bytes)

    def has_signed_bytes(self, key_id: str, signature: bytes, data: bytes) -> bool:
        """Tell whether one of the keys, the one of this id, signed these bytes."""
        key: Ed25519PublicKey | None = self._known.get(key_id)
        if key is None:
            return False
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def key_id(public_key: bytes) -> str:
    """Return the name of a public key, as `carnet_crypto.signatures` has it."""
    return sha256(b"carnet key id v1\x00" + public_key).hexdigest()[:16]
