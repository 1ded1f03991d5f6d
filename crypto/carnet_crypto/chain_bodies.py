"""What the entries of an account's chain say: a body for each type, and its one encoding.

What can be read is well formed, and no more; whether it may be said where it stands is in
`carnet_crypto.account`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol

from carnet_crypto.errors import Malformed
from carnet_crypto.kinds import AccountKind, DeviceFlag, RevocationReason, RosterRole, Scope
from carnet_crypto.seeds import (
    MOST_WRAPS,
    SEED_BEFORE,
    SEED_FOR_DEVICE,
    AccountWrap,
    DeviceWrap,
    read_seed,
)
from carnet_crypto.values import AccountId, BoxPublic, DeviceId, Digest, Signature, SignPublic
from carnet_crypto.wire import Reader, check_ascending, opaque, u8, u32, u64, vector

RECOVERY_SALT = 16  # bytes


class EntryType(IntEnum):
    """What an entry says."""

    GENESIS = 1
    ADD_DEVICE = 2
    REVOKE_DEVICE = 3
    AEK_ROTATE = 4
    ROTATE_ROOT = 5
    RECOVERY_SET = 6
    DELEGATE = 7
    UNDELEGATE = 8
    ROSTER = 9
    CLOSE = 10


class Body(Protocol):
    """What an entry says, as its body."""

    TYPE: ClassVar[EntryType]

    def encode(self) -> bytes:
        """Return the body's bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first entry: the root key, and the keys that a recovery code leads to."""

    TYPE: ClassVar[EntryType] = EntryType.GENESIS
    kind: AccountKind
    root: SignPublic
    recovery_box: BoxPublic
    recovery_sign: SignPublic

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return u8(self.kind) + self.root + self.recovery_box + self.recovery_sign

    @staticmethod
    def read(reader: Reader) -> Genesis:
        """Read a body."""
        return Genesis(
            reader.enum(AccountKind),
            reader.fixed(SignPublic),
            reader.fixed(BoxPublic),
            reader.fixed(SignPublic),
        )


@dataclass(frozen=True, slots=True)
class AddDevice:
    """A device, its proof that it holds its signing key, and the newest AEK wrapped for it."""

    TYPE: ClassVar[EntryType] = EntryType.ADD_DEVICE
    device: DeviceId
    sign: SignPublic
    box: BoxPublic
    flag: DeviceFlag
    not_after: int  # milliseconds since 1970, or 0 for no end
    possession: Signature
    wrap: bytes  # of the newest AEK seed; empty where the account has none yet

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return (
            self.device
            + self.sign
            + self.box
            + u8(self.flag)
            + u64(self.not_after)
            + self.possession
            + opaque(self.wrap)
        )

    @staticmethod
    def read(reader: Reader) -> AddDevice:
        """Read a body."""
        return AddDevice(
            reader.fixed(DeviceId),
            reader.fixed(SignPublic),
            reader.fixed(BoxPublic),
            reader.enum(DeviceFlag),
            reader.u64(),
            reader.fixed(Signature),
            read_seed(reader, SEED_FOR_DEVICE, or_none=True),
        )


@dataclass(frozen=True, slots=True)
class RevokeDevice:
    """A device is no longer one; the checkpoint is the newest its revoker had seen."""

    TYPE: ClassVar[EntryType] = EntryType.REVOKE_DEVICE
    device: DeviceId
    reason: RevocationReason
    checkpoint_size: int
    checkpoint_root: Digest

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return self.device + u8(self.reason) + u64(self.checkpoint_size) + self.checkpoint_root

    @staticmethod
    def read(reader: Reader) -> RevokeDevice:
        """Read a body."""
        return RevokeDevice(
            reader.fixed(DeviceId),
            reader.enum(RevocationReason),
            reader.u64(),
            reader.fixed(Digest),
        )


@dataclass(frozen=True, slots=True)
class AekRotate:
    """A new generation of the account's encryption key, for exactly those who are to have it."""

    TYPE: ClassVar[EntryType] = EntryType.AEK_ROTATE
    generation: int  # from 1
    aek: BoxPublic
    commitment: Digest
    previous: bytes  # the seed before, sealed under this one; empty in generation 1
    devices: tuple[DeviceWrap, ...]
    accounts: tuple[AccountWrap, ...]
    recovery: bytes  # the seed, sealed for the recovery key

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return (
            u32(self.generation)
            + self.aek
            + self.commitment
            + opaque(self.previous)
            + vector(wrap.encode() for wrap in self.devices)
            + vector(wrap.encode() for wrap in self.accounts)
            + opaque(self.recovery)
        )

    @staticmethod
    def read(reader: Reader) -> AekRotate:
        """Read a body."""
        body = AekRotate(
            reader.u32(),
            reader.fixed(BoxPublic),
            reader.fixed(Digest),
            read_seed(reader, SEED_BEFORE, or_none=True),
            tuple(reader.vector(DeviceWrap.read, MOST_WRAPS)),
            tuple(reader.vector(AccountWrap.read, MOST_WRAPS)),
            read_seed(reader, SEED_FOR_DEVICE),
        )
        check_ascending([wrap.device for wrap in body.devices])
        check_ascending([wrap.account for wrap in body.accounts])
        return body


