"""One member's view of a thread: which messages are shown, in which order, and what is wrong.

A relay can drop, repeat, reorder and delay, and a member can lie; neither goes unnoticed. Each
device numbers its messages and links each to the one before; each message names those its author
had seen (a graph that orders them), and the control log its author believed in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from carnet_crypto.account import Account
from carnet_crypto.control import Role
from carnet_crypto.envelope import Envelope, read_envelope
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.secret.content import (
    Acknowledgement,
    Complaint,
    Content,
    Edit,
    Receipt,
    Retraction,
    System,
)
from carnet_crypto.secret.happenings import (
    Acknowledged,
    Complained,
    Edited,
    Equivocation,
    Erased,
    Fork,
    GapFilled,
    Happening,
    Read,
    Rejected,
    Retracted,
    Said,
    Shown,
    StaleAuthor,
    Withheld,
)
from carnet_crypto.secret.header import MOST_HEADS, Header
from carnet_crypto.secret.messages import Draft, Opened, open_message
from carnet_crypto.thread import Thread
from carnet_crypto.values import AccountId, DeviceId, Digest, EpochSecret, MessageId

MOST_WAITING = 1000  # edits and the like whose message has not come, kept at most


class Behind(Exception):
    """A message names a control entry or an epoch that we do not have: read the log, then again."""


@dataclass(slots=True)
class _DeviceLine:
    """What a device has written, by its numbers."""

    ids: dict[int, MessageId] = field(default_factory=dict)
    headers: dict[int, Header] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)  # ascending

    @property
    def newest(self) -> int:
        """The highest number seen; 0 for none."""
        return self.numbers[-1] if self.numbers else 0

    def add(self, id_: MessageId, header: Header) -> None:
        """Keep the first message under its number."""
        if header.sequence not in self.ids:
            self.ids[header.sequence] = id_
            self.headers[header.sequence] = header
            insort(self.numbers, header.sequence)


@dataclass(frozen=True, slots=True)
class ControlPin:
    """What is kept of a control log over a restart, so that it never goes back."""

    number: int
    head: Digest


class Transcript:
    """See the module."""

    def __init__(self, own: AccountId, pin: ControlPin | None = None) -> None:
        self.own = own
        self.is_frozen = False
        self.shown: dict[MessageId, Shown] = {}
        self.secrets: dict[int, EpochSecret] = {}
        self.unvouched = False  # the newest control entry is of a device revoked since
        self._pin = pin
        self._states: list[Thread] = []
        self._by_head: dict[Digest, Thread] = {}
        self._lines: dict[DeviceId, _DeviceLine] = {}
        self._answered: set[MessageId] = set()
        self._unanswered: set[MessageId] = set()
        self._newest_control = 0  # that any message shown was written under
        self._withheld: dict[MessageId, tuple[int, Opened, Envelope]] = {}
        self._waiting: dict[MessageId, list[Opened]] = {}
        self._epoch_messages: dict[int, int] = {}

    # --- the control log

    @property
    def thread(self) -> Thread:
        """The thread as its log says it is now.

        Raises:
            Behind: nothing of it has been read.
        """
        if not self._states:
            raise Behind
        return self._states[-1]

    @property
    def messages_in_epoch(self) -> int:
        """How many messages the newest epoch has, as far as they were seen."""
        return self._epoch_messages.get(self.thread.epoch.number, 0)

    def take_control(self, data: bytes, author: Account, *, is_history: bool = False) -> Thread:
        """Read the next entry of the log; the arguments are those of `Thread.extend`.

        Raises:
            ProtocolError: it does not hold. Nothing has changed, and the log ends here for us.
        """
        if self._states:
            state = self.thread.extend(data, author, is_history=is_history)
        else:
            state = Thread.begin(data, author, is_history=is_history)
        pin = self._pin
        if pin is not None and state.number == pin.number and state.head != pin.head:
            raise Refused(Reason.SPLIT_VIEW)
        self._states.append(state)
        self._by_head[state.head] = state
        return state

    def check_complete(self) -> None:
        """Check that the log, once read to its end, has not become shorter.

        Raises:
            Refused: it has (`OUT_OF_ORDER`): an alarm.
        """
        if self._pin is not None and self.thread.number < self._pin.number:
            raise Refused(Reason.OUT_OF_ORDER)

    @property
    def pin(self) -> ControlPin:
        """What has to be kept over a restart."""
        return ControlPin(self.thread.number, self.thread.head)

    # --- messages

    def take_message(
        self,
        number: int,
        data: bytes,
        accounts: Mapping[AccountId, Account],
        *,
        is_current: bool = False,
    ) -> list[Happening]:
        """Read one envelope; return what it tells.

        Args:
            number: the relay's.
            data: the envelope.
            accounts: the verified accounts of everybody who was ever a member.
            is_current: the control log was read to its end after this envelope came.

        Raises:
            Behind: it names an entry or epoch that we do not have, and the log may have it.
        """
        try:
            envelope = read_envelope(data)
        except Malformed:
            return [Rejected(number, None, None)]
        if envelope.thread != self.thread.id:
            return [Rejected(number, None, Reason.WRONG_THREAD)]
        if envelope.suite < self.thread.policy.least_suite:
            return [Rejected(number, None, Reason.SUITE_TOO_LOW)]
        secret = self.secrets.get(envelope.epoch)
        if secret is None:
            if envelope.epoch > self.thread.epoch.number and not is_current:
                raise Behind
            return [Rejected(number, None, Reason.WRONG_EPOCH)]
        try:
            opened = open_message(envelope, secret, accounts)
        except OpenFailed:
            return [Rejected(number, None, None)]
        return self._take_opened(number, opened, envelope, accounts, is_current)

    def _take_opened(
        self,
        number: int,
        opened: Opened,
        envelope: Envelope,
        accounts: Mapping[AccountId, Account],
        is_current: bool,
    ) -> list[Happening]:
        header = opened.header
        known = self.shown.get(opened.id)
        if known is not None:
            return self._again(known, opened)
        if opened.id in self._withheld:
            return []
        state = self._by_head.get(header.control_head)
        if state is None:
            if not is_current:
                raise Behind
            self.is_frozen = True
            return [Fork(opened.id, header.control_head)]
        try:
            self._check_author(header, envelope, state)
            is_vouched = self._check_revoked(header, accounts)
        except Refused as error:
            return [Rejected(number, opened.id, error.reason)]
        equivocation = self._equivocation(opened)
        if equivocation is not None:
            self.is_frozen = True
        if not is_vouched:
            self._withheld[opened.id] = (number, opened, envelope)
            return [Withheld(number, opened.id, header.device)]
        told = self._show(number, opened, envelope, state)
        if equivocation is not None:
            told.insert(0, equivocation)
        told.extend(self._vouch(header, accounts))
        return told

    def _again(self, known: Shown, opened: Opened) -> list[Happening]:
        """Take a message that was shown before: it changes nothing, unless its body is gone."""
        if known.content is None or opened.content is not None:
            return []
        self.shown[known.id] = Shown(known.id, known.number, known.header, None)
        return [Erased(known.id)]

    def _check_author(self, header: Header, envelope: Envelope, state: Thread) -> None:
        """Check that the author could write this where they say they stood."""
        member = state.members.get(header.account)
        if member is None:
            raise Refused(Reason.UNKNOWN_MEMBER)
        if member.role is Role.READER:
            raise Refused(Reason.NOT_AUTHORIZED)
        if envelope.epoch != state.epoch.number:
            raise Refused(Reason.WRONG_EPOCH)
        if state.has_left:
            raise Refused(Reason.ROTATION_DUE)
        if state.is_closed:
            raise Refused(Reason.CLOSED)
        line = self._lines.get(header.device)
        if line is None:
            return
        at = bisect_left(line.numbers, header.sequence)
        if at > 0:
            self._check_progress(line.headers[line.numbers[at - 1]], header)
        at = bisect_right(line.numbers, header.sequence)
        if at < len(line.numbers):
            self._check_progress(header, line.headers[line.numbers[at]])

    def _check_progress(self, earlier: Header, later: Header) -> None:
        """Refuse a device that goes back: in the control log, its epochs, or the checkpoint."""
        one, other = self._by_head[earlier.control_head], self._by_head[later.control_head]
        if one.number > other.number:
            raise Refused(Reason.WRONG_EPOCH)
        if earlier.checkpoint_size > later.checkpoint_size:
            raise Refused(Reason.SHRUNK_LOG)

    def _check_revoked(self, header: Header, accounts: Mapping[AccountId, Account]) -> bool:
        """Tell whether nothing has to vouch for it.

        Raises:
            Refused: its device was over by then, or had been revoked by what its author knew.
        """
        device = accounts[header.account].devices[header.device]
        if device.not_after and header.sent_at > device.not_after:
            raise Refused(Reason.EXPIRED_DEVICE)
        if device.revoked_at_size is None:
            return True
        if header.checkpoint_size > device.revoked_at_size:
            raise Refused(Reason.REVOKED_DEVICE)
        return False

    def _equivocation(self, opened: Opened) -> Equivocation | None:
        header = opened.header
        line = self._lines.get(header.device)
        if line is None:
            return None
        same = line.ids.get(header.sequence)
        if same is not None and same != opened.id:
            return Equivocation(header.device, header.sequence, same, opened.id)
        before = line.ids.get(header.sequence - 1)
        if before is not None and header.previous != before:
            return Equivocation(header.device, header.sequence - 1, before, header.previous)
        after = line.headers.get(header.sequence + 1)
        if after is not None and after.previous != opened.id:
            return Equivocation(header.device, header.sequence, after.previous, opened.id)
        return None

    def _show(
        self, number: int, opened: Opened, envelope: Envelope, state: Thread
    ) -> list[Happening]:
        header = opened.header
        line = self._lines.setdefault(header.device, _DeviceLine())
        told = list[Happening]()
        missing = 0
        if header.sequence > line.newest:
            missing = header.sequence - line.newest - 1
        elif header.sequence not in line.ids:
            told.append(GapFilled(header.device, header.sequence))
        line.add(opened.id, header)
        absent = sum(head not in self.shown for head in header.heads)
        shown = Shown(opened.id, number, header, opened.content, missing, absent)
        self.shown[opened.id] = shown
        told.append(shown)
        if state.number < self._newest_control:
            told.append(StaleAuthor(opened.id, header.account))
        self._newest_control = max(self._newest_control, state.number)
        count = self._epoch_messages.get(envelope.epoch, 0)
        self._epoch_messages[envelope.epoch] = count + 1
        self._place(shown)
        told.extend(self._apply(opened))
        for waiting in self._waiting.pop(opened.id, ()):
            told.extend(self._apply(waiting))
        return told

    def _place(self, shown: Shown) -> None:
        """Put it into the graph: what it answers is answered."""
        self._answered |= {*shown.header.heads, shown.header.previous}
        self._unanswered.difference_update(shown.header.heads, [shown.header.previous])
        if shown.id not in self._answered:
            self._unanswered.add(shown.id)

    def _apply(self, opened: Opened) -> list[Happening]:
        account, content = opened.header.account, opened.content
        match content:
            case Edit(message=target) | Retraction(message=target):
                return self._change(opened, target, content)
            case Receipt():
                return self._read(opened, content)
            case Acknowledgement(message=target):
                if target not in self.shown:
                    return self._wait(target, opened)
                return [Acknowledged(account, content, opened.id)]
            case System():
                return [Said(account, content)]
            case Complaint():
                return [Complained(account, content)]
            case _:
                return []

    def _change(
        self, opened: Opened, target: MessageId, content: Edit | Retraction
    ) -> list[Happening]:
        changed = self.shown.get(target)
        if changed is None:
            return self._wait(target, opened)
        if changed.header.account != opened.header.account:
            number = self.shown[opened.id].number
            return [Rejected(number, opened.id, Reason.NOT_AUTHORIZED)]
        if isinstance(content, Edit):
            return [Edited(target, content.text, opened.id)]
        return [Retracted(target, opened.id)]

    def _read(self, opened: Opened, receipt: Receipt) -> list[Happening]:
        """Take a receipt, unless it is for what was never sent."""
        for seen in receipt.seen:
            line = self._lines.get(seen.device)
            if line is None or seen.sequence > line.newest:
                number = self.shown[opened.id].number
                return [Rejected(number, opened.id, Reason.OUT_OF_ORDER)]
        return [Read(opened.header.account, receipt)] if receipt.seen else []

    def _wait(self, target: MessageId, opened: Opened) -> list[Happening]:
        if sum(map(len, self._waiting.values())) < MOST_WAITING:
            self._waiting.setdefault(target, []).append(opened)
        return []

    def _vouch(self, header: Header, accounts: Mapping[AccountId, Account]) -> list[Happening]:
        """Show what a message of a device that is not revoked stands upon."""
        told = list[Happening]()
        pending = [header.previous, *header.heads]
        while pending:
            held = self._withheld.get(pending.pop())
            if held is None:
                continue
            number, opened, envelope = held
            device = accounts[opened.header.account].devices[opened.header.device]
            if header.checkpoint_size > (device.revoked_at_size or 0):
                continue
            del self._withheld[opened.id]
            state = self._by_head[opened.header.control_head]
            told.extend(self._show(number, opened, envelope, state))
            pending += [opened.header.previous, *opened.header.heads]
        return told

    # --- order

    def in_order(self) -> list[Shown]:
        """Return what is shown, each after all that its author had seen.

        The same messages come in the same order for everybody, in whatever order they arrived.
        """
        depths = dict[MessageId, int]()
        for shown in self.shown.values():
            self._find_depth(shown, depths)
        return sorted(self.shown.values(), key=lambda shown: (depths[shown.id], shown.id))

    def _find_depth(self, shown: Shown, depths: dict[MessageId, int]) -> None:
        stack = [shown]
        while stack:
            top = stack[-1]
            links = top.header.previous, *top.header.heads
            parents = [self.shown[id_] for id_ in links if id_ in self.shown]
            unknown = [parent for parent in parents if parent.id not in depths]
            if unknown:
                stack += unknown
                continue
            depths[top.id] = 1 + max((depths[parent.id] for parent in parents), default=0)
            stack.pop()

    # --- writing

    def draft(
        self, device: DeviceId, content: Content, checkpoint: tuple[int, Digest], at: int
    ) -> Draft:
        """Return the next message of one of our devices, but for keys and randomness.

        Raises:
            Refused: the thread is frozen (`SPLIT_VIEW`) or closed, somebody left and nobody has
                begun an epoch since (`ROTATION_DUE`), or we do not write here (`NOT_AUTHORIZED`).
        """
        thread = self.thread
        if self.is_frozen:
            raise Refused(Reason.SPLIT_VIEW)
        if thread.is_closed:
            raise Refused(Reason.CLOSED)
        if not thread.may_write(self.own):
            raise Refused(Reason.NOT_AUTHORIZED)
        if thread.has_left:
            raise Refused(Reason.ROTATION_DUE)
        line = self._lines.get(device, _DeviceLine())
        previous = line.ids.get(line.newest, MessageId.zero())
        return Draft(
            thread=thread.id,
            epoch=thread.epoch.number,
            account=self.own,
            sequence=line.newest + 1,
            previous=previous,
            control_head=thread.head,
            heads=self._heads(previous),
            checkpoint=checkpoint,
            sent_at=at,
            content=content,
        )

    def seen(self) -> Sequence[tuple[DeviceId, int]]:
        """Return up to where everything of each device of others has been read."""
        return [(device, _contiguous(line)) for device, line in sorted(self._lines.items())]

    def _heads(self, previous: MessageId) -> tuple[MessageId, ...]:
        """Return the newest messages that nobody has answered yet, but for our own last."""
        left = [self.shown[id_] for id_ in self._unanswered if id_ != previous]
        newest = sorted(left, key=lambda shown: shown.number, reverse=True)[:MOST_HEADS]
        return tuple(sorted(shown.id for shown in newest))


def _contiguous(line: _DeviceLine) -> int:
    number = 0
    while number + 1 in line.ids:
        number += 1
    return number
