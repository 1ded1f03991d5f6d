"""Uploads: what breaks off leaves nothing, what is whole is its owner's, once and for a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from secrets import token_bytes
from uuid import uuid4

import pytest
from sqlalchemy import select
from storing import LIMIT, OWNER, files, objects, pieces_of, read, receive, rows

from carnet.clock import MovableClock
from carnet.errors import ContentUnavailable, NotFound, PayloadTooLarge, QuotaExceeded
from carnet.store import uploads
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Database
from carnet.store.objects import path_of
from carnet.store.sealing import SEGMENT_BYTES
from carnet.store.sweeping import Sweeper, SweepResult
from carnet.store.tables import Blob, BlobState

STRANGER = "account:0d9f6f4e-5f0c-4d4e-9d0f-0a4a2a0f0002"


async def test_an_upload_that_is_too_long_leaves_nothing(
    either: BlobStore, database: Database
) -> None:
    data = token_bytes(SEGMENT_BYTES + 3 * 2**20)
    for limit, expected in ((len(data) - 1, None), (LIMIT, len(data) - 1)):
        with pytest.raises(PayloadTooLarge):
            await either.receive(
                database,
                OWNER,
                pieces_of(data),
                media_type="a/b",
                limit_bytes=limit,
                expected_bytes=expected,
            )
        assert (await rows(database), objects(either)) == (0, [])
    stored = await either.receive(
        database, OWNER, pieces_of(data), media_type="a/b", limit_bytes=len(data)
    )
    assert stored.size_bytes == len(data)


async def test_an_upload_that_breaks_off_leaves_nothing(
    either: BlobStore, database: Database
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces_of(token_bytes(2 * SEGMENT_BYTES)):
            yield piece
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await either.receive(database, OWNER, broken(), media_type="a/b", limit_bytes=LIMIT)
    assert (await rows(database), objects(either)) == (0, [])


async def test_a_cancelled_upload_leaves_nothing(local: BlobStore, database: Database) -> None:
    halfway = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for piece in pieces_of(token_bytes(2 * SEGMENT_BYTES)):
            yield piece
        halfway.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(
        local.receive(database, OWNER, endless(), media_type="a/b", limit_bytes=LIMIT)
    )
    await halfway.wait()
    assert await rows(database) == 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert (await rows(database), files(local)) == (0, [])


async def test_an_upload_is_invisible_until_it_is_whole(
    local: BlobStore, database: Database
) -> None:
    seen = []

    async def watched() -> AsyncIterator[bytes]:
        yield b"x"
        async with database.write() as work:
            row = (await work.session.scalars(select(Blob))).one()
            seen.append(row.state)
            for attempt in (local.uploaded, local.claim):
                with pytest.raises(NotFound):
                    await attempt(work, OWNER, row.id)
            with pytest.raises(NotFound):
                await anext(local.read(row))

    await local.receive(database, OWNER, watched(), media_type="a/b", limit_bytes=LIMIT)
    assert seen == [BlobState.PENDING]


async def test_a_blob_is_claimed_once_by_its_owner(local: BlobStore, database: Database) -> None:
    stored = await receive(local, database, b"hers")
    async with database.write() as work:
        with pytest.raises(NotFound):
            await local.claim(work, STRANGER, stored.id)
        with pytest.raises(NotFound):
            await local.uploaded(work, STRANGER, stored.id)
        with pytest.raises(NotFound):
            await local.claim(work, OWNER, uuid4())
    async with database.write() as work:
        assert await local.uploaded(work, OWNER, stored.id) == stored
        assert await local.claim(work, OWNER, stored.id) == stored
    async with database.write() as work:
        for attempt in (local.uploaded, local.claim):
            with pytest.raises(NotFound):
                await attempt(work, OWNER, stored.id)
    assert await read(local, stored) == b"hers"


async def test_of_two_claims_at_once_one_wins(local: BlobStore, database: Database) -> None:
    stored = await receive(local, database, b"hers")

    async def claim() -> bool:
        try:
            async with database.write() as work:
                await local.claim(work, OWNER, stored.id)
        except NotFound:
            return False
        return True

    assert sorted(await asyncio.gather(*(claim() for _ in range(5)))) == [False] * 4 + [True]


async def test_an_expired_upload_cannot_be_claimed_and_is_swept(
    either: BlobStore, database: Database, clock: MovableClock
) -> None:
    expired = await receive(either, database, token_bytes(SEGMENT_BYTES + 1))
    kept = await receive(either, database, b"kept")
    async with database.write() as work:
        await either.claim(work, OWNER, kept.id)
    clock.offset = timedelta(hours=25)
    async with database.write() as work:
        with pytest.raises(NotFound):
            await either.claim(work, OWNER, expired.id)
    assert await Sweeper(either).sweep(database) == SweepResult(1, 0, 0, True)
    assert objects(either) == [path_of(kept.id, 0)]
    assert await rows(database) == 1
    assert await Sweeper(either).sweep(database) == SweepResult(0, 0, 0, True)
    assert await read(either, kept) == b"kept"


async def test_an_upload_outlives_its_first_lease(
    local: BlobStore, database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "RENEWAL_INTERVAL", 0)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            async for piece in pieces_of(bytes(2 * 2**20)):
                yield piece
            clock.offset += timedelta(minutes=10)
            assert (await Sweeper(local).sweep(database)).expired_blobs == 0

    stored = await local.receive(database, OWNER, slow(), media_type="a/b", limit_bytes=LIMIT)
    assert stored.size_bytes == 8 * 2**20


async def test_an_upload_that_was_swept_meanwhile_fails_and_leaves_nothing(
    local: BlobStore, database: Database, clock: MovableClock
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield bytes(SEGMENT_BYTES + 2**21)
        clock.offset = timedelta(minutes=16)
        assert (await Sweeper(local).sweep(database)).expired_blobs == 1
        yield bytes(SEGMENT_BYTES)

    # A segment may be swept between being written and being synced, which is noticed earlier.
    with pytest.raises((NotFound, ContentUnavailable)):
        await local.receive(database, OWNER, slow(), media_type="a/b", limit_bytes=LIMIT)
    assert (await rows(database), files(local)) == (0, [])


async def test_the_quota_of_bytes_counts_what_was_announced(
    local: BlobStore, database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UNCLAIMED_BYTES_LIMIT", 100)

    async def send(size: int, owner: str = OWNER) -> StoredBlob:
        return await local.receive(
            database,
            owner,
            pieces_of(bytes(size)),
            media_type="a/b",
            limit_bytes=1000,
            expected_bytes=size,
        )

    first = await send(60)
    with pytest.raises(QuotaExceeded):
        await send(41)
    with pytest.raises(QuotaExceeded):  # unknown length counts as the limit
        await local.receive(database, STRANGER, pieces_of(b"x"), media_type="a/b", limit_bytes=101)
    await send(41, STRANGER)
    await send(40)
    async with database.write() as work:
        await local.claim(work, OWNER, first.id)
    await send(60)
    clock.offset = timedelta(hours=25)
    await send(100)


async def test_the_quota_of_numbers_holds_when_many_come_at_once(
    local: BlobStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UNCLAIMED_COUNT_LIMIT", 3)
    results = await asyncio.gather(
        *(
            local.receive(database, OWNER, pieces_of(b"x"), media_type="a/b", limit_bytes=10)
            for _ in range(8)
        ),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, QuotaExceeded)]
    assert (len(refused), await rows(database)) == (5, 3)
