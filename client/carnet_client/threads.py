"""Conversations: opening them, reading them, and writing in them.

Whoever writes reads on first, begins a new epoch where one is due, and seals for members whose
chains were just read. A message that was sealed is kept until the relay has it: after a cut or a
crash the same one is sent again, and never another one in its place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from carnet_client.accounts import Accounts
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import (
    ClientError,
    NotReadable,
    RotationDue,
    ServerRefusal,
    StaleControlHead,
    StaleSequence,
    UserMistake,
)
from carnet_client.relay import AccountInfo, ThreadInfo
from carnet_client.room import Room
from carnet_client.state import OwnAccount, Unsent
from carnet_crypto.account import Account
from carnet_crypto.control import Added, History, Policy, RemovalReason, Role, Roles
from carnet_crypto.encoding import to_base64url
from carnet_crypto.errors import Malformed, ProtocolError, Reason, Refused
from carnet_crypto.secret import conversation
from carnet_crypto.secret.content import Content
from carnet_crypto.secret.conversation import Writer, Written
from carnet_crypto.secret.messages import seal
from carnet_crypto.values import AccountId, ThreadId

POLICY = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 0)
ATTEMPTS = 6  # at one message or entry, while others write meanwhile
_REFUSED = {
    Reason.SPLIT_VIEW: "This conversation is frozen: its members do not see the same.",
    Reason.CLOSED: "This conversation is closed.",
    Reason.NOT_AUTHORIZED: "You do not write in this conversation.",
    Reason.UNKNOWN_MEMBER: "You are not in this conversation.",
    Reason.REVOKED_DEVICE: "Its last change was made by a device that was revoked since.",
    Reason.WRONG_GENERATION: "Somebody in it has no key to write to.",
    Reason.ROTATION_DUE: "Somebody in it has to renew their key first.",
    Reason.DELEGATION_FORBIDDEN: "Somebody in it lets others read, which it does not allow.",
    Reason.WRONG_EPOCH: "You have no key of what was written before.",
}


class Threads:
    """See the module."""

    def __init__(self, core: Core, directory: Directory, accounts: Accounts) -> None:
        self._core, self._directory, self._accounts = core, directory, accounts
        self._rooms: dict[ThreadId, Room] = {}

    # --- finding

    async def list(self, most: int = 100) -> list[ThreadInfo]:
        """Return our threads, the latest first, as the server lists them."""
        found = await self._core.relay.threads(most)
        for info in found:
            for member in info.members:
                if member.name:
                    self._core.state.names[member.id] = member.name
            if info.id in self._rooms:
                self._rooms[info.id].info = info
        return found

    async def room(self, thread: ThreadId | str) -> Room:
        """Return a thread, not read yet where it is new to us.

        Args:
            thread: its id, or the beginning of it in base64url.

        Raises:
            NotReadable: there is none, or more than one begins so.
        """
        if isinstance(thread, ThreadId) and thread in self._rooms:
            return self._rooms[thread]
        wanted = thread if isinstance(thread, str) else to_base64url(thread)
        infos = await self.list(1000)
        found = [info for info in infos if wanted and to_base64url(info.id).startswith(wanted)]
        if len(found) != 1:
            raise NotReadable("There is no such conversation.")
        return self.at(found[0])

    def at(self, info: ThreadInfo) -> Room:
        """Return the thread that the server lists."""
        if info.id not in self._rooms:
            self._rooms[info.id] = Room(self._core, self._directory, info)
        return self._rooms[info.id]

    @property
    def open_rooms(self) -> Sequence[Room]:
        """Threads that have been read in this run."""
        return [room for room in self._rooms.values() if room.memory.account is not None]

    # --- opening and changing

    async def open(
        self,
        members: Sequence[AccountInfo],
        own: OwnAccount,
        own_kind: str,
        policy: Policy = POLICY,
        guardians: Sequence[AccountId] = (),
    ) -> Room:
        """Open a thread, as its manager.

        Args:
            members: who else.
            own: who opens it.
            own_kind: what the server says that account is.
            policy: what holds in it.
            guardians: who of the members acts for the patient.

        Raises:
            NotAllowedToOpen: the rules refuse such a thread.
            Unsafe: somebody's keys do not hold, or the directory is out of date.
        """
        await self._accounts.freshen(own)
        ids = [member.id for member in members]
        await self._directory.look([own.id, *ids])
        self._check(own, ids)
        is_patient = own_kind == "PERSON"
        joined = [(self._directory.accounts[own.id], Role.MANAGER)]
        for member in members:
            role = Role.GUARDIAN if member.id in guardians else Role.MEMBER
            # Only professionals may end the exchanges; where a patient opens, one of them can.
            if is_patient and member.kind != "PERSON":
                role = Role.MANAGER
            joined.append((self._directory.accounts[member.id], role))
        try:
            written = conversation.create(self._writer(own), policy, joined)
        except ProtocolError as error:
            raise refused(error) from None
        node_id = await self._core.relay.open_thread(written.entry, written.wraps)
        infos = {info.node_id: info for info in await self._core.relay.threads()}
        if node_id not in infos:
            raise NotReadable("The server does not show the new conversation.")
        room = self.at(infos[node_id])
        await room.read()
        await self._core.save()
        return room

    async def add(
        self, room: Room, member: AccountId, role: Role = Role.MEMBER, *, with_history: bool = True
    ) -> None:
        """Add somebody to a thread; with history, they read what was written before."""

        async def make() -> Written:
            await self._directory.look([member, *room.members])
            first = room.view.thread.epoch.number + 1
            added = Added(member, role, 1 if with_history else first)
            return conversation.add(
                self._writer(room.own),
                room.view.thread,
                self._directory.accounts,
                [added],
                room.view.secrets,
            )

        await self._append(room, make)

    async def remove(self, room: Room, member: AccountId) -> None:
        """Remove somebody; what is written from then on they cannot read."""

        async def make() -> Written:
            return conversation.remove(
                self._writer(room.own),
                room.view.thread,
                await self._members(room),
                member,
                RemovalReason.OTHER,
            )

        await self._append(room, make)

    async def leave(self, room: Room) -> None:
        """Leave a thread."""

        async def make() -> Written:
            return conversation.leave(self._writer(room.own), room.view.thread)

        await self._append(room, make, is_last=True)

    async def close(self, room: Room) -> None:
        """End the exchanges of a thread; only who manages it may."""

        async def make() -> Written:
            return conversation.close(self._writer(room.own), room.view.thread)

        await self._append(room, make)

    async def rotate(self, room: Room) -> None:
        """Begin a new epoch with the same members."""

        async def make() -> Written:
            return conversation.rotate(
                self._writer(room.own), room.view.thread, await self._members(room)
            )

        await self._append(room, make)

    async def _append(
        self, room: Room, make: Callable[[], Awaitable[Written]], *, is_last: bool = False
    ) -> None:
        for _ in range(ATTEMPTS):
            await room.read()
            await self._accounts.freshen(room.own)
            await self._directory.look(room.members)
            self._check(room.own, room.members)
            try:
                room.view.check_writable()
                written = await make()
            except ProtocolError as error:
                raise refused(error) from None
            try:
                await self._core.relay.append_control(
                    room.id, written.entry, written.wraps, written.history
                )
            except StaleControlHead:
                continue
            if not is_last:
                await room.read_log()
            await self._core.save()
            return
        raise UserMistake("The conversation changes too fast: try again.")

    async def _members(self, room: Room) -> dict[AccountId, Account]:
        await self._directory.look(room.members)
        return {id_: self._directory.accounts[id_] for id_ in room.members}

    # --- writing

    async def send(
        self, room: Room, content: Content, expires_at: int = 0, blobs: Sequence[str] = ()
    ) -> int:
        """Send a message; return the relay's number of it.

        Args:
            room: where.
            content: what it says.
            expires_at: from when nobody is to read it, in milliseconds since 1970; 0 for never.
            blobs: ids of its sealed files.

        Raises:
            ThreadClosed, QuotaExceeded, AccessDenied…: the server refuses it; nothing was sent.
            Unsafe: something is wrong in the thread, or with somebody's keys.
            Unreachable: it may have arrived or not; `flush` sends it once more.
            UserMistake: it cannot be written here.
        """
        for _ in range(ATTEMPTS):
            await room.read()
            await self.flush(room)
            await self._accounts.freshen(room.own)
            await self._directory.look(room.members)
            self._check(room.own, room.members)
            try:
                if self._is_rotation_due(room):
                    await self.rotate(room)
                self._seal(room, content, expires_at, blobs)
            except Malformed as error:
                raise UserMistake(f"It cannot be sent: {error}.") from None
            except ProtocolError as error:
                raise refused(error) from None
            await self._core.save()  # before anybody hears of it
            try:
                number = await self._hand_in(room)
            except (StaleControlHead, StaleSequence, RotationDue):
                continue
            await room.read()
            await self._core.save()
            return number
        raise UserMistake("The conversation changes too fast: try again.")

    async def flush(self, room: Room) -> None:
        """Send what was sealed and may not have arrived, as it was sealed."""
        if room.memory.unsent is None:
            return
        with suppress(ServerRefusal):  # it never arrived, and what follows says why it cannot
            await self._hand_in(room)
        await self._core.save()

    def _seal(self, room: Room, content: Content, expires_at: int, blobs: Sequence[str]) -> None:
        own, view = room.own, room.view
        draft = view.draft(own.device.id, content, self._directory.checkpoint, self._core.clock())
        secret = view.secrets.get(draft.epoch)
        if secret is None:
            raise Refused(Reason.WRONG_EPOCH)
        draft = replace(draft, expires_at=expires_at)
        envelope, id_ = seal(draft, secret, own.device, self._core.entropy)
        room.memory.unsent = Unsent(
            str(uuid4()), envelope, draft.sequence, id_, tuple(blobs), expires_at
        )

    async def _hand_in(self, room: Room) -> int:
        unsent, own = room.memory.unsent, room.own
        if unsent is None:
            raise UserMistake("There is nothing to send.")
        try:
            number = await self._core.relay.send(
                unsent.envelope,
                own.id,
                own.device.id,
                unsent.sequence,
                unsent.blobs,
                unsent.expires_at,
                unsent.key,
            )
        except ServerRefusal:
            room.memory.unsent = None  # it was not taken
            raise
        room.view.wrote(own.device.id, unsent.sequence, unsent.id)
        room.memory.written = (unsent.sequence, unsent.id)
        room.memory.unsent = None
        return number

    def _is_rotation_due(self, room: Room) -> bool:
        view = room.view
        accounts, at = self._directory.accounts, self._core.clock()
        return view.thread.rotation_due(accounts, at, view.messages_in_epoch)

    def _check(self, own: OwnAccount, members: Sequence[AccountId]) -> None:
        self._directory.check_fresh()
        self._directory.check_devices(own.id)
        self._directory.check_members(members)

    def _writer(self, own: OwnAccount) -> Writer:
        return Writer(
            self._directory.accounts[own.id],
            own.device,
            self._directory.checkpoint,
            self._core.clock(),
            self._core.entropy,
        )


def refused(error: ProtocolError) -> ClientError:
    """Return what people are told of something that the protocol refuses."""
    if isinstance(error, Refused):
        return UserMistake(_REFUSED.get(error.reason, f"That cannot be done: {error}."))
    return UserMistake(f"That cannot be done: {error}.")
