"""The blob store: contents of any size, encrypted each under its own key.

A blob is a row and, in the object store, its sealed bytes. The row decides: a blob is there once
its row says READY, and gone once the row is. An upload commits a PENDING row first, which it
keeps renewing, so bytes without a living row are nobody's and can be deleted whenever they are
found: `carnet.store.sweeping` does.

The key that opens a blob is in its row, wrapped; without the key-encryption key (see
`carnet.store.keys`) neither the database nor the object store nor both give anything away but
sizes, hashes and media types.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any, Self
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from carnet.errors import CarnetError, NotFound
from carnet.store.database import Database, Work
from carnet.store.keys import KeyProvider
from carnet.store.objects import Objects, path_of, prefix_of
from carnet.store.sealing import KEY_BYTES, Opener, Sealer, seal_whole
from carnet.store.streams import Streams
from carnet.store.tables import Blob, BlobState
from carnet.store.uploads import (
    PENDING_LIFE,
    UNCLAIMED_LIFE,
    Renewal,
    check_quota,
    claimable,
    complete,
)

SEALED_FILE = (
    b"CRNF\x01\x00\x00\x00"  # how a file begins that is sealed end to end: CRN1, section 9
)
PUTS_AT_ONCE = 8  # small contents being stored for one submission

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob whose bytes are all there."""

    id: UUID
    size_bytes: int
    sha256: bytes
    media_type: str
    expires_at: datetime
    kek_id: str
    wrapped_key: bytes = field(repr=False)

    @classmethod
    def of(cls, row: Blob) -> Self:
        """Return the row as a value.

        Raises:
            NotFound: its bytes are not all there.
        """
        if row.state is not BlobState.READY or row.size_bytes is None or row.sha256 is None:
            raise NotFound()
        return cls(
            row.id,
            row.size_bytes,
            row.sha256,
            row.media_type,
            row.expires_at,
            row.kek_id,
            row.wrapped_key,
        )


