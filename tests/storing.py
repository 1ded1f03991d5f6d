"""Putting contents into a blob store, and looking at what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.tables import Blob

OWNER = "account:0d9f6f4e-5f0c-4d4e-9d0f-0a4a2a0f0001"
KEYS = FileKeyProvider([bytes(range(32))])
LIMIT = 2**30
PIECE = 100_000


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
