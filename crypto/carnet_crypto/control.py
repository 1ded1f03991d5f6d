"""The entries of a thread's control log: who is in it, and under which keys.

An entry is ``"CRNC" ‖ u8 1 ‖ u8 type ‖ thread id ‖ u32 number ‖ link ‖ author's account ‖ device ‖
u32 number of the author's chain ‖ u64 checkpoint size ‖ checkpoint root ‖ u64 time ‖ opaque body ‖
signature``. CREATE bears a zero id, number and link; the thread's id is its digest. Here is what
entries look like; what they may say after one another is in `carnet_crypto.thread`.

The wraps of an epoch's secret travel beside the entry that makes the epoch, which holds their
digest: so they are their author's, and all are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol

from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import History, RemovalReason, Role, Roles
from carnet_crypto.labels import Label
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    DeviceId,
    Digest,
    Fixed,
    Signature,
    ThreadId,
)
from carnet_crypto.wire import Reader, check_ascending, opaque, u8, u32, u64, vector

MAGIC = b"CRNC\x01"
MOST_ENTRY_BYTES = 64 * 1024
MOST_MEMBERS = 500
NONCE_BYTES = 16
NO_HISTORY = 2**32 - 1  # for `Added.history_from`: nothing of before


class ControlType(IntEnum):
    """What an entry says."""

    CREATE = 1
    ADD = 2
    REMOVE = 3
    ROTATE = 4
    POLICY = 5
    CLOSE = 6
    FORK_RESOLVE = 7
    LEAVE = 8


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
class Policy:
    """What holds in a thread."""

    may_add: Roles
    may_remove: Roles
    history: History
    is_delegation_allowed: bool
    least_suite: int
    retention_days: int  # 0 for no end

    def encode(self) -> bytes:
        """Return its bytes."""
        return (
            u8(self.may_add)
            + u8(self.may_remove)
            + u8(self.history)
            + u8(self.is_delegation_allowed)
            + u8(self.least_suite)
            + u32(self.retention_days)
        )

    @staticmethod
    def read(reader: Reader) -> Policy:
        """Read one."""
        policy = Policy(
            _roles(reader),
            _roles(reader),
            reader.enum(History),
            reader.flag(),
            reader.u8(),
            reader.u32(),
        )
        if policy.least_suite < 1:
            raise Malformed("there is no such suite")
        return policy


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


class ControlBody(Protocol):
    """What an entry says, as its body."""

    TYPE: ClassVar[ControlType]

    def encode(self) -> bytes:
        """Return the body's bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody of the first members."""

    account: AccountId
    role: Role

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.account + u8(self.role)

    @staticmethod
    def read(reader: Reader) -> Joined:
        """Read one."""
        return Joined(reader.fixed(AccountId), reader.enum(Role))


@dataclass(frozen=True, slots=True)
class Create:
    """A thread, its policy, its first members and its first epoch."""

    TYPE: ClassVar[ControlType] = ControlType.CREATE
    nonce: bytes
    policy: Policy
    members: tuple[Joined, ...]
    rotation: Rotation

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return (
            self.nonce
            + self.policy.encode()
            + vector(member.encode() for member in self.members)
            + self.rotation.encode()
        )

    @staticmethod
    def read(reader: Reader) -> Create:
        """Read a body."""
        body = Create(
            reader.take(NONCE_BYTES),
            Policy.read(reader),
            tuple(reader.vector(Joined.read, MOST_MEMBERS)),
            Rotation.read(reader),
        )
        check_ascending([member.account for member in body.members])
        return body


@dataclass(frozen=True, slots=True)
class Added:
    """Somebody who joins, and from which epoch on they are given what was written before."""

    account: AccountId
    role: Role
    history_from: int

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.account + u8(self.role) + u32(self.history_from)

    @staticmethod
    def read(reader: Reader) -> Added:
        """Read one."""
        return Added(reader.fixed(AccountId), reader.enum(Role), reader.u32())


@dataclass(frozen=True, slots=True)
class Add:
    """New members, and the epoch that begins with them."""

    TYPE: ClassVar[ControlType] = ControlType.ADD
    added: tuple[Added, ...]
    rotation: Rotation

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return vector(added.encode() for added in self.added) + self.rotation.encode()

    @staticmethod
    def read(reader: Reader) -> Add:
        """Read a body."""
        body = Add(tuple(reader.vector(Added.read, MOST_MEMBERS)), Rotation.read(reader))
        if not body.added:
            raise Malformed("ADD adds somebody")
        check_ascending([added.account for added in body.added])
        return body


@dataclass(frozen=True, slots=True)
class Remove:
    """A member goes, and an epoch begins that they have no key of."""

    TYPE: ClassVar[ControlType] = ControlType.REMOVE
    account: AccountId
    reason: RemovalReason
    rotation: Rotation

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return self.account + u8(self.reason) + self.rotation.encode()

    @staticmethod
    def read(reader: Reader) -> Remove:
        """Read a body."""
        return Remove(reader.fixed(AccountId), reader.enum(RemovalReason), Rotation.read(reader))


