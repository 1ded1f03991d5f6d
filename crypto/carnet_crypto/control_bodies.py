"""What the entries of a control log say: a body for each type, and its one encoding.

What can be read is well formed, and no more; whether it may be said where it stands is in
`carnet_crypto.thread`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol

from carnet_crypto.errors import Malformed
from carnet_crypto.kinds import History, RemovalReason, Role, Roles
from carnet_crypto.rotation import MOST_MEMBERS, Rotation
from carnet_crypto.values import AccountId, Digest
from carnet_crypto.wire import Reader, check_ascending, u8, u32, vector

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


def read_body(kind: ControlType, reader: Reader) -> ControlBody:
    """Read the body of an entry of this type.

    Raises:
        Malformed: it is none.
    """
    body: ControlBody = _BODIES[kind](reader)
    return body


def _roles(reader: Reader) -> Roles:
    bits = reader.u8()
    if bits >= 1 << len(Role):
        raise Malformed("an unknown value")
    return Roles(bits)
