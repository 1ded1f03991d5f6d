"""The blob store on a local folder and on S3: what goes in comes out, and nothing else."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

import pytest
from sqlalchemy import update
from storing import KEYS, LIMIT, OWNER, files, objects, pieces_of, read, receive

from carnet.errors import ContentCorrupted, ContentUnavailable
from carnet.store import blobs as module
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.objects import path_of
from carnet.store.sealing import CHUNK_BYTES, SEGMENT_BYTES, TAG_BYTES
from carnet.store.tables import Blob


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES + 70_000]
)
async def test_what_is_received_is_read(either: BlobStore, database: Database, size: int) -> None:
    data = token_bytes(size)
    stored = await receive(either, database, data)
    assert (stored.size_bytes, stored.sha256) == (size, sha256(data).digest())
    assert stored.media_type == "text/plain"
    assert await read(either, stored) == data
    assert await read(either, stored, size // 2) == data[size // 2 :]
    assert await read(either, stored, size // 3, size // 2) == data[size // 3 : size // 2]
    assert await read(either, stored, size, size + 100) == b""
    assert await read(either, stored, size + 1, size + 100) == b""
    count = max(1, -(-size // SEGMENT_BYTES))
    assert objects(either) == [path_of(stored.id, number) for number in range(count)]


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
