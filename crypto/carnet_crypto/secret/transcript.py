"""One member's view of a thread: which messages are shown, in which order, and what is wrong.

A relay can drop, repeat, reorder and delay, and a member can lie; neither goes unnoticed. Each
device numbers its messages and links each to the one before; each message names those its author
had seen (a graph that orders them), and the control log its author believed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from carnet_crypto.account import Account
from carnet_crypto.envelope import Envelope, read_envelope
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.secret.content import Attachments, Content, Text
from carnet_crypto.secret.control_log import Behind, ControlLog, ControlPin
from carnet_crypto.secret.happenings import (
    Equivocation,
    Erased,
    Fork,
    GapFilled,
    Happening,
    Rejected,
    Shown,
    StaleAuthor,
    Withheld,
)
from carnet_crypto.secret.header import MOST_HEADS, Header, Kind
from carnet_crypto.secret.messages import Draft, Opened, UnknownAuthor, open_message
from carnet_crypto.secret.order import DeviceLine, marked, ordered, parents
from carnet_crypto.secret.references import References
from carnet_crypto.secret.standing import check_author, check_device
from carnet_crypto.thread import Thread
from carnet_crypto.values import AccountId, DeviceId, Digest, EpochSecret, MessageId

HEARTBEAT = 24 * 3600 * 1000  # milliseconds after which what was read is answered, by a receipt
_MAY_CHANGE = (Reason.UNKNOWN_MEMBER, Reason.NOT_AUTHORIZED)  # by what chains say


class Transcript:
    """See the module. ``author`` is who writes here, where that is not the account itself."""

    def __init__(
        self, own: AccountId, pin: ControlPin | None = None, *, author: AccountId | None = None
    ) -> None:
        self.own = own
        self.author = own if author is None else author
        self.log = ControlLog(pin)
        self.is_frozen = False
        self.shown: dict[MessageId, Shown] = {}
        self.secrets: dict[int, EpochSecret] = {}
        self._lines: dict[DeviceId, DeviceLine] = {}
        self._references = References(self.shown, self._lines)
        self._wrote: dict[DeviceId, tuple[int, MessageId]] = {}
        self._answered: set[MessageId] = set()
        self._unanswered: set[MessageId] = set()
        self._newest_epoch = 0  # that any message shown is of
        self._withheld: dict[MessageId, tuple[int, Opened, Envelope]] = {}
        self._vouched: dict[MessageId, int] = {}  # least checkpoint of who stands upon it
        self._epoch_messages: dict[int, int] = {}

    @property
    def thread(self) -> Thread:
        """The thread as its log says it is now.

        Raises:
            Behind: nothing of it has been read.
        """
        return self.log.thread

    @property
    def messages_in_epoch(self) -> int:
        """How many messages the newest epoch has, as far as they were seen."""
        return self._epoch_messages.get(self.thread.epoch.number, 0)

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
            accounts: the verified accounts of everybody who was ever a member, and of all who
                write for one.
            is_current: all chains and the control log were read to their ends after this envelope
                came.

        Raises:
            Behind: it names an entry, an epoch or a device that we do not have, or somebody writes
                for a member who has not said so: there may be more to be read.
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
        except UnknownAuthor as error:
            if not is_current:
                raise Behind(error.account) from error
            return [Rejected(number, None, None)]
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
        state = self.log.at(header.control_head)
        if state is None:
            if not is_current:
                raise Behind
            self.is_frozen = True
            return [Fork(opened.id, header.control_head)]
        device = accounts[header.account].devices[header.device]
        try:
            check_author(header, opened.content, envelope.epoch, state, accounts)
            self._check_progress(header)
            is_sure = check_device(header, device, state)
        except Refused as error:
            is_other = header.account not in state.members
            if is_other and not is_current and error.reason in _MAY_CHANGE:
                raise Behind(header.account) from error
            return [Rejected(number, opened.id, error.reason)]
        vouched = self._vouched.get(opened.id)
        if not is_sure and (vouched is None or vouched > (device.revoked_at_size or 0)):
            self._withheld[opened.id] = (number, opened, envelope)
            return [Withheld(number, opened.id, header.device)]
        told = self._show(number, opened, envelope)
        if is_sure and state.head == self.thread.head:
            self.log.is_unvouched = False
        least = vouched if vouched is not None else header.checkpoint_size
        told += self._vouch(
            header, min(least, header.checkpoint_size) if is_sure else least, accounts
        )
        return told

    def _again(self, known: Shown, opened: Opened) -> list[Happening]:
        """Take a message that was shown before: it changes nothing, unless its body is gone."""
        if known.content is None or opened.content is not None:
            return []
        self._references.forget(known.id)
        return [Erased(known.id)]

    def _check_progress(self, header: Header) -> None:
        """Refuse a device that goes back: in the control log, its epochs, or the checkpoint."""
        line = self._lines.get(header.device)
        if line is None:
            return
        known = [line.before(header.sequence), header, line.after(header.sequence)]
        steps = [each for each in known if each is not None]
        for earlier, later in pairwise(steps):
            one = self.log.number_of(earlier.control_head)
            if one > self.log.number_of(later.control_head):
                raise Refused(Reason.WRONG_EPOCH)
            if earlier.checkpoint_size > later.checkpoint_size:
                raise Refused(Reason.SHRUNK_LOG)

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

    def _show(self, number: int, opened: Opened, envelope: Envelope) -> list[Happening]:
        header = opened.header
        told = list[Happening]()
        equivocation = self._equivocation(opened)
        if equivocation is not None:
            self.is_frozen = True
            told.append(equivocation)
        line = self._lines.setdefault(header.device, DeviceLine())
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
        if envelope.epoch < self._newest_epoch:
            told.append(StaleAuthor(opened.id, header.account))
        self._newest_epoch = max(self._newest_epoch, envelope.epoch)
        count = self._epoch_messages.get(envelope.epoch, 0)
        self._epoch_messages[envelope.epoch] = count + 1
        self._place(shown)
        told.extend(self._references.take(opened))
        return told

    def _place(self, shown: Shown) -> None:
        """Put it into the graph: what it answers is answered."""
        self._answered |= {*parents(shown.header)}
        self._unanswered.difference_update(parents(shown.header))
        if shown.id not in self._answered:
            self._unanswered.add(shown.id)

    def _vouch(
        self, header: Header, least: int, accounts: Mapping[AccountId, Account]
    ) -> list[Happening]:
        """Let a message that is shown vouch for all it stands upon, come before it or after.

        Args:
            header: of the message.
            least: the smallest checkpoint of a device that is not revoked and stands upon it.
            accounts: as in `take_message`.
        """
        told = list[Happening]()
        pending = [(id_, least) for id_ in parents(header)]
        while pending:
            id_, size = pending.pop()
            if size >= self._vouched.get(id_, size + 1):
                continue
            self._vouched[id_] = size
            shown, held = self.shown.get(id_), self._withheld.get(id_)
            if shown is not None:
                if size < shown.header.checkpoint_size or self._is_revoked(shown, accounts):
                    pending += [(each, size) for each in parents(shown.header)]
            elif held is not None:
                number, opened, envelope = held
                owner = accounts.get(opened.header.account)
                device = None if owner is None else owner.devices.get(opened.header.device)
                if device is None or size > (device.revoked_at_size or 0):
                    continue
                del self._withheld[id_]
                told += self._show(number, opened, envelope)
                pending += [(each, size) for each in parents(opened.header)]
        return told

    def _is_revoked(self, shown: Shown, accounts: Mapping[AccountId, Account]) -> bool:
        owner = accounts.get(shown.header.account)
        device = None if owner is None else owner.devices.get(shown.header.device)
        return device is None or device.revoked_in is not None

    # --- their words

    def text(self, id_: MessageId) -> str | None:
        """Return the words of a message as they stand; None where it has none, or no more."""
        return self._references.text(id_)

    def expire(self, at: int) -> list[Happening]:
        """Drop the words of what its author wanted gone by this time (milliseconds since 1970)."""
        return self._references.expire(at)

    # --- order

    def in_order(self) -> list[Shown]:
        """Return what is shown, each after all that its author had seen, with what is missing now.

        The same messages come in the same order for everybody, in whatever order they arrived.
        """
        return [marked(each, self._lines, self.shown) for each in ordered(self.shown)]

    # --- writing

    def check_writable(self) -> None:
        """Refuse to write on what is in doubt: messages, and entries of the control log.

        Raises:
            Refused: the thread is frozen (`SPLIT_VIEW`), closed (`CLOSED`), its newest entry is of
                a device revoked since that nobody vouches for (`REVOKED_DEVICE`), or we do not
                write here (`NOT_AUTHORIZED`).
        """
        if self.is_frozen:
            raise Refused(Reason.SPLIT_VIEW)
        if self.thread.is_closed:
            raise Refused(Reason.CLOSED)
        if self.log.is_unvouched:
            raise Refused(Reason.REVOKED_DEVICE)
        if not self.thread.may_write(self.own):
            raise Refused(Reason.NOT_AUTHORIZED)

    def draft(
        self, device: DeviceId, content: Content, checkpoint: tuple[int, Digest], at: int
    ) -> Draft:
        """Return the next message of one of our devices, but for keys and randomness.

        Raises:
            Refused: as `check_writable`; or somebody left and nobody has begun an epoch since
                (`ROTATION_DUE`), or it is not said for whom we write (`NOT_AUTHORIZED`).
        """
        self.check_writable()
        thread = self.thread
        if thread.has_left:
            raise Refused(Reason.ROTATION_DUE)
        named = content.on_behalf_of if isinstance(content, Text | Attachments) else self.own
        if self.author != self.own and named != self.own:
            raise Refused(Reason.NOT_AUTHORIZED)
        sequence, previous = self._last_of(device)
        return Draft(
            thread=thread.id,
            epoch=thread.epoch.number,
            account=self.author,
            sequence=sequence + 1,
            previous=previous,
            control_head=thread.head,
            heads=self._heads(previous),
            checkpoint=checkpoint,
            sent_at=at,
            content=content,
        )

    def wrote(self, device: DeviceId, sequence: int, id_: MessageId) -> None:
        """Take note of what our device has signed: kept over a restart, before it is sent.

        A relay that hides our last message would else make us sign another in its place.
        """
        if sequence > self._wrote.get(device, (0, id_))[0]:
            self._wrote[device] = (sequence, id_)

    @property
    def written(self) -> list[tuple[DeviceId, int, MessageId]]:
        """What has to be kept over a restart, to be given to `wrote`."""
        return [(device, *last) for device, last in sorted(self._wrote.items())]

    def _last_of(self, device: DeviceId) -> tuple[int, MessageId]:
        line = self._lines.get(device, DeviceLine())
        read = line.newest, line.ids.get(line.newest, MessageId.zero())
        return max(read, self._wrote.get(device, read), key=lambda each: each[0])

    def owes_heartbeat(self, device: DeviceId, at: int) -> bool:
        """Whether our device has long seen what it has not answered: a receipt is due.

        Nothing else shows a relay that drops what comes last.
        """
        own = self._lines.get(device, DeviceLine())
        last = own.headers[own.newest].sent_at if own.numbers else 0
        others = (self.shown[id_].header for id_ in self._unanswered)
        waiting = any(each.device != device and each.kind is not Kind.RECEIPT for each in others)
        return waiting and at - last >= HEARTBEAT

    def seen(self) -> Sequence[tuple[DeviceId, int]]:
        """Return up to where everything of each device has been read."""
        return [(device, line.contiguous) for device, line in sorted(self._lines.items())]

    def _heads(self, previous: MessageId) -> tuple[MessageId, ...]:
        """Return the newest messages that nobody has answered yet, but for our own last."""
        left = [self.shown[id_] for id_ in self._unanswered if id_ != previous]
        newest = sorted(left, key=lambda shown: shown.number, reverse=True)[:MOST_HEADS]
        return tuple(sorted(shown.id for shown in newest))
