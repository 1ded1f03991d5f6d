"""The secret keys of an account and of its devices."""

from __future__ import annotations

from collections.abc import Callable

from carnet_crypto import sodium
from carnet_crypto.chain import device_id, root_signer
from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import derive, digest
from carnet_crypto.labels import Label
from carnet_crypto.values import (
    AekSeed,
    BoxPublic,
    BoxSecret,
    Digest,
    EpochSecret,
    Key,
    Salt,
    SignSeed,
)
from carnet_crypto.wire import u32

Entropy = Callable[[int], bytes]
"""Returns so many random bytes. `os.urandom` for all but the making of test vectors."""


class DeviceKeys:
    """The two key pairs of a device: one signs, one receives the account's encryption key."""

    __slots__ = ("_box", "_seed", "box", "id", "signing")

    def __init__(self, seed: SignSeed, box: BoxSecret) -> None:
        self._seed, self._box = seed, box
        self.signing = sodium.SigningKey(seed)
        self.box = sodium.box_public(box)
        self.id = device_id(self.signing.public, self.box)

    @staticmethod
    def generate(entropy: Entropy) -> DeviceKeys:
        """Return the keys of a new device."""
        return DeviceKeys(SignSeed(entropy(32)), BoxSecret(entropy(32)))

    @staticmethod
    def load(data: bytes) -> DeviceKeys:
        """Return what `secret_bytes` gave.

        Raises:
            Malformed: it is something else.
        """
        if len(data) != 64:
            raise Malformed("a device's keys have 64 bytes")
        return DeviceKeys(SignSeed(data[:32]), BoxSecret(data[32:]))

    def secret_bytes(self) -> bytes:
        """Return both secrets, for a key store."""
        return bytes(self._seed) + bytes(self._box)

    def open(self, box: bytes) -> bytes:
        """Return what was sealed for this device.

        Raises:
            OpenFailed: it was not.
        """
        return sodium.open_sealed(box, self.box, self._box)

    def __repr__(self) -> str:
        return f"<DeviceKeys of {self.id!r}>"


class RootKey:
    """The key that says what an account is."""

    __slots__ = ("_seed", "signer", "signing")

    def __init__(self, seed: SignSeed) -> None:
        self._seed = seed
        self.signing = sodium.SigningKey(seed)
        self.signer = root_signer(self.signing.public)

    def secret_bytes(self) -> bytes:
        """Return the seed, for a key store or a backup."""
        return bytes(self._seed)

    def __repr__(self) -> str:
        return f"<RootKey {self.signer!r}>"


class AekKeys:
    """One generation of an account's encryption key."""

    __slots__ = ("_secret", "_seed", "commitment", "number", "public")

    def __init__(self, number: int, seed: AekSeed) -> None:
        self.number = number
        self._seed = seed
        self._secret = BoxSecret(derive(seed, Label.AEK_BOX))
        self.public: BoxPublic = sodium.box_public(self._secret)
        self.commitment: Digest = digest(Label.AEK_COMMITMENT, seed)

    @property
    def seed(self) -> AekSeed:
        """What is wrapped for devices, delegates and recovery."""
        return self._seed

    @property
    def store_key(self) -> Key:
        """What an account seals for its own devices with."""
        return derive(self._seed, Label.AEK_STORE)

    def open(self, box: bytes) -> bytes:
        """Return what was sealed for this generation.

        Raises:
            OpenFailed: it was not.
        """
        return sodium.open_sealed(box, self.public, self._secret)

    def __repr__(self) -> str:
        return f"<AekKeys, generation {self.number}>"


def epoch_commitment(secret: EpochSecret, context: Digest, epoch: int) -> Digest:
    """Return what an entry says of an epoch's secret: it can be no other one."""
    return digest(Label.EPOCH_COMMITMENT, secret, context, u32(epoch))


def message_keys(secret: EpochSecret, keyed: bytes) -> tuple[Key, Key, Key]:
    """Return the keys of a message's commitment, header and body.

    Args:
        secret: of the epoch.
        keyed: bytes 8 to 76 of the envelope: thread, epoch and salt.
    """
    message = derive(secret, Label.MESSAGE, keyed)
    return (
        derive(message, Label.MESSAGE_COMMITMENT),
        derive(message, Label.HEADER_KEY),
        derive(message, Label.BODY_KEY),
    )


def body_key(key: Key, salt: Salt) -> Key:
    """Return the key of one body: salted, so that a kept digest of an erased one tells nothing."""
    return derive(key, Label.BODY_SALTED, salt)
