"""A thread as this device sees it: its control log, its keys and its messages, all verified.

`read` goes on to the end of what the relay has. Whatever does not hold is an alarm, and is not
shown; the rest is. What was seen once is kept, so that less of it cannot be shown later.
"""

from __future__ import annotations

from collections.abc import Sequence

from carnet_client import news
from carnet_client.answers import RelayedMessage, ThreadInfo, ThreadPage
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import NotReadable, ServerRefusal, UserMistake
from carnet_client.events import (
    Alarm,
    ForgedMessage,
    Gap,
    RolledBack,
    SplitView,
    ThreadChanged,
    UnauthorizedEntry,
)
from carnet_client.messages import Marks, Message, messages_of
from carnet_client.refusing import refused
from carnet_client.state import OwnAccount, ThreadMemory
from carnet_client.wraps import Wraps
from carnet_crypto.control import read_control, thread_id
from carnet_crypto.control_bodies import Create
from carnet_crypto.errors import ProtocolError, Reason, Refused
from carnet_crypto.secret import happenings
from carnet_crypto.secret.control_log import Behind, ControlPin
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.values import AccountId, DeviceId, MessageId, ThreadId

LEAST_OF_ID = 8  # hexadecimal digits


class Room:
    """See the module."""

    def __init__(self, core: Core, directory: Directory, info: ThreadInfo) -> None:
        self._core, self._directory = core, directory
        self.id: ThreadId = info.id
        self.info = info
        self.marks = Marks()
        self.wraps = Wraps(core, directory, info.id)
        self.relayed: dict[int, RelayedMessage] = {}
        self._view: Transcript | None = None
        self._control: str | None = None  # cursors of the relay
        self._messages: str | None = None
        self._was_compared = False
        self._log_ended: Alarm | None = None  # an entry did not hold: none after it is believed

    # --- what is known

    @property
    def view(self) -> Transcript:
        """The transcript.

        Raises:
            NotReadable: the thread was not read yet.
        """
        if self._view is None:
            raise NotReadable("This conversation was not read yet.")
        return self._view

    @property
    def is_read(self) -> bool:
        """Whether it was read in this run."""
        return self._view is not None and self._view.log.number >= 0

    @property
    def own(self) -> OwnAccount:
        """The account that we are in the thread."""
        return self._core.acting(self.view.own)

    @property
    def memory(self) -> ThreadMemory:
        """What is kept of the thread."""
        return self._core.state.thread(self.id)

    @property
    def members(self) -> Sequence[AccountId]:
        """Who is in it, as the log says."""
        return sorted(self.view.thread.members)

    @property
    def has_newest_key(self) -> bool:
        """Whether we have the newest epoch's key."""
        return self.view.thread.epoch.number in self.view.secrets

    def check_writable(self, *, is_leaving: bool = False) -> None:
        """Refuse to write on what is in doubt.

        Args:
            is_leaving: what is written is that we go, which readers may too.

        Raises:
            Unsafe: an entry of the log did not hold; what stands after it nobody knows.
            UserMistake: the thread is frozen or closed, or we do not write in it.
        """
        view = self.view
        if self._log_ended is not None:
            raise self._core.unsafe(self._log_ended)
        if view.thread.is_closed:
            raise UserMistake("This conversation is closed.")
        try:
            view.check_writable()
        except Refused as error:
            is_reader = error.reason is Reason.NOT_AUTHORIZED and view.own in view.thread.members
            if not (is_leaving and is_reader):
                raise refused(error) from None

    def owes_heartbeat(self) -> bool:
        """Whether it is time to answer what was read, were it with nothing."""
        view, at = self.view, self._core.clock()
        if view.is_frozen or not view.thread.may_write(view.own):
            return False
        return view.owes_heartbeat(self.own.device.id, at)

    def messages(self) -> list[Message]:
        """Return what the thread says, in everybody's order."""
        return messages_of(self.view, self.id, self.marks)

    def message(self, name: str) -> Message:
        """Return a message by its number (`5` or `#5`), or by eight or more digits of its id.

        More than half of all ids begin with a digit: fewer digits than eight are never an id's.

        Args:
            name: the relay's number of it, or the beginning of its id in hexadecimal.

        Raises:
            NotReadable: there is none, or more than one.
        """
        if len(name.removeprefix("#")) < LEAST_OF_ID:
            found = [m for m in self.messages() if str(m.number) == name.removeprefix("#")]
        else:
            prefix = name.lower()
            found = [m for m in self.messages() if bytes(m.id).hex().startswith(prefix)]
        if len(found) != 1:
            raise NotReadable("There is no such message in this conversation.")
        return found[0]

    # --- reading

    async def read(self) -> bool:
        """Read on to the end of what the relay has; return whether anything is new.

        Raises:
            NotFound: the thread is not ours to see any more.
            NotReadable: none of our accounts is in it.
            Unsafe: the log does not hold; nothing after that is believed.
        """
        await self._directory.compare_heard()
        before = None if self._view is None else (self._view.log.number, len(self._view.shown))
        known_marks = len(self.relayed)
        while True:
            page = await self._core.relay.thread(self.info.node_id, self._control, self._messages)
            if page.info.id != self.id:
                raise self._core.unsafe(UnauthorizedEntry(self.id))
            self.info = page.info
            await self._take_log(page)
            page = await self._rest_of_log(page)
            if page.messages and self._view is not None:
                await self._directory.keep_up(self._view.thread.members)
            for relayed in page.messages:
                await self.take(relayed)
            self._messages = page.message_cursor
            if not page.has_more_messages or not page.messages:
                break
        if self._view is not None:
            self._view.expire(self._core.clock())
            self._check_seen()
            self._keep_pin()
        is_new = before is None or self._view is None
        is_new = is_new or before != (self.view.log.number, len(self.view.shown))
        return is_new or known_marks != len(self.relayed)

    async def read_log(self) -> None:
        """Read the control log to its end.

        Raises:
            As `read`.
        """
        page = await self._core.relay.thread(
            self.info.node_id, self._control, None, only_control=True
        )
        self.info = page.info
        await self._take_log(page)
        await self._rest_of_log(page)

    async def _rest_of_log(self, page: ThreadPage) -> ThreadPage:
        more = page
        while more.has_more_control and more.control and self._log_ended is None:
            more = await self._core.relay.thread(
                self.info.node_id, self._control, None, only_control=True
            )
            await self._take_log(more)
        try:
            if self._view is not None:
                self._view.log.check_complete()
        except Refused:
            raise self._core.unsafe(RolledBack(self.id)) from None
        return page

    async def _take_log(self, page: ThreadPage) -> None:
        for data in page.control:
            if self._log_ended is not None:
                return
            try:
                try:
                    await self._take_entry(data, page)
                except Refused:  # what we know of somebody may be out of date
                    await self._directory.look([], known=True)
                    await self._take_entry(data, page)
            except ProtocolError as error:
                reason = error.reason if isinstance(error, Refused) else None
                alarm: Alarm = UnauthorizedEntry(self.id, None, reason)
                if reason is Reason.SPLIT_VIEW:
                    alarm = SplitView()
                if not self.is_read:
                    raise self._core.unsafe(alarm) from None
                self._log_ended = alarm
                self._core.tell(alarm)
        self._control = page.control_cursor
        if self._view is not None:
            await self.wraps.open(self._view, page.wraps)
            self._keep_pin()

    def _keep_pin(self) -> None:
        """Remember the newest entry, unless nobody vouches for it: a restart is no reason to."""
        pin = self.view.log.pin
        if pin is not None and not self.view.log.is_unvouched:
            self.memory.control = (pin.number, pin.head)

    def trust_last_change(self) -> None:
        """Take the user's word that what a revoked device changed last is right."""
        self.view.log.trust_unvouched()
        self._keep_pin()

    async def _take_entry(self, data: bytes, page: ThreadPage) -> None:
        entry = read_control(data)
        if not entry.number and thread_id(data) != self.id:
            raise Refused(Reason.WRONG_THREAD)
        if self._view is None:
            self._begin(entry.body, page)
        view = self.view
        if entry.number <= view.log.number:
            return
        author = await self._directory.account(entry.author, entry.chain_number)
        members = () if entry.rotation is None else entry.rotation.members
        missing = [
            member.account
            for member in members
            if member.account not in self._directory.accounts
            or len(self._directory.accounts[member.account].generations) < member.generation
        ]
        if missing:
            await self._directory.look(missing)
        view.log.take(data, author, is_history=True, accounts=self._directory.accounts)
        if entry.rotation is not None:
            self.wraps.begun(entry.rotation.epoch, entry.digest)
        await self._directory.check_gossip(entry.checkpoint_size, entry.checkpoint_root)

    def _begin(self, body: object, page: ThreadPage) -> None:
        """Find out which account we are here: our own where it is a member, else another."""
        ours = self._core.all_own()
        named = [account for account, _, _ in page.wraps]
        if isinstance(body, Create):
            named += [joined.account for joined in body.members]
        chosen = [id_ for id_ in ours if id_ in named]
        if not chosen:
            raise NotReadable("No account of this device is in this conversation.")
        kept = self.memory.account
        own = kept if kept in ours and kept is not None else chosen[0]
        self.memory.account = own
        control = self.memory.control
        self._view = Transcript(own, None if control is None else ControlPin(*control))
        memory, device = self.memory, self._core.acting(own).device.id
        if memory.device not in (None, device):  # the account has another device here since
            memory.written, memory.unsent = (0, MessageId.zero()), None
        memory.device = device
        if memory.written[0]:
            self._view.wrote(device, *memory.written)

    # --- messages

    async def take(self, relayed: RelayedMessage) -> None:
        """Read one envelope, by whatever way it came."""
        view = self.view
        self.relayed[relayed.number] = relayed
        try:
            told = view.take_message(relayed.number, relayed.envelope, self._directory.accounts)
        except Behind as behind:
            more = [] if behind.account is None else [behind.account]
            try:
                await self._directory.look(more, known=True)
            except ServerRefusal:
                await self._directory.look([], known=True)
            await self.read_log()
            told = view.take_message(
                relayed.number, relayed.envelope, self._directory.accounts, is_current=True
            )
        for happening in told:
            await self._take_happening(happening)

    async def _take_happening(self, happening: happenings.Happening) -> None:
        match happening:
            case happenings.Shown(header=header, missing=missing):
                seen = self.memory.seen
                seen[header.device] = max(header.sequence, seen.get(header.device, 0))
                if missing:
                    self._core.tell(Gap(self.id, header.device, missing))
                await self._directory.check_gossip(header.checkpoint_size, header.checkpoint_root)
            case happenings.Edited(id=id_):
                self.marks.edited.add(id_)
            case happenings.Retracted(id=id_):
                self.marks.retracted.add(id_)
            case happenings.Read(account=account, receipt=receipt):
                self.marks.read(account, {each.device: each.sequence for each in receipt.seen})
            case happenings.Acknowledged(account=account, acknowledgement=given):
                self.marks.acknowledged.setdefault(given.message, []).append((account, given))
            case happenings.Rejected(number=number, reason=reason):
                self._tell(self._rejected(number, reason))
            case _:
                self._tell(news.of_happening(self.id, happening))

    def _tell(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            self._core.tell(alarm)

    def _rejected(self, number: int, reason: Reason | None) -> Alarm | None:
        """Return an alarm, unless it is only of an epoch that we never had a key of."""
        member = self.view.thread.members.get(self.view.own)
        if reason is Reason.WRONG_EPOCH and (member is None or member.history_from > 1):
            return None
        return ForgedMessage(self.id, number, reason)

    def _check_seen(self) -> None:
        """Compare, once, with what was seen in an earlier run: nothing of it may be hidden now."""
        if self._was_compared:
            return
        self._was_compared = True
        found: dict[DeviceId, int] = {}
        for shown in self.view.shown.values():
            header = shown.header
            found[header.device] = max(header.sequence, found.get(header.device, 0))
        for device, sequence in self.memory.seen.items():
            if found.get(device, 0) < sequence:
                self._core.tell(Gap(self.id, device, sequence - found.get(device, 0)))

    def changed(self) -> None:
        """Tell whoever listens that the thread has something new."""
        self._core.tell(ThreadChanged(self.id))
