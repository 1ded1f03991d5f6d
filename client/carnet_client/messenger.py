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

from collections.abc import AsyncGenerator, Callable, Sequence
from types import TracebackType
from typing import Self

from carnet_client.accounts import Accounts, Enrolment, Owner
from carnet_client.answers import AccountInfo, ThreadInfo, Viewer
from carnet_client.attachments import Attachments
from carnet_client.connection import Connection
from carnet_client.conversation import Conversation
from carnet_client.core import Core, now_ms
from carnet_client.directory import Directory
from carnet_client.errors import UserMistake
from carnet_client.events import Alarm, Event
from carnet_client.inbox import Inbox
from carnet_client.keystore import KeyStore
from carnet_client.pairing import Admitting, Joining
from carnet_client.relay import Relay
from carnet_client.threads import Threads
from carnet_crypto.device import Device
from carnet_crypto.kinds import RevocationReason
from carnet_crypto.values import AccountId, DeviceId, ThreadId


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
        self._inbox = Inbox(self._core, self._directory, self._threads)

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
        async with self._core.lock:
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
        async with self._core.lock:
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
        async with self._core.lock:
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
        async with self._core.lock:
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
        async with self._core.lock:
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
        return self._core.name(account)

    async def safety_number(self, account: AccountId) -> str:
        """Return the sixty digits to compare with somebody: by voice, or at the desk."""
        async with self._core.lock:
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
        async with self._core.lock:
            room = await self._threads.room(thread)
            await room.read()
            await self._core.save()
        return Conversation(self._core, self._threads, self._files, room)

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
        async with self._core.lock:
            own = self._core.acting(as_account)
            viewer = await self._core.relay.viewer()
            kinds = {info.id: info.kind for info in viewer.accounts}
            room = await self._threads.open(
                members, own, kinds.get(own.id, "PERSON"), guardians=guardians
            )
        return Conversation(self._core, self._threads, self._files, room)

    async def beat(self) -> None:
        """Answer, by an empty receipt, what was read a day ago and not answered.

        Whoever follows does so by itself; other programs that run for days call it each hour.
        """
        await self._inbox.beat()

    # --- following

    def follow(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, for as long as somebody asks; see `Inbox.follow`."""
        return self._inbox.follow()
