"""Seeds of an account's encryption key, sealed: what its chain holds for those who are to have it.

What is sealed, and for whom, is section 7 of docs/protocol.md; here is only how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.errors import Malformed
from carnet_crypto.values import AccountId, DeviceId
from carnet_crypto.wire import Reader, opaque, u32

MOST_WRAPS = 512  # devices or accounts that one entry wraps a key for
SEED_FOR_DEVICE = 151  # bytes of an AEK's seed, sealed for a device or the recovery key
SEED_FOR_ACCOUNT = 167  # bytes of one sealed for another account
SEED_BEFORE = 48  # bytes of the seed before, sealed under the next


@dataclass(frozen=True, slots=True)
class DeviceWrap:
    """The seed of a generation, sealed for a device."""

    device: DeviceId
    box: bytes

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.device + opaque(self.box)

    @staticmethod
    def read(reader: Reader) -> DeviceWrap:
        """Read one."""
        return DeviceWrap(reader.fixed(DeviceId), read_seed(reader, SEED_FOR_DEVICE))


@dataclass(frozen=True, slots=True)
class AccountWrap:
    """The seed of a generation, sealed for another account: a delegate, or somebody of a team."""

    account: AccountId
    generation: int  # of the other account's AEK
    box: bytes

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.account + u32(self.generation) + opaque(self.box)

    @staticmethod
    def read(reader: Reader) -> AccountWrap:
        """Read one."""
        return AccountWrap(
            reader.fixed(AccountId), reader.u32(), read_seed(reader, SEED_FOR_ACCOUNT)
        )


def read_seed(reader: Reader, size: int, *, or_none: bool = False) -> bytes:
    """Read a sealed seed: what is sealed has one length.

    Raises:
        Malformed: it has another.
    """
    box = reader.opaque(size)
    if len(box) != size and (box or not or_none):
        raise Malformed("a sealed key has one length")
    return box
