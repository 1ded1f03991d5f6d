"""Values of fixed length, each of its own type, so that one is never taken for another.

A `Fixed` is its bytes; making one checks the length, so that none of a wrong length can reach a
primitive (libsodium's bindings read past short buffers without complaint). A `Secret` shows
nothing of itself in its repr, in formatted text or in an exception.
"""

from __future__ import annotations

from typing import ClassVar, Self

from carnet_crypto.errors import Malformed


class Fixed(bytes):
    """Bytes of one length."""

    SIZE: ClassVar[int]
    __slots__ = ()

    def __new__(cls, data: bytes) -> Self:
        """Check and take the bytes.

        Raises:
            Malformed: there are more or fewer.
        """
        if not isinstance(data, bytes) or len(data) != cls.SIZE:
            raise Malformed(f"{cls.__name__} has {cls.SIZE} bytes")
        return bytes.__new__(cls, data)

    @classmethod
    def zero(cls) -> Self:
        """Return the value that stands for none."""
        return cls(bytes(cls.SIZE))

    @property
    def is_zero(self) -> bool:
        """Whether it stands for none."""
        return not any(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self[:4].hex()}…>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


class Secret(Fixed):
    """Bytes that whoever has them can read or sign with."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class Digest(Fixed):
    """A BLAKE2b-256 or SHA-256."""

    SIZE = 32


class AccountId(Fixed):
    """An account: the digest of its GENESIS entry."""

    SIZE = 32


class DeviceId(Fixed):
    """A device: the first half of the digest of its two public keys."""

    SIZE = 16


class SignerId(Fixed):
    """Who signed an entry of a chain: a device, or a name made from a root or recovery key."""

    SIZE = 16


class ThreadId(Fixed):
    """A thread: the digest of its CREATE entry."""

    SIZE = 32


class MessageId(Fixed):
    """A message: the digest of its prefix and its signed header."""

    SIZE = 32


class FileId(Fixed):
    """An attachment; random."""

    SIZE = 16


class Label32(Fixed):
    """What a directory's binding is found by."""

    SIZE = 32


class Blind(Fixed):
    """What makes a leaf of the log meaningless once it is deleted. Not secret while it is kept."""

    SIZE = 32


class SignPublic(Fixed):
    """An Ed25519 public key. Not yet admitted: see `carnet_crypto.admission`."""

    SIZE = 32


class BoxPublic(Fixed):
    """An X25519 public key. Not yet admitted: see `carnet_crypto.admission`."""

    SIZE = 32


class Signature(Fixed):
    """An Ed25519 signature."""

    SIZE = 64


class Salt(Fixed):
    """Random bytes that make a key single-use."""

    SIZE = 32


class SignSeed(Secret):
    """The seed of an Ed25519 key pair."""

    SIZE = 32


class BoxSecret(Secret):
    """An X25519 secret key."""

    SIZE = 32


class AekSeed(Secret):
    """The seed of one generation of an account's encryption key (AEK)."""

    SIZE = 32


class EpochSecret(Secret):
    """What all messages of a thread's epoch are sealed from."""

    SIZE = 32


class Key(Secret):
    """A key derived for one use."""

    SIZE = 32
