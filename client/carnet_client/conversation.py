"""A thread that was read: what it says, and what can be done in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carnet_client.attachments import Attachments, Progress, no_progress
from carnet_client.core import Core
from carnet_client.errors import NotReadable, UserMistake
from carnet_client.messages import Message
from carnet_client.room import Room
from carnet_client.threads import Threads
from carnet_crypto.kinds import Role
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
from carnet_crypto.values import AccountId, ThreadId


class Conversation:
    """See the module. `Messenger.thread` and `Messenger.open_thread` give one."""

    def __init__(self, core: Core, threads: Threads, files: Attachments, room: Room) -> None:
        self._core, self._threads, self._files, self._room = core, threads, files, room

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
        return ", ".join(self._core.name(m) for m in others) or "nobody else"

    async def read(self) -> list[Message]:
        """Read on to the end, and return what the thread says."""
        async with self._core.lock:
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
        async with self._core.lock:
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
        if self._room.wraps.bad and not self._room.has_newest_key:
            async with self._core.lock:
                await self._threads.rotate(self._room)
        for digest in self._room.wraps.bad:
            await self._send(Complaint(ComplaintAbout.WRAP, digest))
            self._room.wraps.complained(digest)

    async def _send(self, content: Content, expires_at: int = 0, blobs: Sequence[str] = ()) -> int:
        async with self._core.lock:
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
        async with self._core.lock:
            await self._threads.add(self._room, account, role, with_history=with_history)

    async def remove(self, account: AccountId) -> None:
        """Remove somebody."""
        async with self._core.lock:
            await self._threads.remove(self._room, account)

    async def trust_last_change(self) -> None:
        """Take the user's word that who is in it is right.

        It is asked for where the last change was made by a device that was revoked since, and
        nobody has written since then who knew of it.
        """
        async with self._core.lock:
            self._room.trust_last_change()
            await self._core.save()

    async def leave(self) -> None:
        """Leave."""
        async with self._core.lock:
            await self._threads.leave(self._room)

    async def close(self) -> None:
        """End the exchanges."""
        async with self._core.lock:
            await self._threads.close(self._room)
