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
from carnet_client.answers import AccountInfo, ThreadInfo
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import (
    ClientError,
    NotReadable,
    RotationDue,
    StaleControlHead,
    StaleSequence,
    UserMistake,
)
from carnet_client.events import RolledBack
from carnet_client.outbox import Outbox
from carnet_client.refusing import refused
from carnet_client.room import Room
from carnet_client.state import OwnAccount, Unsent
from carnet_crypto.account import Account
from carnet_crypto.control_bodies import Added, Policy
from carnet_crypto.encoding import to_base64url
from carnet_crypto.errors import Malformed, ProtocolError, Reason, Refused
from carnet_crypto.kinds import History, RemovalReason, Role, Roles
from carnet_crypto.secret import conversation
from carnet_crypto.secret.content import Content, Receipt
from carnet_crypto.secret.conversation import Writer, Written
from carnet_crypto.secret.messages import seal
from carnet_crypto.values import AccountId, Digest, ThreadId

POLICY = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 0)
ATTEMPTS = 6  # at one message or entry, while others write meanwhile


class Threads:
    """See the module."""

    def __init__(self, core: Core, directory: Directory, accounts: Accounts) -> None:
        self._core, self._directory, self._accounts = core, directory, accounts
        self._outbox = Outbox(core)
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
            thread: its id, or the beginning of it in hexadecimal, or all of it in base64url
                (as the server writes it; it may begin like an option, which a hexadecimal cannot).

        Raises:
            NotReadable: there is none, or more than one begins so.
        """
        if isinstance(thread, ThreadId) and thread in self._rooms:
            return self._rooms[thread]
        wanted = thread if isinstance(thread, str) else bytes(thread).hex()
        prefix = wanted.lower()
        infos = await self.list(1000)
        found = [
            info
            for info in infos
            if wanted == to_base64url(info.id) or bytes(info.id).hex().startswith(prefix)
        ]
        if not wanted or len(found) != 1:
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
        return [room for room in self._rooms.values() if room.is_read]

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
        for member in members:
            await self._directory.check_binding(member)
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
        await self._core.save()  # what it stands upon is not forgotten, whatever happens
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

        await self._append(room, make, is_leaving=True)

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
        self, room: Room, make: Callable[[], Awaitable[Written]], *, is_leaving: bool = False
    ) -> None:
        for _ in range(ATTEMPTS):
            await room.read()
            await self._accounts.freshen(room.own)
            await self._directory.look(room.members)
            self._check(room.own, room.members)
            room.check_writable(is_leaving=is_leaving)
            head = room.view.thread.head
            try:
                written = await make()
            except ProtocolError as error:
                raise refused(error) from None
            await self._core.save()  # what it stands upon is not forgotten, whatever happens
            try:
                await self._core.relay.append_control(
                    room.id, written.entry, written.wraps, written.history
                )
            except StaleControlHead:
                await self._read_past(room, head)
                continue
            if not is_leaving:
                await room.read_log()
            await self._core.save()
            return
        raise UserMistake("The conversation changes too fast: try again.")

    async def _read_past(self, room: Room, head: Digest) -> None:
        """Read what is said to have come; who only says so gets no other entry in its place.

        Raises:
            Unsafe: nothing has come.
        """
        await room.read()
        if room.view.thread.head == head:
            raise self._core.unsafe(RolledBack(room.id))

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
        must_rotate = False  # as the relay says: its clock may be ahead of ours
        for _ in range(ATTEMPTS):
            await room.read()
            await self._outbox.flush(room)
            await self._accounts.freshen(room.own)
            await self._directory.look(room.members)
            self._check(room.own, room.members)
            room.check_writable()
            self._check_delegates(room)
            try:
                if must_rotate or self._is_rotation_due(room):
                    await self.rotate(room)
                self._seal(room, content, expires_at, blobs)
            except Malformed as error:
                raise UserMistake(f"It cannot be sent: {error}.") from None
            except ProtocolError as error:
                raise refused(error) from None
            head = room.view.thread.head
            try:
                await self._core.save()  # before anybody hears of it
            except BaseException:
                room.memory.unsent = None  # and nobody has
                raise
            try:
                number = await self._outbox.hand_in(room)
            except StaleControlHead:
                await self._read_past(room, head)
                continue
            except RotationDue:
                must_rotate = True
                continue
            except StaleSequence:
                continue
            await room.read()
            await self._core.save()
            return number
        raise UserMistake("The conversation changes too fast: try again.")

    async def beat(self) -> None:
        """Answer, by an empty receipt, what was read a day ago and not answered.

        Nothing else shows the members a relay that keeps back what came last.
        """
        for room in self.open_rooms:
            with suppress(ClientError):  # its alarm was told, or we do not write there
                if room.owes_heartbeat():
                    await self.send(room, Receipt(()))

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

    def _is_rotation_due(self, room: Room) -> bool:
        view = room.view
        accounts, at = self._directory.accounts, self._core.clock()
        return view.thread.rotation_due(accounts, at, view.messages_in_epoch)

    def _check(self, own: OwnAccount, members: Sequence[AccountId]) -> None:
        self._directory.check_fresh()
        if self._directory.accounts[own.id].is_closed:
            raise UserMistake("This account of yours is closed.")
        self._directory.check_devices(own.id)
        self._directory.check_members(members)

    def _check_delegates(self, room: Room) -> None:
        """Refuse to say anything where somebody lets others read, and the thread forbids it."""
        at = self._core.clock()
        if room.view.thread.policy.is_delegation_allowed:
            return
        for id_ in room.members:
            given = self._directory.accounts[id_].delegations.values()
            if any(at <= delegation.not_after for delegation in given):
                raise refused(Refused(Reason.DELEGATION_FORBIDDEN))

    def _writer(self, own: OwnAccount) -> Writer:
        return Writer(
            self._directory.accounts[own.id],
            own.device,
            self._directory.checkpoint,
            self._core.clock(),
            self._core.entropy,
        )
