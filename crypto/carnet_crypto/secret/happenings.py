"""What reading a thread tells: what is shown, and what is wrong, each as its own type."""

from __future__ import annotations

from dataclasses import dataclass, field

from carnet_crypto.errors import Reason
from carnet_crypto.secret.content import Acknowledgement, Complaint, Content, Receipt, System
from carnet_crypto.secret.header import Header
from carnet_crypto.values import AccountId, DeviceId, Digest, MessageId


@dataclass(frozen=True, slots=True)
class Shown:
    """A message to show. ``content`` is None once its body is erased."""

    id: MessageId
    number: int  # the relay's; it orders nothing
    header: Header
    content: Content | None
    missing: int = 0  # messages of the same device that should have come before
    missing_heads: int = 0  # messages that the author had seen, and we have not


@dataclass(frozen=True, slots=True)
class Edited:
    """A message has other words."""

    id: MessageId
    text: str = field(repr=False)
    by: MessageId


@dataclass(frozen=True, slots=True)
class Retracted:
    """A message was taken back: its words are no longer shown."""

    id: MessageId
    by: MessageId


@dataclass(frozen=True, slots=True)
class Erased:
    """The body of a message that was shown is gone from the relay."""

    id: MessageId


@dataclass(frozen=True, slots=True)
class Read:
    """A member's client has read so far."""

    account: AccountId
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A professional's word on a message."""

    account: AccountId
    acknowledgement: Acknowledgement
    by: MessageId


@dataclass(frozen=True, slots=True)
class Said:
    """What a client says by itself."""

    account: AccountId
    system: System


@dataclass(frozen=True, slots=True)
class Complained:
    """A member says that something did not hold. An alarm."""

    account: AccountId
    complaint: Complaint


@dataclass(frozen=True, slots=True)
class GapFilled:
    """A message that was missing has come."""

    device: DeviceId
    sequence: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is not shown, and why it is not. An alarm."""

    number: int
    id: MessageId | None  # None where it did not even open
    reason: Reason | None  # None where it did not even open


@dataclass(frozen=True, slots=True)
class Withheld:
    """A message of a device that has been revoked since, and that nobody vouches for."""

    number: int
    id: MessageId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Equivocation:
    """A device wrote two messages in one place. Both are kept; the thread is frozen. An alarm."""

    device: DeviceId
    sequence: int
    first: MessageId
    second: MessageId


@dataclass(frozen=True, slots=True)
class Fork:
    """A member knows a control log that is not ours. The thread is frozen. An alarm."""

    id: MessageId
    theirs: Digest


@dataclass(frozen=True, slots=True)
class StaleAuthor:
    """The author did not know who had joined or gone by then. An alarm."""

    id: MessageId
    account: AccountId


Happening = (
    Shown
    | Edited
    | Retracted
    | Erased
    | Read
    | Acknowledged
    | Said
    | Complained
    | GapFilled
    | Rejected
    | Withheld
    | Equivocation
    | Fork
    | StaleAuthor
)
ALARMS = (Complained, Rejected, Withheld, Equivocation, Fork, StaleAuthor)
