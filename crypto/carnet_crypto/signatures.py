"""Checking Ed25519 signatures, for clients. The server signs with a key that only it has."""

from __future__ import annotations

from hashlib import sha256

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from carnet_crypto.treehead import TreeHead


class SignatureFailed(Exception):
    """The signature is not that of this key over these bytes."""


def key_id(public_key: bytes) -> str:
    """Return the name of a public key."""
    return sha256(b"carnet key id v1\x00" + public_key).hexdigest()[:16]


def verify_head(head: TreeHead, public_key: bytes) -> None:
    """Check who signed a head.

    Raises:
        SignatureFailed: not this key, or not this head.
    """
    try:
        if head.key_id != key_id(public_key):
            raise SignatureFailed("another key signed it")
        VerifyKey(public_key).verify(head.signed_bytes, head.signature)
    except (BadSignatureError, ValueError, TypeError) as error:
        raise SignatureFailed("the signature is wrong") from error
