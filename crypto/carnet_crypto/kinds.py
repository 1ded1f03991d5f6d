"""What entries call accounts, devices, members and reasons: a few words, each with its number."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class AccountKind(IntEnum):
    """Whose an account is."""

    PERSON = 1
    ORGANIZATION = 2
    TEAM = 3


class DeviceFlag(IntEnum):
    """What a device may do: a primary holds the root, a secondary does not, a service is no one."""

    PRIMARY = 1
    SECONDARY = 2
    SERVICE = 3


class RevocationReason(IntEnum):
    """Why a device is no longer one."""

    RETIRED = 1
    LOST = 2
    STOLEN = 3


class RosterRole(IntEnum):
    """What a person does in a team."""

    MEMBER = 1
    ADMIN = 2


class Scope(IntEnum):
    """What a delegate may do: bits."""

    READ = 1
    WRITE = 2
    BOTH = 3


class Role(IntEnum):
    """What a member is in a thread."""

    MANAGER = 1
    MEMBER = 2
    GUARDIAN = 3
    READER = 4


class Roles(IntFlag):
    """Several roles, as bits."""

    NONE = 0
    MANAGER = 1
    MEMBER = 2
    GUARDIAN = 4
    READER = 8

    @staticmethod
    def of(role: Role) -> Roles:
        """Return the bit of a role."""
        return Roles(1 << (role - 1))


class History(IntEnum):
    """What of before a new member may be given."""

    NONE = 0
    FROM_EPOCH = 1
    ALL = 2


class RemovalReason(IntEnum):
    """Why somebody is no longer a member."""

    OTHER = 1
    LEFT_CARE = 2
    ACCOUNT_CLOSED = 3
