"""The blob store on a local folder and on S3: what goes in comes out, and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from uuid import UUID, uuid4

import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import func, select, update

from carnet.clock import MovableClock
from carnet.errors import (
    ContentCorrupted,
    ContentUnavailable,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    UserMistake,
)
from carnet.store import blobs as module
from carnet.store import sweeping, uploads
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.objects import PAGE, path_of, prefix_of
from carnet.store.sealing import CHUNK_BYTES, SEGMENT_BYTES, TAG_BYTES
from carnet.store.sweeping import Sweeper, SweepResult
from carnet.store.tables import Blob, BlobState

OWNER = "account:0d9f6f4e-5f0c-4d4e-9d0f-0a4a2a0f0001"
STRANGER = "account:0d9f6f4e-5f0c-4d4e-9d0f-0a4a2a0f0002"
KEYS = FileKeyProvider([bytes(range(32))])
LIMIT = 2**30
PIECE = 100_000


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A server that speaks S3, on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BlobStore:
    """An empty store, once of each kind."""
    if request.param == "folder":
        return BlobStore.open(None, tmp_path, KEYS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_endpoint"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    bucket = f"bucket-{uuid4()}"
    make_bucket(bucket)
    return BlobStore.open(f"s3://{bucket}/some/prefix", tmp_path, KEYS)


def make_bucket(name: str) -> None:
    import boto3

    boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    """An empty store in a folder."""
    return BlobStore.open(None, tmp_path, KEYS)


async def pieces_of(data: bytes, step: int = PIECE) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


async def receive(
    blobs: BlobStore, database: Database, data: bytes, *, owner: str = OWNER
) -> StoredBlob:
    return await blobs.receive(
        database, owner, pieces_of(data), media_type="text/plain", limit_bytes=LIMIT
    )


async def read(blobs: BlobStore, blob: StoredBlob, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.read(blob, start, end)])


async def rows(database: Database) -> int:
    async with database.read() as work:
        return await work.session.scalar(select(func.count()).select_from(Blob)) or 0


def objects(blobs: BlobStore) -> list[str]:
    """Return the paths of everything in the store."""
    past = datetime.now(UTC) + timedelta(days=1)
    return sorted(
        found.path
        for shard in blobs.objects.shards()
        for page in blobs.objects.find(shard, past)
        for found in page
    )


def files(blobs: BlobStore) -> list[Path]:
    assert blobs.objects.folder is not None
    return sorted(path for path in blobs.objects.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES + 70_000]
)
async def test_what_is_received_is_read(blobs: BlobStore, database: Database, size: int) -> None:
    data = token_bytes(size)
    stored = await receive(blobs, database, data)
    assert (stored.size_bytes, stored.sha256) == (size, sha256(data).digest())
    assert stored.media_type == "text/plain"
    assert await read(blobs, stored) == data
    assert await read(blobs, stored, size // 2) == data[size // 2 :]
    assert await read(blobs, stored, size // 3, size // 2) == data[size // 3 : size // 2]
    assert await read(blobs, stored, size, size + 100) == b""
    assert await read(blobs, stored, size + 1, size + 100) == b""
    count = max(1, -(-size // SEGMENT_BYTES))
    assert objects(blobs) == [path_of(stored.id, number) for number in range(count)]


async def test_one_huge_piece_and_many_tiny_ones_are_the_same(
    local: BlobStore, database: Database
) -> None:
    data = token_bytes(3 * CHUNK_BYTES + 1)
    for step in (len(data), 997):
        stored = await local.receive(
            database, OWNER, pieces_of(data, step), media_type="a/b", limit_bytes=LIMIT
        )
        assert await read(local, stored) == data


async def test_nothing_readable_is_on_the_disk_or_in_the_row(
    local: BlobStore, database: Database
) -> None:
    secret = b"her diagnosis, in plain words. "
    stored = await receive(local, database, secret * 50_000)
    assert all(secret[:12] not in path.read_bytes() for path in files(local))
    async with database.read() as work:
        row = await work.session.get_one(Blob, stored.id)
    assert "wrapped_key" not in repr(stored)
    key = await KEYS.unwrap(row.kek_id, row.wrapped_key, module._context(stored.id))
    assert key not in row.wrapped_key
    folder = local.objects.folder
    assert folder is not None
    assert folder.stat().st_mode & 0o077 == 0


async def test_each_blob_has_a_key_of_its_own(local: BlobStore, database: Database) -> None:
    one = await receive(local, database, b"the same")
    two = await receive(local, database, b"the same")
    assert one.sha256 == two.sha256
    first, second = (path.read_bytes() for path in files(local))
    assert first[8:] != second[8:]
    assert one.wrapped_key != two.wrapped_key


async def test_another_blob_s_key_opens_nothing(local: BlobStore, database: Database) -> None:
    one = await receive(local, database, b"one")
    two = await receive(local, database, b"two")
    mixed = StoredBlob(one.id, 3, one.sha256, "a/b", one.expires_at, two.kek_id, two.wrapped_key)
    with pytest.raises(ContentCorrupted):
        await read(local, mixed)


async def test_a_missing_key_encryption_key_is_not_damage(
    local: BlobStore, database: Database
) -> None:
    stored = await receive(local, database, b"one")
    other = BlobStore(local.objects, FileKeyProvider([bytes(32)]))
    with pytest.raises(ContentUnavailable) as caught:
        await read(other, stored)
    assert not isinstance(caught.value, ContentCorrupted)
    rotated = BlobStore(local.objects, FileKeyProvider([bytes(32), bytes(range(32))]))
    assert await read(rotated, stored) == b"one"


@pytest.mark.parametrize("place", [9, SEGMENT_BYTES // 2, SEGMENT_BYTES + 3 * CHUNK_BYTES, -1])
async def test_a_flipped_bit_on_the_disk_is_never_served(
    local: BlobStore, database: Database, place: int
) -> None:
    """In the first, a middle and the last chunk, over two segments."""
    data = token_bytes(SEGMENT_BYTES + 4 * CHUNK_BYTES + 10)
    stored = await receive(local, database, data)
    first, second = files(local)
    path, at = (first, place) if 0 <= place < SEGMENT_BYTES else (second, place % SEGMENT_BYTES)
    if place < 0:
        at = second.stat().st_size - 1
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    served = b""
    with pytest.raises(ContentCorrupted):
        async for piece in local.read(stored):
            served += piece
    assert data.startswith(served)
    assert len(served) <= (0 if place == 9 else place if place > 0 else len(data) - 10)


async def test_a_file_that_is_too_short_or_too_long_is_never_served(
    local: BlobStore, database: Database
) -> None:
    data = token_bytes(2 * CHUNK_BYTES)
    stored = await receive(local, database, data)
    (path,) = files(local)
    whole = path.read_bytes()
    cuts = [0, 1, 8, 8 + CHUNK_BYTES + TAG_BYTES, len(whole) - 1]
    for content in [*(whole[:cut] for cut in cuts), whole + b"x", whole + whole]:
        path.write_bytes(content)
        with pytest.raises(ContentCorrupted):
            await read(local, stored)
    path.unlink()
    with pytest.raises(ContentCorrupted):
        await read(local, stored)
    path.write_bytes(whole)
    assert await read(local, stored) == data


async def test_another_blob_s_file_in_its_place_is_never_served(
    local: BlobStore, database: Database
) -> None:
    one = await receive(local, database, b"one")
    await receive(local, database, b"two")
    first, second = files(local)
    mine = path_of(one.id, 0)
    other = next(path for path in (first, second) if not str(path).endswith(mine))
    assert local.objects.folder is not None
    (local.objects.folder / mine).write_bytes(other.read_bytes())
    with pytest.raises(ContentCorrupted):
        await read(local, one)


async def test_an_upload_that_is_too_long_leaves_nothing(
    blobs: BlobStore, database: Database
) -> None:
    data = token_bytes(SEGMENT_BYTES + 3 * 2**20)
    for limit, expected in ((len(data) - 1, None), (LIMIT, len(data) - 1)):
        with pytest.raises(PayloadTooLarge):
            await blobs.receive(
                database,
                OWNER,
                pieces_of(data),
                media_type="a/b",
                limit_bytes=limit,
                expected_bytes=expected,
            )
        assert (await rows(database), objects(blobs)) == (0, [])
    stored = await blobs.receive(
        database, OWNER, pieces_of(data), media_type="a/b", limit_bytes=len(data)
    )
    assert stored.size_bytes == len(data)


async def test_an_upload_that_breaks_off_leaves_nothing(
    blobs: BlobStore, database: Database
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces_of(token_bytes(2 * SEGMENT_BYTES)):
            yield piece
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.receive(database, OWNER, broken(), media_type="a/b", limit_bytes=LIMIT)
    assert (await rows(database), objects(blobs)) == (0, [])


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
    blobs: BlobStore, database: Database, clock: MovableClock
) -> None:
    expired = await receive(blobs, database, token_bytes(SEGMENT_BYTES + 1))
    kept = await receive(blobs, database, b"kept")
    async with database.write() as work:
        await blobs.claim(work, OWNER, kept.id)
    clock.offset = timedelta(hours=25)
    async with database.write() as work:
        with pytest.raises(NotFound):
            await blobs.claim(work, OWNER, expired.id)
    assert await Sweeper(blobs).sweep(database) == SweepResult(1, 0, 0, True)
    assert objects(blobs) == [path_of(kept.id, 0)]
    assert await rows(database) == 1
    assert await Sweeper(blobs).sweep(database) == SweepResult(0, 0, 0, True)
    assert await read(blobs, kept) == b"kept"


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


async def test_put_stores_inside_the_transaction(blobs: BlobStore, database: Database) -> None:
    contents = [(token_bytes(size), "a/b") for size in (0, 10, CHUNK_BYTES, SEGMENT_BYTES + 5)]
    async with database.write() as work:
        stored = await blobs.put_many(work, OWNER, contents)
        one = await blobs.put(work, OWNER, b"one", "text/plain")
        assert await blobs.put_many(work, OWNER, []) == []
    for blob, (data, _) in zip(stored, contents, strict=True):
        assert blob.sha256 == sha256(data).digest()
        assert await read(blobs, blob) == data
    async with database.write() as work:
        with pytest.raises(NotFound):
            await blobs.claim(work, OWNER, one.id)
    assert await rows(database) == 5


async def test_what_a_rolled_back_transaction_put_is_swept_later(
    blobs: BlobStore, database: Database
) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await blobs.put(work, OWNER, b"nobody's", "a/b")
            raise RuntimeError
    kept = await receive(blobs, database, b"kept")
    assert len(objects(blobs)) == 2
    assert await Sweeper(blobs).sweep(database) == SweepResult(0, 0, 0, True)
    aged = timedelta(seconds=-5)
    assert await Sweeper(blobs).sweep(database, orphan_age=aged) == SweepResult(0, 1, 0, True)
    assert objects(blobs) == [path_of(kept.id, 0)]


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
    blobs: BlobStore, database: Database, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 7)
    kept = await receive(blobs, database, b"kept")
    async with database.write() as work:
        await blobs.claim(work, OWNER, kept.id)
        put = await blobs.put_many(work, OWNER, [(b"x", "a/b")] * 30)
    async with database.write() as work:
        await blobs.release(work, [blob.id for blob in put])
    with pytest.raises(RuntimeError):
        async with database.write() as work:
            await blobs.put_many(work, OWNER, [(b"y", "a/b")] * 10)
            raise RuntimeError
    aged = timedelta(seconds=-5)
    results = await asyncio.gather(
        *(Sweeper(blobs).sweep(database, orphan_age=aged) for _ in range(4))
    )
    results.append(await Sweeper(blobs).sweep(database, orphan_age=aged))
    assert sum(result.expired_blobs for result in results) == 30
    assert (await rows(database), objects(blobs)) == (1, [path_of(kept.id, 0)])


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


async def test_reading_ahead_ends_with_the_reader(local: BlobStore, database: Database) -> None:
    stored = await receive(local, database, token_bytes(8 * 2**20))
    pieces = local.read(stored)
    await anext(pieces)
    (local.objects.folder or Path()).joinpath(path_of(stored.id, 0)).unlink()
    await pieces.aclose()
    assert await anext(pieces, None) is None


async def test_a_row_of_the_database_can_be_read_as_well(
    local: BlobStore, database: Database
) -> None:
    stored = await receive(local, database, b"hers")
    async with database.read() as work:
        row = await work.session.get_one(Blob, stored.id)
    assert b"".join([piece async for piece in local.read(row, 1, 3)]) == b"er"


async def test_a_tampered_size_is_found(local: BlobStore, database: Database) -> None:
    stored = await receive(local, database, token_bytes(2 * CHUNK_BYTES))
    async with database.write() as work:
        await work.session.execute(update(Blob).values(size_bytes=CHUNK_BYTES))
        row = await work.session.get_one(Blob, stored.id)
    with pytest.raises(ContentCorrupted):
        _ = [piece async for piece in local.read(row)]


async def test_a_store_that_does_not_answer_is_a_typed_error(
    tmp_path: Path, database: Database, unused_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-bucket")
    monkeypatch.setenv("AWS_ENDPOINT_URL", unused_endpoint)
    monkeypatch.setitem(module.Objects.open.__func__.__globals__, "RETRY", {"max_retries": 0})
    blobs = BlobStore.open("s3://bucket", tmp_path, KEYS)
    with pytest.raises(ContentUnavailable) as caught:
        await receive(blobs, database, b"x")
    assert caught.value.message == "The content cannot be read or written now."
    assert await rows(database) == 1  # left to the sweeper, which fails as long as the store does
    with pytest.raises(ContentUnavailable):
        await Sweeper(blobs).sweep(database)


@pytest.fixture
def unused_endpoint() -> str:
    """An address at which nobody listens."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    [
        "blobs",
        "/var/blobs",
        "file://blobs",
        "http://example.org/x",
        "s3:///prefix",
        "s3://",
        "memory:///",
        "s3://user:secret@bucket",
        "s3://bucket?secret=1",
        "az://container",
    ],
)
def test_a_bad_url_is_a_mistake_told_in_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(UserMistake, match=r"^CARNET_BLOB_URL [^\n]+$") as caught:
        BlobStore.open(url, tmp_path, KEYS)
    assert "secret" not in caught.value.message


def test_a_folder_that_cannot_be_made_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserMistake, match="cannot be used"):
        BlobStore.open((tmp_path / "file" / "blobs").as_uri(), tmp_path, KEYS)


def test_the_url_of_a_folder_with_spaces_and_accents(tmp_path: Path) -> None:
    folder = tmp_path / "à la main #1 100%"
    blobs = BlobStore.open(folder.as_uri(), tmp_path, KEYS)
    blobs.objects.put(path_of(uuid4(), 0), bytearray(b"x"))
    assert len(files(blobs)) == 1
    assert files(blobs)[0].is_relative_to(folder)


def test_pages_of_a_listing_hold_every_object(local: BlobStore) -> None:
    folder = local.objects.folder
    assert folder is not None
    blob_id = uuid4()
    (folder / prefix_of(blob_id)).mkdir(parents=True)
    for number in range(PAGE + 5):
        (folder / path_of(blob_id, number)).touch()
    assert len(objects(local)) == PAGE + 5
    assert local.objects.delete_all(prefix_of(blob_id)) == PAGE + 5
    assert list(folder.iterdir()) == []
