"""The entries of an account's chain: what an account says of its own keys, one after another.

An entry is ``"CRNA" ‖ u8 1 ‖ u8 type ‖ account id ‖ u32 number ‖ link ‖ u64 time ‖ signer id ‖
opaque body ‖ signature``. GENESIS bears a zero id, number and link; the account's id is its digest,
so nobody can put another root under an id. Here is what entries look like; what they may say after
one another is in `carnet_crypto.account`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol

from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import AccountKind, DeviceFlag, RevocationReason, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    DeviceId,
    Digest,
    Signature,
    SignerId,
    SignPublic,
)
from carnet_crypto.wire import Reader, check_ascending, opaque, u8, u32, u64, vector

MAGIC = b"CRNA\x01"
MOST_ENTRY_BYTES = 256 * 1024
MOST_WRAPS = 512  # devices or accounts that one entry wraps a key for
SEED_FOR_DEVICE = 151  # bytes of an AEK's seed, sealed for a device or the recovery key
SEED_FOR_ACCOUNT = 167  # bytes of one sealed for another account
SEED_BEFORE = 48  # bytes of the seed before, sealed under the next
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
            _box(reader, SEED_FOR_DEVICE, or_none=True),
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
        return DeviceWrap(reader.fixed(DeviceId), _box(reader, SEED_FOR_DEVICE))


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
        return AccountWrap(reader.fixed(AccountId), reader.u32(), _box(reader, SEED_FOR_ACCOUNT))


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
            _box(reader, SEED_BEFORE, or_none=True),
            tuple(reader.vector(DeviceWrap.read, MOST_WRAPS)),
            tuple(reader.vector(AccountWrap.read, MOST_WRAPS)),
            _box(reader, SEED_FOR_DEVICE),
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


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """An entry as it was received: ``data`` is what is hashed and verified, never made anew."""

    data: bytes
    account: AccountId  # zero in GENESIS
    number: int
    link: Digest
    at: int  # milliseconds since 1970
    signer: SignerId
    body: Body
    signature: Signature

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.data[: -Signature.SIZE]

    @property
    def digest(self) -> Digest:
        """What the next entry links to."""
        return digest(Label.ACCOUNT_ENTRY, self.data)


def unsigned_entry(
    account: AccountId, number: int, link: Digest, at: int, signer: SignerId, body: Body
) -> bytes:
    """Return an entry up to its signature."""
    return (
        MAGIC
        + u8(body.TYPE)
        + account
        + u32(number)
        + link
        + u64(at)
        + signer
        + opaque(body.encode())
    )


def read_entry(data: bytes) -> ChainEntry:
    """Read an entry. Nothing is verified yet.

    Raises:
        Malformed: it is none, or not in its one form.
    """
    if len(data) > MOST_ENTRY_BYTES:
        raise Malformed("an entry is too long")
    reader = Reader(data)
    reader.magic(MAGIC)
    kind = reader.enum(EntryType)
    account, number, link = reader.fixed(AccountId), reader.u32(), reader.fixed(Digest)
    at, signer = reader.u64(), reader.fixed(SignerId)
    inner = Reader(reader.opaque(MOST_ENTRY_BYTES))
    body = _BODIES[kind](inner)
    inner.end()
    signature = reader.fixed(Signature)
    reader.end()
    return ChainEntry(data, account, number, link, at, signer, body, signature)


def device_id(sign: SignPublic, box: BoxPublic) -> DeviceId:
    """Return the id that a device's keys make."""
    return DeviceId(digest(Label.DEVICE, sign, box)[: DeviceId.SIZE])


def root_signer(root: SignPublic) -> SignerId:
    """Return how entries name a root key that signed them."""
    return SignerId(digest(Label.ROOT_SIGNER, root)[: SignerId.SIZE])


def recovery_signer(recovery: SignPublic) -> SignerId:
    """Return how entries name a recovery key that signed them."""
    return SignerId(digest(Label.RECOVERY_SIGNER, recovery)[: SignerId.SIZE])


def signer_of_device(device: DeviceId) -> SignerId:
    """Return how entries name a device that signed them."""
    return SignerId(bytes(device))


def possession_of_device(
    account: AccountId, sign: SignPublic, box: BoxPublic, flag: DeviceFlag, not_after: int
) -> bytes:
    """Return what a new device signs to show that it holds its key, for this account only."""
    return account + sign + box + u8(flag) + u64(not_after)


def change_of_root(account: AccountId, number: int, link: Digest, root: SignPublic) -> bytes:
    """Return what a new root, and whoever consents to it, sign."""
    return account + u32(number) + link + root


def _box(reader: Reader, size: int, *, or_none: bool = False) -> bytes:
    """Read a sealed seed: what is sealed has one length."""
    box = reader.opaque(size)
    if len(box) != size and (box or not or_none):
        raise Malformed("a sealed key has one length")
    return box
