"""Deletes what nobody refers to: uploads that expired or died, and objects without a row.

Any number of processes may sweep at once. Each call does a bounded amount of work and goes on
where the last one stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from uuid import UUID

from sqlalchemy import delete, select

from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.objects import Found, prefix_of
from carnet.store.tables import Blob

BATCH = 100  # rows deleted in one transaction
BATCHES = 10  # in one call
OBJECTS = 20_000  # looked at in one call, and the rest of the shard in which that is reached
DELETIONS_AT_ONCE = 8
# An intake writes its objects before its rows commit; none takes this long.
ORPHAN_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep deleted, in numbers. ``is_done`` tells that nothing expired was left."""

    expired_blobs: int
    orphan_blobs: int
    unfinished_files: int
    is_done: bool


class Sweeper:
    """Sweeps one store. It remembers in which shard to look for orphans next."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._objects = blobs.objects
        self._run = blobs.streams.run
        self._next = f"{randbelow(256):02x}"  # so that processes look in different places

    async def sweep(self, database: Database, *, orphan_age: timedelta = ORPHAN_AGE) -> SweepResult:
        """Delete expired blobs, then orphans that are old enough, by the machine's clock.

        Raises:
            ContentUnavailable: the store does not answer; what was not deleted stays known.
        """
        expired = 0
        is_done = False
        for _ in range(BATCHES):
            deleted = await self._sweep_rows(database)
            expired += deleted
            if deleted < BATCH:
                is_done = True
                break
        # The store's times are the machine's, whatever the sandbox's clock says.
        before = datetime.now(UTC) - orphan_age
        orphans, unfinished = await self._sweep_orphans(database, before)
        return SweepResult(expired, orphans, unfinished, is_done)

    async def _sweep_rows(self, database: Database) -> int:
        """Delete a batch of expired blobs; return how many.

        The rows are deleted first, which fails while something still refers to one, then their
        objects, then the transaction commits: a crash in between leaves rows to sweep again.
        """
        async with database.write() as work:
            expired = (
                select(Blob.id)
                .where(Blob.claimed_at.is_(None), Blob.expires_at <= work.now)
                .order_by(Blob.expires_at)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            ids = list(await work.session.scalars(expired))
            if ids:
                await work.session.execute(delete(Blob).where(Blob.id.in_(ids)))
                await self._delete_objects(ids)
        return len(ids)

    async def _sweep_orphans(self, database: Database, before: datetime) -> tuple[int, int]:
        orphans = unfinished = seen = 0
        shards = await self._run(self._objects.shards)
        later = [shard for shard in shards if shard >= self._next]
        for shard in later + [shard for shard in shards if shard < self._next]:
            if seen >= OBJECTS:
                self._next = shard
                break
            pages = self._objects.find(shard, before)
            while (page := await self._run(_next_page, pages)) is not None:
                seen += len(page)
                orphans += await self._delete_orphans(database, {found.blob_id for found in page})
            unfinished += await self._run(self._objects.remove_staged, shard, before)
        return orphans, unfinished

    async def _delete_orphans(self, database: Database, found: set[UUID]) -> int:
        if not found:
            return 0
        async with database.read() as work:
            known = set(await work.session.scalars(select(Blob.id).where(Blob.id.in_(found))))
        orphans = sorted(found - known)
        await self._delete_objects(orphans)
        return len(orphans)

    async def _delete_objects(self, blob_ids: list[UUID]) -> None:
        turns = asyncio.Semaphore(DELETIONS_AT_ONCE)

        async def remove(blob_id: UUID) -> None:
            async with turns:
                await self._run(self._objects.delete_all, prefix_of(blob_id))

        await asyncio.gather(*map(remove, blob_ids))


def _next_page(pages: Iterator[list[Found]]) -> list[Found] | None:
    return next(pages, None)
