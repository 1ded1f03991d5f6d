"""What following tells: that something is new, and what is wrong. Alarms are never only logged.

    Event
    ├── ThreadChanged        a thread has new messages or marks; read it
    ├── Connected            the server is being followed, from here on
    ├── Disconnected         it is not; what is shown may be out of date
    ├── DeviceAdded, DeviceGone, ChainNews     an account said something new of itself
    └── Alarm                people have to see it
        ├── GhostDevice            a device of our own account that none of ours has added
        ├── SplitView              two views of one log are being shown
        ├── RolledBack             less is shown than was shown before
        ├── StaleCheckpoint        the directory's word is older than a day
        ├── UnprovenDirectory      its word has no valid signature or proof
        ├── ChangedSafetyNumber    somebody has another root: compare numbers again
        ├── UnauthorizedEntry      an entry of a control log or chain that does not hold
        ├── MissingKey             a member did not give us a key of an epoch
        ├── ForgedMessage          a message that is not shown, and why
        ├── WithheldMessage        of a device that was revoked since
        ├── Gap                    messages that should be there are not
        ├── Equivocation           a device wrote two messages in one place
        ├── Fork                   a member knows another control log
        ├── StaleAuthor            an author did not know who had joined or gone
        └── Complaint              a member says that something did not hold

`message` is one sentence for people; it holds no words of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from carnet_crypto.errors import Reason
from carnet_crypto.values import AccountId, DeviceId, Digest, MessageId, ThreadId


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened."""


@dataclass(frozen=True, slots=True)
class ThreadChanged(Event):
    """A thread has new messages or marks."""

    thread: ThreadId


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """The server is being followed."""


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The server is not being followed; the client keeps trying."""


@dataclass(frozen=True, slots=True)
class DeviceAdded(Event):
    """An account has one device more."""

    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class DeviceGone(Event):
    """An account has one device less."""

    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class ChainNews(Event):
    """An account has said something else of itself: of recovery, delegates, its team, its end."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class Alarm(Event):
    """Something is wrong. ``TEXT`` is what people are told."""

    TEXT: ClassVar[str] = "Something is wrong."

    @property
    def message(self) -> str:
        """One sentence for people."""
        return self.TEXT


@dataclass(frozen=True, slots=True)
class GhostDevice(Alarm):
    """A device of our own account that none of ours has added."""

    TEXT = "Your account has a device that you did not add here: revoke it unless it is yours."
    device: DeviceId


@dataclass(frozen=True, slots=True)
class SplitView(Alarm):
    """Two views of one log are being shown. Both checkpoints are evidence."""

    TEXT = "The server shows different people different logs. Do not trust it with anything new."
    ours: str | None = None
    theirs: tuple[int, Digest] | str | None = None


@dataclass(frozen=True, slots=True)
class RolledBack(Alarm):
    """Less is shown than was shown before."""

    TEXT = "The server hides what it has shown before."
    thread: ThreadId | None = None
    account: AccountId | None = None


@dataclass(frozen=True, slots=True)
class StaleCheckpoint(Alarm):
    """The directory's word is older than a day."""

    TEXT = "The directory's last word is more than a day old: nobody can be added until it is not."


@dataclass(frozen=True, slots=True)
class UnprovenDirectory(Alarm):
    """The directory's word has no valid signature or proof."""

    TEXT = "The directory cannot prove what it says."
    account: AccountId | None = None


@dataclass(frozen=True, slots=True)
class ChangedSafetyNumber(Alarm):
    """Somebody has another root than before."""

    TEXT = "The safety number of somebody you write to has changed: compare it again."
    account: AccountId


@dataclass(frozen=True, slots=True)
class UnauthorizedEntry(Alarm):
    """An entry of a control log or a chain does not hold; nothing after it is believed."""

    TEXT = "The server shows a change of members that nobody was allowed to make."
    thread: ThreadId | None
    account: AccountId | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class MissingKey(Alarm):
    """A member did not give us a key of an epoch."""

    TEXT = "Somebody changed this conversation's keys and gave you none that opens."
    thread: ThreadId
    entry: Digest


@dataclass(frozen=True, slots=True)
class ForgedMessage(Alarm):
    """A message that is not shown: it does not open, or its author could not write it."""

    TEXT = "A message is not shown, because it is not what it says it is."
    thread: ThreadId
    number: int
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class WithheldMessage(Alarm):
    """A message of a device that was revoked since, and that nobody vouches for."""

    TEXT = "A message of a revoked device is not shown."
    thread: ThreadId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Gap(Alarm):
    """Messages that should be there are not."""

    TEXT = "Messages are missing here."
    thread: ThreadId
    device: DeviceId
    missing: int


@dataclass(frozen=True, slots=True)
class Equivocation(Alarm):
    """A device wrote two messages in one place; the thread is frozen."""

    TEXT = "A device said two different things in one place; this conversation is frozen."
    thread: ThreadId
    device: DeviceId
    sequence: int


@dataclass(frozen=True, slots=True)
class Fork(Alarm):
    """A member knows another control log; the thread is frozen."""

    TEXT = "Somebody sees other members here than you do; this conversation is frozen."
    thread: ThreadId


@dataclass(frozen=True, slots=True)
class StaleAuthor(Alarm):
    """An author did not know who had joined or gone."""

    TEXT = "Somebody wrote without knowing who has joined or gone."
    thread: ThreadId
    account: AccountId


@dataclass(frozen=True, slots=True)
class Complaint(Alarm):
    """A member says that something did not hold."""

    TEXT = "A member complains that something another member signed did not hold."
    thread: ThreadId
    account: AccountId
    id: MessageId | None = None