@dataclass(frozen=True, slots=True)
class RotateRoot:
    """A new root, which proves that it is held; ``consent`` is the other key's where both agree."""

    TYPE: ClassVar[EntryType] = EntryType.ROTATE_ROOT
    root: SignPublic
    possession: Signature
    consent: bytes  # a signature of 64 bytes, or nothing

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return self.root + self.possession + opaque(self.consent)

    @staticmethod
    def read(reader: Reader) -> RotateRoot:
        """Read a body."""
        body = RotateRoot(
            reader.fixed(SignPublic), reader.fixed(Signature), reader.opaque(Signature.SIZE)
        )
        if len(body.consent) not in (0, Signature.SIZE):
            raise Malformed("a consent is a signature")
        return body


@dataclass(frozen=True, slots=True)
class RecoverySet:
    """New recovery keys, the digest of the backup they open, and how the code was stretched."""

    TYPE: ClassVar[EntryType] = EntryType.RECOVERY_SET
    recovery_box: BoxPublic
    recovery_sign: SignPublic
    backup: Digest
    passes: int
    memory_kib: int
    salt: bytes

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return (
            self.recovery_box
            + self.recovery_sign
            + self.backup
            + u8(self.passes)
            + u32(self.memory_kib)
            + self.salt
        )

    @staticmethod
    def read(reader: Reader) -> RecoverySet:
        """Read a body."""
        return RecoverySet(
            reader.fixed(BoxPublic),
            reader.fixed(SignPublic),
            reader.fixed(Digest),
            reader.u8(),
            reader.u32(),
            reader.take(RECOVERY_SALT),
        )


@dataclass(frozen=True, slots=True)
class Delegate:
    """Another account may read or write for this one, for a time."""

    TYPE: ClassVar[EntryType] = EntryType.DELEGATE
    delegate: AccountId
    scope: Scope
    not_before: int  # milliseconds since 1970
    not_after: int  # milliseconds since 1970
    wrap: AccountWrap

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return (
            self.delegate
            + u8(self.scope)
            + u64(self.not_before)
            + u64(self.not_after)
            + self.wrap.encode()
        )

    @staticmethod
    def read(reader: Reader) -> Delegate:
        """Read a body."""
        body = Delegate(
            reader.fixed(AccountId),
            reader.enum(Scope),
            reader.u64(),
            reader.u64(),
            AccountWrap.read(reader),
        )
        if body.wrap.account != body.delegate or body.not_after <= body.not_before:
            raise Malformed("a delegation is of one account, and ends after it begins")
        return body


@dataclass(frozen=True, slots=True)
class Undelegate:
    """A delegation is over."""

    TYPE: ClassVar[EntryType] = EntryType.UNDELEGATE
    delegate: AccountId

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return bytes(self.delegate)

    @staticmethod
    def read(reader: Reader) -> Undelegate:
        """Read a body."""
        return Undelegate(reader.fixed(AccountId))


@dataclass(frozen=True, slots=True)
class RosterMember:
    """Somebody of a team, with the newest AEK seed of the team sealed for them."""

    wrap: AccountWrap
    role: RosterRole

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.wrap.encode() + u8(self.role)

    @staticmethod
    def read(reader: Reader) -> RosterMember:
        """Read one."""
        return RosterMember(AccountWrap.read(reader), reader.enum(RosterRole))


@dataclass(frozen=True, slots=True)
class Roster:
    """Who a team is, in full: what was before is replaced."""

    TYPE: ClassVar[EntryType] = EntryType.ROSTER
    members: tuple[RosterMember, ...]

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return vector(member.encode() for member in self.members)

    @staticmethod
    def read(reader: Reader) -> Roster:
        """Read a body."""
        body = Roster(tuple(reader.vector(RosterMember.read, MOST_WRAPS)))
        check_ascending([member.wrap.account for member in body.members])
        return body


@dataclass(frozen=True, slots=True)
class Close:
    """The account is no longer used. Nothing follows."""

    TYPE: ClassVar[EntryType] = EntryType.CLOSE

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return b""

    @staticmethod
    def read(reader: Reader) -> Close:
        """Read a body."""
        return Close()


_BODIES = {
    body.TYPE: body.read
    for body in (
        Genesis,
        AddDevice,
        RevokeDevice,
        AekRotate,
        RotateRoot,
        RecoverySet,
        Delegate,
        Undelegate,
        Roster,
        Close,
    )
}


def read_body(kind: EntryType, reader: Reader) -> Body:
    """Read the body of an entry of this type.

    Raises:
        Malformed: it is none.
    """
    return _BODIES[kind](reader)
