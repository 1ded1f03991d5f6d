"""Checking who signed a head of a log, for clients. The server signs with a key only it has."""

from __future__ import annotations

from hashlib import sha256

from carnet_crypto import sodium
from carnet_crypto.errors import Malformed, SignatureFailed
from carnet_crypto.treehead import TreeHead
from carnet_crypto.values import Signature, SignPublic

__all__ = ["SignatureFailed", "key_id", "verify_head"]


def key_id(public_key: bytes) -> str:
    """Return the name of a public key."""
    return sha256(b"carnet key id v1\x00" + public_key).hexdigest()[:16]


def verify_head(head: TreeHead, public_key: bytes) -> None:
    """Check who signed a head.

    Raises:
        SignatureFailed: not this key, or not this head.
    """
    if head.key_id != key_id(public_key):
        raise SignatureFailed("another key signed it")
    try:
        key, signature = SignPublic(public_key), Signature(head.signature)
    except Malformed as error:
        raise SignatureFailed("the signature is wrong") from error
    sodium.verify_plain(key, head.signed_bytes, signature)
