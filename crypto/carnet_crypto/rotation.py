"""A new epoch of a thread: its members' keys, and the wraps of its secret for each of them.

The wraps travel beside the entry that makes the epoch, which holds their digest: so they are their
author's, and all are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.values import AccountId, BoxPublic, Digest, Fixed
from carnet_crypto.wire import Reader, check_ascending, u32, vector

MOST_MEMBERS = 500


class Wrap(Fixed):
    """An epoch's secret, sealed for a member's AEK."""

    SIZE = 166


@dataclass(frozen=True, slots=True)
class WrapFor:
    """A wrap, and whom it is for."""

    account: AccountId
    wrap: Wrap


@dataclass(frozen=True, slots=True)
class HistoryWrap:
    """The secret of an older epoch, for a member who came later."""

    account: AccountId
    epoch: int
    wrap: Wrap


@dataclass(frozen=True, slots=True)
class EpochMember:
    """The key that a member's wrap of an epoch is sealed for."""

    account: AccountId
    generation: int
    aek: BoxPublic

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.account + u32(self.generation) + self.aek

    @staticmethod
    def read(reader: Reader) -> EpochMember:
        """Read one."""
        return EpochMember(reader.fixed(AccountId), reader.u32(), reader.fixed(BoxPublic))


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new epoch: its members, a commitment to its secret, and the digest of all wraps."""

    epoch: int  # from 1
    members: tuple[EpochMember, ...]
    commitment: Digest
    wraps: Digest

    def encode(self) -> bytes:
        """Return its bytes."""
        return (
            u32(self.epoch)
            + vector(member.encode() for member in self.members)
            + self.commitment
            + self.wraps
        )

    @staticmethod
    def read(reader: Reader) -> Rotation:
        """Read one."""
        rotation = Rotation(
            reader.u32(),
            tuple(reader.vector(EpochMember.read, MOST_MEMBERS)),
            reader.fixed(Digest),
            reader.fixed(Digest),
        )
        check_ascending([member.account for member in rotation.members])
        return rotation


def digest_of_wraps(wraps: Iterable[WrapFor]) -> Digest:
    """Return the digest of all wraps of an epoch, by account."""
    ordered = sorted(wraps, key=lambda wrap: wrap.account)
    return digest(Label.WRAPS, *(wrap.account + wrap.wrap for wrap in ordered))
