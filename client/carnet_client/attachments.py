"""Files of messages: sealed and opened as they pass, a piece at a time, whatever their size.

Nothing of a file has a name on the disk, or is handed to the record, before all of it is verified.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from carnet_client import operations
from carnet_client.core import Core
from carnet_client.errors import NotReadable, Unreachable, UserMistake
from carnet_client.files import pieces_of, replacing
from carnet_client.messages import Message
from carnet_client.room import Room
from carnet_crypto.errors import Malformed, OpenFailed
from carnet_crypto.secret.attachments import FileFacts, Opener, Sealer, sealed_length
from carnet_crypto.secret.content import MOST_NAME, Manifest
from carnet_crypto.secret.filenames import safe_name

PIECE = 1024 * 1024  # bytes sealed at once: bounds memory whatever the file's size
UPLOADS = 3  # attempts at one file; each begins anew, under another key
MOST_COPIES = 1000  # files of one name in one folder

Progress = Callable[[int, int], None]
"""Told of bytes done, and of how many there are."""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


class Attachments:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # --- sending

    async def upload_file(
        self, path: Path, mime: str | None = None, progress: Progress = no_progress
    ) -> tuple[str, Manifest]:
        """Seal a file and upload it; return the blob's id, and what the message says of it.

        Raises:
            OSError: the file cannot be read.
            UserMistake: it changed while it was read.
            ServerRefusal: the server takes no such file.
            Unreachable: the server does not answer, after several attempts.
        """
        length = (await asyncio.to_thread(path.stat)).st_size
        mime = mime or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        for attempt in range(UPLOADS):
            try:
                pieces = pieces_of(path, PIECE)
                return await self._upload(pieces, length, path.name, mime, progress)
            except Unreachable:
                if attempt + 1 == UPLOADS:
                    raise
        raise Unreachable("The server does not answer.")

    async def upload_document(
        self, document_id: str, progress: Progress = no_progress
    ) -> tuple[str, Manifest]:
        """Seal a document of the record as it is read, and upload it.

        Raises:
            NotFound: there is no such document, or it is not ours to see.
            Unreachable: the server does not answer.
        """
        answer = await self._core.relay.connection.query(operations.DOCUMENT, id=document_id)
        shape = answer["node"]
        original = next((part for part in (shape or {}).get("contents", ())), None)
        if original is None:
            raise NotReadable("There is no such document.")
        async with self._core.relay.connection.download(original["url"]) as pieces:
            return await self._upload(
                pieces,
                int(original["sizeBytes"]),
                original["fileName"],
                original["mediaType"],
                progress,
            )

    async def _upload(
        self,
        pieces: AsyncIterator[bytes],
        length: int,
        name: str,
        mime: str,
        progress: Progress,
    ) -> tuple[str, Manifest]:
        made: list[Manifest] = []
        facts = FileFacts(_named(name), mime[:200], self._core.clock())
        try:
            sealer = Sealer(length, self._core.entropy)
            sealed = _sealed(sealer, pieces, facts, made, length, progress)
            async with aclosing(sealed) as body:
                blob = await self._core.relay.connection.upload(body, sealed_length(length))
        except Malformed as error:
            raise UserMistake(f"The file changed while it was read: {error}.") from None
        return blob, made[0]

    # --- saving

    async def save(
        self,
        room: Room,
        message: Message,
        index: int,
        folder: Path,
        progress: Progress = no_progress,
    ) -> Path:
        """Save a file of a message under a name that is free in a folder; return its path.

        Raises:
            NotReadable: it does not open, or is not what its author sent: nothing is saved.
            NotFound: the relay has it no more.
            OSError: the folder is not ours to write to, or full.
        """
        manifest, url = _file(room, message, index)
        name = safe_name(manifest.name)
        for path in _names(folder, name):
            try:
                with replacing(path, may_replace=False) as file:
                    async with aclosing(self._opened(manifest, url, progress)) as pieces:
                        async for piece in pieces:
                            await asyncio.to_thread(file.write, piece)
                return path
            except FileExistsError:
                continue
        raise UserMistake("There are too many files of that name in that folder.")

    async def save_into_record(
        self,
        room: Room,
        message: Message,
        index: int,
        record_id: str,
        category: str,
        title: str | None = None,
        progress: Progress = no_progress,
    ) -> str:
        """Put a file of a message into a record; return the new document's id.

        From then on the server can read it, like every document of the record. The last piece is
        handed over only once the whole file is verified, so a forged one never becomes a document.

        Raises:
            NotReadable: it does not open, or is not what its author sent: nothing is kept.
            ServerRefusal: the record takes no such document.
        """
        manifest, url = _file(room, message, index)
        relay = self._core.relay
        async with aclosing(_held_back(self._opened(manifest, url, progress))) as pieces:
            blob = await relay.connection.upload(
                pieces, manifest.plain_bytes, manifest.mime or None
            )
        description: dict[str, Any] = {
            "title": title or Path(safe_name(manifest.name)).stem,
            "category": category,
        }
        inputs = {"recordId": record_id, "blobId": blob, "description": description}
        answer = await relay.connection.mutate(operations.ADD_DOCUMENT, inputs)
        return str(answer["document"]["id"])

    async def _opened(
        self, manifest: Manifest, url: str, progress: Progress
    ) -> AsyncGenerator[bytes, None]:
        """Yield a file; only when it ends without an error was it what its author sent."""
        done = 0
        try:
            opener = Opener(manifest)
            async with self._core.relay.connection.download(url) as pieces:
                async for sealed in pieces:
                    plain = await asyncio.to_thread(opener.push, sealed)
                    done += len(plain)
                    progress(done, manifest.plain_bytes)
                    if plain:
                        yield plain
            opener.finish()
        except OpenFailed:
            raise NotReadable("The file is not what its author sent: nothing was saved.") from None


async def _sealed(
    sealer: Sealer,
    pieces: AsyncIterator[bytes],
    facts: FileFacts,
    made: list[Manifest],
    length: int,
    progress: Progress,
) -> AsyncGenerator[bytes, None]:
    yield sealer.begin
    done = 0
    async for piece in pieces:
        sealed = await asyncio.to_thread(sealer.push, piece)
        if sealed:
            yield sealed
        done += len(piece)
        progress(done, length)
    padding = sealer.pad()
    while (more := await asyncio.to_thread(_next, padding)) is not None:
        if more:
            yield more
    rest, manifest = await asyncio.to_thread(sealer.finish, facts)
    made.append(manifest)
    if rest:
        yield rest
    progress(length, length)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


async def _held_back(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield pieces, each once the next has come, and the last once all is well."""
    held: bytes | None = None
    async with aclosing(pieces) as source:
        async for piece in source:
            if held is not None:
                yield held
            held = piece
    if held is not None:
        yield held


def _file(room: Room, message: Message, index: int) -> tuple[Manifest, str]:
    relayed = room.relayed.get(message.number)
    if not 0 <= index < len(message.files):
        raise NotReadable("The message has no such file.")
    if relayed is None or index >= len(relayed.attachments):
        raise NotReadable("The server does not have the file any more.")
    return message.files[index], relayed.attachments[index]


def _named(name: str) -> str:
    """Return a name that fits into a message; how it is saved is for whoever saves it to say."""
    plain = "".join(c for c in name if c != "\0").encode("utf-8", "replace")
    return plain[:MOST_NAME].decode(errors="ignore")


def _names(folder: Path, name: str) -> list[Path]:
    """Return paths to try, the plain one first."""
    path = folder / name
    copies = (f"{path.stem} ({number}){path.suffix}" for number in range(2, MOST_COPIES))
    return [path, *(folder / copy for copy in copies)]
