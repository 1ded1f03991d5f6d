"""Digests and derived keys: BLAKE2b-256, each under its label."""

from __future__ import annotations

from hashlib import blake2b

from carnet_crypto.labels import Label
from carnet_crypto.values import Digest, Key


def digest(label: Label, *parts: bytes) -> Digest:
    """Return H(label, parts): BLAKE2b-256 of the label's prefix and all parts, one after another.

    The parts are not told apart: whoever calls joins only what has fixed or stated lengths.
    """
    hasher = blake2b(label.prefix, digest_size=32)
    for part in parts:
        hasher.update(part)
    return Digest(hasher.digest())


def derive(key: bytes, label: Label, info: bytes = b"") -> Key:
    """Return KDF(key, label, info): keyed BLAKE2b-256 of the label's prefix and the information."""
    return Key(blake2b(label.prefix + info, key=key, digest_size=32).digest())