@dataclass(frozen=True, slots=True)
class Rotate:
    """A new epoch with the same members."""

    TYPE: ClassVar[ControlType] = ControlType.ROTATE
    rotation: Rotation

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return self.rotation.encode()

    @staticmethod
    def read(reader: Reader) -> Rotate:
        """Read a body."""
        return Rotate(Rotation.read(reader))


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Another policy."""

    TYPE: ClassVar[ControlType] = ControlType.POLICY
    policy: Policy

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return self.policy.encode()

    @staticmethod
    def read(reader: Reader) -> SetPolicy:
        """Read a body."""
        return SetPolicy(Policy.read(reader))


@dataclass(frozen=True, slots=True)
class CloseThread:
    """Nothing more is written here."""

    TYPE: ClassVar[ControlType] = ControlType.CLOSE

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return b""

    @staticmethod
    def read(reader: Reader) -> CloseThread:
        """Read a body."""
        return CloseThread()


@dataclass(frozen=True, slots=True)
class ForkResolve:
    """The author saw another entry under a number, and goes on with the one this log holds."""

    TYPE: ClassVar[ControlType] = ControlType.FORK_RESOLVE
    number: int
    abandoned: Digest

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return u32(self.number) + self.abandoned

    @staticmethod
    def read(reader: Reader) -> ForkResolve:
        """Read a body."""
        return ForkResolve(reader.u32(), reader.fixed(Digest))


@dataclass(frozen=True, slots=True)
class Leave:
    """The author goes. Whoever writes next begins an epoch without them."""

    TYPE: ClassVar[ControlType] = ControlType.LEAVE

    def encode(self) -> bytes:
        """Return the body's bytes."""
        return b""

    @staticmethod
    def read(reader: Reader) -> Leave:
        """Read a body."""
        return Leave()


_BODIES = {
    body.TYPE: body.read
    for body in (Create, Add, Remove, Rotate, SetPolicy, CloseThread, ForkResolve, Leave)
}


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """An entry as it was received: ``data`` is what is hashed and verified, never made anew."""

    data: bytes
    thread: ThreadId  # zero in CREATE
    number: int
    link: Digest
    author: AccountId
    device: DeviceId
    chain_number: int  # of the author's chain, as the author knew it
    checkpoint_size: int
    checkpoint_root: Digest
    at: int  # milliseconds since 1970
    body: ControlBody
    signature: Signature

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.data[: -Signature.SIZE]

    @property
    def digest(self) -> Digest:
        """What the next entry links to, and what messages name as the log's head."""
        return digest(Label.CONTROL_ENTRY, self.data)

    @property
    def rotation(self) -> Rotation | None:
        """The epoch that begins with this entry."""
        return getattr(self.body, "rotation", None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands, and who wrote it knowing what."""

    thread: ThreadId
    number: int
    link: Digest
    author: AccountId
    device: DeviceId
    chain_number: int
    checkpoint_size: int
    checkpoint_root: Digest
    at: int


def unsigned_control(place: Place, body: ControlBody) -> bytes:
    """Return an entry up to its signature."""
    return (
        MAGIC
        + u8(body.TYPE)
        + place.thread
        + u32(place.number)
        + place.link
        + place.author
        + place.device
        + u32(place.chain_number)
        + u64(place.checkpoint_size)
        + place.checkpoint_root
        + u64(place.at)
        + opaque(body.encode())
    )


def read_control(data: bytes) -> ControlEntry:
    """Read an entry. Nothing is verified yet.

    Raises:
        Malformed: it is none, or not in its one form.
    """
    if len(data) > MOST_ENTRY_BYTES:
        raise Malformed("an entry is too long")
    reader = Reader(data)
    reader.magic(MAGIC)
    kind = reader.enum(ControlType)
    thread, number, link = reader.fixed(ThreadId), reader.u32(), reader.fixed(Digest)
    author, device, chain_number = reader.fixed(AccountId), reader.fixed(DeviceId), reader.u32()
    size, root, at = reader.u64(), reader.fixed(Digest), reader.u64()
    inner = Reader(reader.opaque(MOST_ENTRY_BYTES))
    body: ControlBody = _BODIES[kind](inner)
    inner.end()
    signature = reader.fixed(Signature)
    reader.end()
    return ControlEntry(
        data, thread, number, link, author, device, chain_number, size, root, at, body, signature
    )


def digest_of_wraps(wraps: Iterable[WrapFor]) -> Digest:
    """Return the digest of all wraps of an epoch, by account."""
    ordered = sorted(wraps, key=lambda wrap: wrap.account)
    return digest(Label.WRAPS, *(wrap.account + wrap.wrap for wrap in ordered))


def thread_id(create: bytes) -> ThreadId:
    """Return the id of the thread that a CREATE entry makes."""
    return ThreadId(digest(Label.THREAD, create))


def thread_context(creator: AccountId, nonce: bytes) -> Digest:
    """Return what a thread's epochs are bound to.

    It is not the thread's id, for that is the digest of an entry that holds a commitment already.
    """
    return digest(Label.THREAD_CONTEXT, creator, nonce)


def _roles(reader: Reader) -> Roles:
    bits = reader.u8()
    if bits >= 1 << len(Role):
        raise Malformed("an unknown value")
    return Roles(bits)
