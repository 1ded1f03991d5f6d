"""What nothing refers to is swept, however it came to be, and nothing else is."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID, uuid4

import pytest
from storing import OWNER, files, objects, read, receive, rows

from carnet.clock import MovableClock
from carnet.errors import NotFound
from carnet.store import sweeping, uploads
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.objects import path_of
from carnet.store.sealing import CHUNK_BYTES, SEGMENT_BYTES
from carnet.store.sweeping import Sweeper, SweepResult
from carnet.store.tables import Blob, BlobState


async def test_a_released_blob_is_gone_for_its_owner_and_swept(
    local: BlobStore, database: Database
) -> None:
    stored = await receive(local, database, b"hers")
    async with database.write() as work:
        await local.claim(work, OWNER, stored.id)
    async with database.write() as work:
        await local.delete(work, stored.id)
    async with database.write() as work:
        with pytest.raises(NotFound):
            await local.claim(work, OWNER, stored.id)
    assert (await Sweeper(local).sweep(database)).expired_blobs == 1
    assert (await rows(database), files(local)) == (0, [])


async def test_a_release_that_is_rolled_back_releases_nothing(
    local: BlobStore, database: Database
) -> None:
    stored = await receive(local, database, b"hers")
    async with database.write() as work:
        await local.claim(work, OWNER, stored.id)
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await local.delete(work, stored.id)
            raise RuntimeError
    assert (await Sweeper(local).sweep(database)).expired_blobs == 0
    assert await read(local, stored) == b"hers"


async def test_put_stores_inside_the_transaction(either: BlobStore, database: Database) -> None:
    contents = [(token_bytes(size), "a/b") for size in (0, 10, CHUNK_BYTES, SEGMENT_BYTES + 5)]
    async with database.write() as work:
        stored = await either.put_many(work, OWNER, contents)
        one = await either.put(work, OWNER, b"one", "text/plain")
        assert await either.put_many(work, OWNER, []) == []
    for blob, (data, _) in zip(stored, contents, strict=True):
        assert blob.sha256 == sha256(data).digest()
        assert await read(either, blob) == data
    async with database.write() as work:
        with pytest.raises(NotFound):
            await either.claim(work, OWNER, one.id)
    assert await rows(database) == 5


async def test_what_a_rolled_back_transaction_put_is_swept_later(
    either: BlobStore, database: Database
) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await either.put(work, OWNER, b"nobody's", "a/b")
            raise RuntimeError
    kept = await receive(either, database, b"kept")
    assert len(objects(either)) == 2
    assert await Sweeper(either).sweep(database) == SweepResult(0, 0, 0, True)
    aged = timedelta(seconds=-5)
    assert await Sweeper(either).sweep(database, orphan_age=aged) == SweepResult(0, 1, 0, True)
    assert objects(either) == [path_of(kept.id, 0)]


async def test_the_sandbox_s_clock_does_not_age_orphans(
    local: BlobStore, database: Database, clock: MovableClock
) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await local.put(work, OWNER, b"being put", "a/b")
            raise RuntimeError
    clock.offset = timedelta(days=400)
    assert (await Sweeper(local).sweep(database)).orphan_blobs == 0


async def test_what_a_killed_process_left_is_swept(
    local: BlobStore, database: Database, clock: MovableClock
) -> None:
    """A row still PENDING, a whole segment, and a file that was being written."""
    dead = uuid4()
    async with database.write() as work:
        work.session.add(
            Blob(
                id=dead,
                owner=OWNER,
                state=BlobState.PENDING,
                media_type="a/b",
                size_bytes=10**9,
                kek_id="0",
                wrapped_key=b"",
                created_at=work.now,
                expires_at=work.now + uploads.PENDING_LIFE,
            )
        )
    folder = local.objects.folder
    assert folder is not None
    local.objects.put(path_of(dead, 0), bytearray(b"sealed"))
    (folder / f"{path_of(dead, 1)}#1").write_bytes(b"half")
    assert await Sweeper(local).sweep(database) == SweepResult(0, 0, 0, True)
    clock.offset = timedelta(minutes=16)
    assert (await Sweeper(local).sweep(database)).expired_blobs == 1
    assert (await rows(database), files(local)) == (0, [])


async def test_half_written_files_without_a_row_are_swept_when_old(
    local: BlobStore, database: Database
) -> None:
    kept = await receive(local, database, b"kept")
    folder = local.objects.folder
    assert folder is not None
    old, young = (folder / f"{path_of(uuid4(), 0)}#1" for _ in range(2))
    foreign = folder / "notes.txt"
    for path in (old, young, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (0, 0))
    assert await Sweeper(local).sweep(database) == SweepResult(0, 0, 1, True)
    assert sorted(files(local)) == sorted([young, foreign, folder / path_of(kept.id, 0)])


async def test_sweeping_from_several_processes_at_once_is_safe(
    either: BlobStore, database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 7)
    kept = await receive(either, database, b"kept")
    async with database.write() as work:
        await either.claim(work, OWNER, kept.id)
        put = await either.put_many(work, OWNER, [(b"x", "a/b")] * 30)
    async with database.write() as work:
        await either.release(work, [blob.id for blob in put])
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await either.put_many(work, OWNER, [(b"y", "a/b")] * 10)
            raise RuntimeError
    aged = timedelta(seconds=-5)
    results = await asyncio.gather(
        *(Sweeper(either).sweep(database, orphan_age=aged) for _ in range(4))
    )
    results.append(await Sweeper(either).sweep(database, orphan_age=aged))
    assert sum(result.expired_blobs for result in results) == 30
    assert (await rows(database), objects(either)) == (1, [path_of(kept.id, 0)])


async def test_a_sweep_goes_on_where_the_last_one_stopped(
    local: BlobStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "OBJECTS", 1)
    for shard in range(5):
        local.objects.put(path_of(UUID(int=shard + (1 << 40)), 0), bytearray(b"x"))
    sweeper = Sweeper(local)
    swept = [
        (await sweeper.sweep(database, orphan_age=timedelta(seconds=-5))).orphan_blobs
        for _ in range(6)
    ]
    assert swept == [1, 1, 1, 1, 1, 0]
