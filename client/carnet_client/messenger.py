"""Messages that only their members can read, for programs: one object that hides all of it.

::

    store = KeyStore.open(folder, Passphrase("…"))
    async with Messenger(store) as messenger:
        doctor = await messenger.find("FAURE")
        thread = await messenger.open_thread([doctor])
        await thread.send("Bonjour docteur")
        async for event in messenger.follow():
            ...

It verifies before it shows. What is wrong is an `Alarm` among the events, and stays in `alarms`;
what would betray somebody is not done, and raises `Unsafe`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from carnet_client.accounts import Accounts, Enrolment, Owner
from carnet_client.attachments import Attachments, Progress, no_progress
from carnet_client.connection import Connection
from carnet_client.core import Core, now_ms
from carnet_client.directory import Directory
from carnet_client.errors import ClientError, NotFound, NotReadable, Unreachable, UserMistake
from carnet_client.events import Alarm, Connected, Disconnected, Event
from carnet_client.following import Lost, Told
from carnet_client.keystore import KeyStore
from carnet_client.messages import Message
from carnet_client.pairing import Admitting, Joining
from carnet_client.relay import AccountInfo, Relay, ThreadInfo, Viewer, relayed, thread_of
from carnet_client.room import Room
from carnet_client.threads import Threads
from carnet_crypto.account import Device
from carnet_crypto.chain import RevocationReason
from carnet_crypto.control import Role
from carnet_crypto.secret.content import (
    Acknowledgement,
    Complaint,
    ComplaintAbout,
    Content,
    Edit,
    Manifest,
    Receipt,
    Retraction,
    RetractionReason,
    Seen,
    Text,
    Verdict,
)
from carnet_crypto.secret.content import Attachments as Files
from carnet_crypto.values import AccountId, DeviceId, ThreadId

BEAT = 3600.0  # seconds between two looks at what has long not been answered


class Messenger:
    """See the module.

    Args:
        store: the profile, open. It is closed with the messenger.
        connection: another way to its server; None makes one.
        clock: the time in milliseconds since 1970.
    """

    def __init__(
        self,
        store: KeyStore,
        connection: Connection | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._connection = connection or Connection(store.state.server, store.state.token)
        self._core = Core(store, Relay(self._connection), clock)
        self._directory = Directory(self._core)
        self.accounts = Accounts(self._core, self._directory)
        self._threads = Threads(self._core, self._directory, self.accounts)
        self._files = Attachments(self._core)
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._connection.__aexit__(kind, error, trace)
        finally:
            self._store.close()

    # --- who we are

    async def sign_in(self, login: str, password: str, device: str = "carnet-client") -> None:
        """Begin a session with the server, and keep it."""
        session = await self._connection.sign_in(login, password, device)
        await self.use_token(session.token, login)

    async def use_token(self, token: str, login: str = "") -> None:
        """Go on with a token, such as ``carnet token`` prints for the sandbox."""
        self._connection.token = token
        self._core.state.token, self._core.state.login = token, login
        await self._core.save()

    async def sign_out(self) -> None:
        """End the session; the keys stay."""
        await self._connection.sign_out()
        self._core.state.token = None
        await self._core.save()

    async def viewer(self) -> Viewer:
        """Return who we are for the server."""
        return await self._core.relay.viewer()

    @property
    def account(self) -> AccountId:
        """Our own account.

        Raises:
            NoAccount: this device has none.
        """
        return self._core.own().id

    @property
    def is_enrolled(self) -> bool:
        """Whether this device has an account."""
        return self._core.state.own is not None

    @property
    def alarms(self) -> Sequence[Alarm]:
        """What is wrong, until somebody has looked at it."""
        return tuple(self._core.alarms)

    def dismiss(self, alarm: Alarm) -> None:
        """Take the user's word that they have seen an alarm. What it forbids stays forbidden."""
        self._core.alarms = [each for each in self._core.alarms if each != alarm]

    async def enrol(
        self, owner: Owner | None = None, passphrase: str = "", *, is_anew: bool = False
    ) -> Enrolment:
        """Prepare an account, ours or another's; see `Accounts.enrol`."""
        async with self._lock:
            await self.accounts.resume()
            return await self.accounts.enrol(owner, passphrase, is_anew=is_anew)

    async def recover(
        self,
        code: str,
        passphrase: str = "",
        account: AccountId | None = None,
        *,
        keep_others: bool = False,
    ) -> AccountId:
        """Make this device one of an account by its recovery code; see `Accounts.recover`."""
        async with self._lock:
            return await self.accounts.recover(code, passphrase, account, keep=keep_others)

    def join(self, patience: float = 600.0) -> Joining:
        """Begin to add this device to our account; the other side is `admit`."""
        return Joining(self._core, self._directory, patience)

    def admit(self, patience: float = 600.0) -> Admitting:
        """Begin to add another device to our account; the other side is `join`."""
        return Admitting(self._core, self._directory, self.accounts, patience)

    # --- devices

    async def devices(self, account: AccountId | None = None) -> list[Device]:
        """Return the devices of an account of ours, in the order they were added."""
        async with self._lock:
            own = self._core.acting(account)
            await self._directory.look([own.id])
            await self._core.save()
            found = self._directory.accounts[own.id].devices.values()
            return sorted(found, key=lambda device: device.added_in)

    def is_this_device(self, device: DeviceId) -> bool:
        """Whether it is the device that this runs on."""
        return device in {own.device.id for own in self._core.all_own().values()}

    async def revoke_device(
        self,
        device: DeviceId,
        reason: RevocationReason = RevocationReason.LOST,
        account: AccountId | None = None,
    ) -> None:
        """Take a device from an account of ours; what is written from then on it cannot read."""
        async with self._lock:
            await self.accounts.revoke(device, reason, account)

    async def accept_device(self, device: DeviceId, account: AccountId | None = None) -> None:
        """Say that a device that this one did not know is ours."""
        self._directory.accept_device(self._core.acting(account).id, device)
        await self._core.save()

    # --- people

    async def people(self) -> list[AccountInfo]:
        """Return whom we may want to write to, by name."""
        found = await self._core.relay.people()
        for info in found:
            self._core.state.names[info.id] = info.name
        return found

    async def find(self, text: str) -> AccountInfo:
        """Return the one person with this name, register number, or account id.

        For who is in a public register the directory has to prove whose account it is.

        Raises:
            UserMistake: nobody fits, or several do.
            Unsafe: the directory says otherwise.
        """
        wanted = text.casefold().split()
        people = await self.people()
        exact = [info for info in people if text in (info.register_id, bytes(info.id).hex())]
        found = exact or [
            info
            for info in people
            if wanted and all(word in info.name.casefold() for word in wanted)
        ]
        if not found:
            raise UserMistake("You can write to nobody of that name.")
        if len({info.id for info in found}) > 1:
            names = ", ".join(info.name for info in found[:5])
            raise UserMistake(f"Several people fit: {names}. Say more.")
        async with self._lock:
            await self._directory.check_binding(found[0])
            await self._core.save()
        return found[0]

    async def record_of(self, name: str) -> str:
        """Return the record of somebody we act for in messages, by their name.

        Raises:
            UserMistake: there is nobody of that name, or several.
        """
        wanted = name.casefold().split()
        found = [
            holder["record"]["id"]
            for holder in await self._core.relay.acts_for()
            if holder["record"]
            and all(
                word in " ".join([*holder["givenNames"], holder["birthFamilyName"]]).casefold()
                for word in wanted
            )
        ]
        if len(found) != 1:
            raise UserMistake("You act in messages for nobody of that name, or for several.")
        return str(found[0])

    async def acting(self, name: str) -> AccountInfo:
        """Return an account that we may act with, by the name of whose it is.

        Raises:
            UserMistake: there is none of that name, or several.
        """
        people = {info.id: info for info in await self._core.relay.people()}
        known = [people.get(info.id, info) for info in (await self.viewer()).accounts]
        wanted = name.casefold().split()
        found = [info for info in known if all(word in info.name.casefold() for word in wanted)]
        if len(found) != 1:
            raise UserMistake("You act with no account of that name, or with several.")
        return found[0]

    def name(self, account: AccountId) -> str:
        """Return what somebody is called, as the server's registers have them."""
        return self._core.state.names.get(account) or f"account {bytes(account).hex()[:8]}"

    async def safety_number(self, account: AccountId) -> str:
        """Return the sixty digits to compare with somebody: by voice, or at the desk."""
        async with self._lock:
            number = await self._directory.safety_number(self.account, account)
            await self._core.save()
            return number

    async def verify(self, account: AccountId) -> None:
        """Keep that the safety number was compared and is the same."""
        self._directory.verify(account)
        await self._core.save()

    def is_verified(self, account: AccountId) -> bool | None:
        """Return whether somebody was verified; None where it does not hold any more."""
        return self._directory.is_verified(account)

    # --- conversations

    async def threads(self, most: int = 100) -> list[ThreadInfo]:
        """Return our conversations, the latest first."""
        return await self._threads.list(most)

    async def thread(self, thread: ThreadId | str) -> Conversation:
        """Return a conversation, read to its end.

        Raises:
            NotReadable: there is none, or this device has no account in it.
            Unsafe: its log does not hold.
        """
        async with self._lock:
            room = await self._threads.room(thread)
            await room.read()
            await self._core.save()
        return Conversation(self, room)

    async def open_thread(
        self,
        members: Sequence[AccountInfo],
        as_account: AccountId | None = None,
        guardians: Sequence[AccountId] = (),
    ) -> Conversation:
        """Open a conversation; see `Threads.open`.

        Args:
            members: who else.
            as_account: an account of ours to open it with: a child's, a team's; None is our own.
            guardians: who of the members acts for the patient.
        """
        async with self._lock:
            own = self._core.acting(as_account)
            viewer = await self._core.relay.viewer()
            kinds = {info.id: info.kind for info in viewer.accounts}
            room = await self._threads.open(
                members, own, kinds.get(own.id, "PERSON"), guardians=guardians
            )
        return Conversation(self, room)

    async def beat(self) -> None:
        """Answer, by an empty receipt, what was read a day ago and not answered.

        Whoever follows does so by itself; other programs that run for days call it each hour.
        """
        async with self._lock:
            await self._threads.beat()

    # --- following

    async def follow(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, for as long as somebody asks.

        A server's event is a hint: the thread is read on by its own cursor, and verified, before
        anything is told. After each reconnect everything that was open is read again.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._core.listeners.add(queue)
        task = asyncio.create_task(self._pump(queue))
        beating = asyncio.create_task(self._beat_on())
        try:
            while True:
                getting = asyncio.ensure_future(queue.get())
                done, _ = await asyncio.wait({getting, task}, return_when=asyncio.FIRST_COMPLETED)
                if getting in done:
                    yield getting.result()
                    continue
                getting.cancel()
                task.result()
                return
        finally:
            self._core.listeners.discard(queue)
            for each in (task, beating):
                each.cancel()
                with suppress(asyncio.CancelledError, ClientError):
                    await each

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await self.beat()

    async def _pump(self, queue: asyncio.Queue[Event]) -> None:
        async with aclosing(self._core.relay.follow()) as told:
            async for each in told:
                if isinstance(each, Lost):
                    queue.put_nowait(Disconnected())
                    continue
                with suppress(Unreachable):
                    await self._take(each, queue)

    async def _take(self, told: Told, queue: asyncio.Queue[Event]) -> None:
        kind = told.shape.get("__typename")
        if kind == "CaughtUp":
            await self._read_again()
            await self.beat()
            queue.put_nowait(Connected())
        elif kind in ("MessageReceived", "MessageErased", "ThreadLogGrown"):
            id_, _ = thread_of(told.shape)
            async with self._lock:
                await self._hint(id_, told if kind == "MessageErased" else None)
                await self._core.save()

    async def _hint(self, id_: ThreadId, erased: Told | None) -> None:
        try:
            room = await self._threads.room(id_)
            await room.read()
            if erased is not None:
                await room.take(relayed(erased.shape["message"]))
        except (NotReadable, NotFound):
            return  # of an account that this device does not act as
        except ClientError:
            pass  # its alarm was told
        room.changed()

    async def _read_again(self) -> None:
        async with self._lock:
            with suppress(ClientError):  # its alarm was told
                await self._directory.look([])  # our own devices, whatever is open
            for room in self._threads.open_rooms:
                with suppress(ClientError):
                    if await room.read():
                        room.changed()
            await self._core.save()


class Conversation:
    """A thread that was read: what it says, and what can be done in it."""

    def __init__(self, messenger: Messenger, room: Room) -> None:
        self._messenger, self._room = messenger, room
        self._core, self._threads = messenger._core, messenger._threads
        self._files, self._lock = messenger._files, messenger._lock

    # --- what it says

    @property
    def id(self) -> ThreadId:
        """The thread's id."""
        return self._room.id

    @property
    def account(self) -> AccountId:
        """Which of our accounts we are in it."""
        return self._room.view.own

    @property
    def is_open(self) -> bool:
        """Whether something can be written."""
        return not self._room.view.thread.is_closed and not self._room.view.is_frozen

    @property
    def members(self) -> Sequence[AccountId]:
        """Who is in it, as its verified log says."""
        return self._room.members

    def role(self, account: AccountId) -> Role:
        """Return what a member is."""
        return self._room.view.thread.member(account).role

    @property
    def messages(self) -> list[Message]:
        """What it says, in everybody's order."""
        return self._room.messages()

    def message(self, name: str) -> Message:
        """Return a message by its number (`5` or `#5`), or by eight or more digits of its id.

        Raises:
            NotReadable: there is none, or more than one.
        """
        return self._room.message(name)

    @property
    def title(self) -> str:
        """Who else is in it."""
        others = [m for m in self.members if m != self.account]
        return ", ".join(self._messenger.name(m) for m in others) or "nobody else"

    async def read(self) -> list[Message]:
        """Read on to the end, and return what the thread says."""
        async with self._lock:
            await self._room.read()
            await self._core.save()
        return self.messages

    # --- writing

    async def send(self, text: str, expires_at: int = 0) -> int:
        """Send words; return the message's number.

        Args:
            text: the words, up to 48 KiB.
            expires_at: from when nobody is to read it, in milliseconds since 1970; 0 for never.
        """
        if not text.strip():
            raise UserMistake("There is nothing to send.")
        return await self._send(Text(text), expires_at)

    async def edit(self, message: Message, text: str) -> int:
        """Replace the words of a message of ours; everybody sees that they were."""
        self._check_own(message)
        if message.is_retracted:
            raise UserMistake("It was taken back: send a new message.")
        if not text.strip() and not message.files:
            raise UserMistake("A message without words: take it back instead.")
        return await self._send(Edit(message.id, text))

    async def retract(
        self, message: Message, reason: RetractionReason = RetractionReason.MISTAKE
    ) -> None:
        """Take a message of ours back, and have the server erase its body and files."""
        self._check_own(message)
        await self._send(Retraction(message.id, reason))
        await self.erase(message)

    async def erase(self, message: Message) -> None:
        """Have the server erase a message's body and files; where it stood stays provable."""
        relayed_message = self._room.relayed.get(message.number)
        if relayed_message is None:
            raise NotReadable("The server does not have the message.")
        await self._core.relay.erase(relayed_message.node_id)

    async def acknowledge(self, message: Message, verdict: Verdict, note: str = "") -> int:
        """Say something clinical of a message, as a professional's signed act."""
        return await self._send(Acknowledgement(message.id, verdict, note))

    async def mark_read(self, *, tell: bool = True) -> None:
        """Note that all was read; with ``tell``, the members are told which messages were."""
        async with self._lock:
            newest = max(self._room.relayed, default=0)
            await self._core.relay.mark_read(self.id, newest)
        if tell and self._owes_receipt():
            seen = [Seen(device, number) for device, number in self._room.view.seen() if number]
            others = [each for each in seen if each.device != self._room.own.device.id]
            await self._send(Receipt(tuple(others)))

    def _owes_receipt(self) -> bool:
        """Whether something of others came that we have not said to have read."""
        told = self._room.marks.seen.get(self.account, {})
        return any(
            message.author != self.account
            and told.get(message.device, 0) < self._room.view.shown[message.id].header.sequence
            for message in self.messages
        )

    async def complain(self) -> None:
        """Tell the members of keys that we did not get, under one that all get."""
        if self._room.bad_wraps and not self._room.has_newest_key:
            async with self._lock:
                await self._threads.rotate(self._room)
        for digest in self._room.bad_wraps:
            await self._send(Complaint(ComplaintAbout.WRAP, digest))
            self._room.complained(digest)

    async def _send(self, content: Content, expires_at: int = 0, blobs: Sequence[str] = ()) -> int:
        async with self._lock:
            return await self._threads.send(self._room, content, expires_at, blobs)

    def _check_own(self, message: Message) -> None:
        if message.author != self.account:
            raise UserMistake("Only whoever wrote a message can change it.")

    # --- files

    async def attach(
        self,
        path: Path,
        text: str = "",
        mime: str | None = None,
        progress: Progress = no_progress,
        expires_at: int = 0,
    ) -> int:
        """Send a file; return the message's number. See `Attachments.upload_file`."""
        blob, manifest = await self._files.upload_file(path, mime, progress)
        return await self._send_files(text, [(blob, manifest)], expires_at)

    async def attach_document(
        self, document_id: str, text: str = "", progress: Progress = no_progress
    ) -> int:
        """Send a document of the record; return the message's number."""
        blob, manifest = await self._files.upload_document(document_id, progress)
        return await self._send_files(text, [(blob, manifest)])

    async def _send_files(
        self, text: str, files: Sequence[tuple[str, Manifest]], expires_at: int = 0
    ) -> int:
        content = Files(text, tuple(manifest for _, manifest in files))
        return await self._send(content, expires_at, [blob for blob, _ in files])

    async def save(
        self,
        message: Message,
        folder: Path,
        index: int = 0,
        progress: Progress = no_progress,
    ) -> Path:
        """Save a file of a message; see `Attachments.save`."""
        return await self._files.save(self._room, message, index, folder, progress)

    async def save_into_record(
        self,
        message: Message,
        record_id: str,
        category: str,
        title: str | None = None,
        index: int = 0,
        progress: Progress = no_progress,
    ) -> str:
        """Put a file of a message into a record; see `Attachments.save_into_record`."""
        return await self._files.save_into_record(
            self._room, message, index, record_id, category, title, progress
        )

    # --- members

    async def add(
        self, account: AccountId, role: Role = Role.MEMBER, *, with_history: bool = True
    ) -> None:
        """Add somebody."""
        async with self._lock:
            await self._threads.add(self._room, account, role, with_history=with_history)

    async def remove(self, account: AccountId) -> None:
        """Remove somebody."""
        async with self._lock:
            await self._threads.remove(self._room, account)

    async def trust_last_change(self) -> None:
        """Take the user's word that who is in it is right.

        It is asked for where the last change was made by a device that was revoked since, and
        nobody has written since then who knew of it.
        """
        async with self._lock:
            self._room.trust_last_change()
            await self._core.save()

    async def leave(self) -> None:
        """Leave."""
        async with self._lock:
            await self._threads.leave(self._room)

    async def close(self) -> None:
        """End the exchanges."""
        async with self._lock:
            await self._threads.close(self._room)