class BlobStore:
    """Takes contents in, gives them out and lets them go."""

    def __init__(self, objects: Objects, keys: KeyProvider) -> None:
        self.objects = objects
        self.keys = keys
        self.streams = Streams(objects)
        self._discarding: set[asyncio.Task[None]] = set()

    @classmethod
    def open(cls, url: str | None, data_dir: Path, keys: KeyProvider) -> Self:
        """Prepare the store; see `Objects.open`.

        Raises:
            UserMistake: the URL cannot be used, or the folder cannot be made.
        """
        return cls(Objects.open(url, data_dir), keys)

    async def receive(
        self,
        database: Database,
        owner: str,
        chunks: AsyncIterable[bytes],
        *,
        media_type: str,
        limit_bytes: int,
        expected_bytes: int | None = None,
    ) -> StoredBlob:
        """Store a stream as a blob that its owner can refer to for a day.

        It opens its own transactions, one before the first byte and one after the last. When it
        raises or is cancelled, nothing of the upload stays; when the process is killed, nothing
        of it is visible and the sweeper clears it up.

        Args:
            owner: from `carnet.people.actor.actor_key`.
            limit_bytes: the longest content taken.
            expected_bytes: how long the sender says it is; the quota counts on it, or on the
                limit when it is unknown.

        Raises:
            PayloadTooLarge: the stream is longer than the limit or than expected.
            QuotaExceeded: the owner has too much that nothing refers to.
            StorageFull: there is no room.
            ContentUnavailable: the store does not answer.
            NotFound: the upload stood still so long that it was swept.
        """
        if expected_bytes is not None:
            limit_bytes = min(limit_bytes, expected_bytes)
        key = token_bytes(KEY_BYTES)
        async with database.write() as work:
            blob_id = work.new_id()
            await self._reserve(work, owner, blob_id, media_type, limit_bytes, key)
        renewal = Renewal(database, blob_id)
        sealer = Sealer(key, blob_id)
        try:
            await self.streams.send(
                blob_id, sealer, chunks, limit_bytes=limit_bytes, on_progress=renewal
            )
            async with database.write() as work:
                return StoredBlob.of(await complete(work, blob_id, sealer))
        except BaseException:
            await self._discard(database, blob_id)
            raise

    async def put(self, work: Work, owner: str, data: bytes, media_type: str) -> StoredBlob:
        """Store bytes at hand as a blob that something in this transaction refers to.

        Raises:
            StorageFull, ContentUnavailable: the store does not take it.
        """
        return (await self.put_many(work, owner, [(data, media_type)]))[0]

    async def put_many(
        self, work: Work, owner: str, contents: Sequence[tuple[bytes, str]]
    ) -> list[StoredBlob]:
        """Store several contents, each with its media type; see `put`.

        Objects are written before the rows; if the transaction rolls back, they are nobody's and
        swept a day later.
        """
        if not contents:
            return []
        turns = asyncio.Semaphore(PUTS_AT_ONCE)

        async def store(data: bytes, media_type: str) -> StoredBlob:
            async with turns:
                return await self._put(work, data, media_type)

        tasks = [asyncio.create_task(store(*content)) for content in contents]
        try:
            stored = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            raise
        rows = [
            {
                **_values(blob),
                "owner": owner,
                "state": BlobState.READY,
                "created_at": work.now,
                "claimed_at": work.now,
            }
            for blob in stored
        ]
        await work.session.execute(insert(Blob), rows)
        return stored

    async def uploaded(self, work: Work, owner: str, blob_id: UUID) -> StoredBlob:
        """Return an upload that nothing refers to yet.

        Raises:
            NotFound: there is none, it is another's, expired, unfinished or referred to already.
        """
        row = await work.session.scalar(select(Blob).where(*claimable(work, owner, blob_id)))
        if row is None:
            raise NotFound()
        return StoredBlob.of(row)

    async def claim(self, work: Work, owner: str, blob_id: UUID) -> StoredBlob:
        """Take an upload for something that refers to it from now on; a blob is taken once.

        Raises:
            NotFound: as for `uploaded`.
        """
        statement = (
            update(Blob)
            .where(*claimable(work, owner, blob_id))
            .values(claimed_at=work.now)
            .returning(Blob)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        row = await work.session.scalar(statement)
        if row is None:
            raise NotFound()
        return StoredBlob.of(row)

    @staticmethod
    async def release(work: Work, blob_ids: Sequence[UUID]) -> None:
        """Let blobs go that nothing refers to any more; the sweeper deletes them for good.

        Delete what refers to them first: afterwards nobody can claim them again.
        """
        statement = (
            update(Blob)
            .where(Blob.id.in_(blob_ids))
            .values(claimed_at=None, expires_at=work.now)
            .execution_options(synchronize_session=False)
        )
        await work.session.execute(statement)

    @staticmethod
    async def destroy(work: Work, blob_ids: Sequence[UUID]) -> None:
        """Let blobs go and destroy their keys with it: nobody reads them again, files or not.

        What copies of the database hold is theirs: backups made before still have the keys.
        """
        await BlobStore.release(work, blob_ids)
        statement = (
            update(Blob)
            .where(Blob.id.in_(blob_ids))
            .values(wrapped_key=b"")
            .execution_options(synchronize_session=False)
        )
        await work.session.execute(statement)

    async def delete(self, work: Work, blob_id: UUID) -> None:
        """Let one blob go; see `release`."""
        await self.release(work, [blob_id])

    async def read(
        self, blob: StoredBlob | Blob, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start`` up to ``end``, decrypted and verified, a few ahead.

        Leave it with `contextlib.aclosing`, so that reading ahead ends when the reader does.

        Args:
            start: the first byte, counted from 0.
            end: the byte after the last; None for the end. Beyond the end counts as the end.

        Raises:
            NotFound: the bytes are not all there yet.
            ContentCorrupted: the stored bytes are not what was stored; those before were right.
            ContentUnavailable: the store does not answer, or the key is not here.
        """
        stored = blob if isinstance(blob, StoredBlob) else StoredBlob.of(blob)
        stop = stored.size_bytes if end is None else min(end, stored.size_bytes)
        start = min(start, stop)
        key = await self.keys.unwrap(stored.kek_id, stored.wrapped_key, _context(stored.id))
        opener = Opener(key, stored.id, stored.size_bytes)
        pieces = self.streams.fetch(stored.id, opener, stored.size_bytes, start, stop)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    async def _reserve(
        self, work: Work, owner: str, blob_id: UUID, media_type: str, size_bytes: int, key: bytes
    ) -> None:
        """Insert the PENDING row, counting on the size, unless it breaks the owner's quota."""
        await check_quota(work, owner, size_bytes)
        kek_id, wrapped_key = await self.keys.wrap(key, _context(blob_id))
        row: dict[str, Any] = {
            "id": blob_id,
            "owner": owner,
            "state": BlobState.PENDING,
            "media_type": media_type,
            "size_bytes": size_bytes,
            "kek_id": kek_id,
            "wrapped_key": wrapped_key,
            "created_at": work.now,
            "expires_at": work.now + PENDING_LIFE,
        }
        await work.session.execute(insert(Blob).values(row))

    async def _put(self, work: Work, data: bytes, media_type: str) -> StoredBlob:
        blob_id = work.new_id()
        key = token_bytes(KEY_BYTES)
        kek_id, wrapped_key = await self.keys.wrap(key, _context(blob_id))
        sealer = Sealer(key, blob_id)

        def store() -> None:
            for number, segment in enumerate(seal_whole(sealer, data)):
                self.objects.put(path_of(blob_id, number), segment)
            self.objects.settle(prefix_of(blob_id))

        await self.streams.run(store)
        return StoredBlob(
            blob_id,
            sealer.size_bytes,
            sealer.sha256(),
            media_type,
            work.now + UNCLAIMED_LIFE,
            kek_id,
            wrapped_key,
        )

    async def _discard(self, database: Database, blob_id: UUID) -> None:
        """Delete what a failed upload left; what cannot be deleted now is left to the sweeper."""

        async def discard() -> None:
            try:
                async with database.write() as work:
                    await work.session.execute(delete(Blob).where(Blob.id == blob_id))
                    await self.streams.run(self.objects.delete_all, prefix_of(blob_id))
            except (CarnetError, SQLAlchemyError, OSError) as error:
                _log.warning("a failed upload is left to the sweeper: %s", type(error).__name__)

        task = asyncio.create_task(discard())
        self._discarding.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._discarding.discard)
        await asyncio.shield(task)


async def is_sealed_file(blobs: BlobStore, blob: StoredBlob) -> bool:
    """Tell whether a content is a file that its sender sealed end to end, by how it begins.

    Such a file is attached to a message and to nothing else; nothing else is attached to one.
    """
    begin = b""
    async with aclosing(blobs.read(blob, 0, len(SEALED_FILE))) as pieces:
        async for piece in pieces:
            begin += piece
    return begin == SEALED_FILE


def _values(blob: StoredBlob) -> dict[str, Any]:
    return {
        "id": blob.id,
        "media_type": blob.media_type,
        "size_bytes": blob.size_bytes,
        "sha256": blob.sha256,
        "kek_id": blob.kek_id,
        "wrapped_key": blob.wrapped_key,
        "expires_at": blob.expires_at,
    }


def _context(blob_id: UUID) -> bytes:
    """Return what a blob's key is bound to."""
    return b"carnet blob key\x00" + blob_id.bytes
