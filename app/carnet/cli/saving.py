"""Making a backup while servers run: one snapshot of the database, and the contents that it names.

The contents of an installation are never changed, only added and erased. So those that a snapshot
names can be copied after it; what was erased meanwhile is counted, and stays erased.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from secrets import token_bytes
from typing import IO
from uuid import UUID

from sqlalchemy import URL, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from carnet.access.sealing import LOG
from carnet.cli.faults import installed_version
from carnet.clock import SystemClock
from carnet.errors import ContentCorrupted, UserMistake
from carnet.ids import new_id
from carnet.store.database import Work, asyncpg_url
from carnet.store.dumping import dump
from carnet.store.keys import FileKeyProvider
from carnet.store.manifests import NAME, Manifest
from carnet.store.objects import Objects, path_of
from carnet.store.programs import Programs
from carnet.store.sealing import KEY_BYTES, SEALED_SEGMENT_BYTES, sealed_size, segment_count
from carnet.store.shelves import Kept, NewShelf
from carnet.store.signing import Signer
from carnet.store.tables import Blob, BlobState
from carnet.store.transparency import latest_head
from carnet_crypto.headfile import head_to_json

DUMP, LIST, CONTENTS = "database.sealed", "contents.list", "contents"
CONTEXT = b"carnet backup v1\x00"  # what the dump's key is wrapped for
AT_ONCE = 8  # objects read at a time: 64 MiB of memory at most
ROWS = 1000  # read from the database at a time

Told = Callable[[str], None]


@dataclass(slots=True)
class _Copied:
    contents: int = 0
    objects: int = 0
    bytes_: int = 0
    erased: int = 0
    lost: int = 0


async def save(
    owner: str | URL,
    objects: Objects,
    keys: FileKeyProvider,
    signer: Signer,
    shelf: NewShelf,
    told: Told,
) -> Manifest:
    """Write a backup.

    Args:
        owner: URL of the database's owner, or of another who may read all tables.
        objects: where the contents are.
        keys: wraps the key of the dump.
        signer: signs the manifest.
        shelf: is written to; it has its place when its own block ends.
        told: hears what is being done.

    Raises:
        UserMistake: there is nothing to save, or PostgreSQL's programs fail.
        ContentUnavailable: the object store does not answer.
    """
    url = asyncpg_url(owner)
    now = SystemClock().now()
    key, dump_id = token_bytes(KEY_BYTES), new_id(now)
    kek_id, wrapped = await keys.wrap(key, CONTEXT + dump_id.bytes)
    with tempfile.TemporaryFile() as spool:
        async with _snapshot(url) as connection:
            revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            version = await connection.scalar(text("SHOW server_version_num"))
            head = await latest_head(Work(AsyncSession(connection), now), LOG)
            await _list(connection, spool)
            snapshot = await connection.scalar(text("SELECT pg_export_snapshot()"))
            with shelf.add(DUMP) as member:
                size = await dump(
                    Programs.find(),
                    url,
                    str(snapshot),
                    key,
                    dump_id,
                    member,
                    lambda done: told(f"{done / 1e6:,.0f} MB of the database"),
                )
            dumped = member.kept
        listed, copied = await _copy(url, objects, spool, shelf, told)
    manifest = Manifest(
        carnet=installed_version(),
        created_at=now.isoformat(),
        revision=str(revision),
        postgres=int(str(version)) // 10000,
        dump=dumped,
        dump_id=str(dump_id),
        dump_bytes=size,
        dump_kek_id=kek_id,
        dump_key=wrapped.hex(),
        listing=listed,
        contents=copied.contents,
        objects=copied.objects,
        object_bytes=copied.bytes_,
        erased_meanwhile=copied.erased,
        lost=copied.lost,
        kek_ids=keys.ids,
        journal_head=head_to_json(head, signer.public_key) if head else None,
    )
    with shelf.add(NAME) as member:
        member.write(manifest.to_bytes(signer))
    return manifest


@asynccontextmanager
async def _snapshot(url: URL) -> AsyncIterator[AsyncConnection]:
    """Open a transaction in which everything stays as it is now."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="REPEATABLE READ")
    try:
        async with engine.connect() as connection:
            if (
                await connection.scalar(text("SELECT to_regclass('public.alembic_version')"))
                is None
            ):
                raise UserMistake("There is nothing to back up: the database has no tables yet.")
            yield connection
    finally:
        await engine.dispose()


async def _list(connection: AsyncConnection, spool: IO[bytes]) -> None:
    """Write down which contents the snapshot names: the id and the size of each."""
    statement = select(Blob.id, Blob.size_bytes).where(Blob.state == BlobState.READY)
    result = await connection.stream(statement.execution_options(yield_per=ROWS))
    async for blob_id, size in result:
        spool.write(blob_id.bytes + (size or 0).to_bytes(8, "big"))


async def _copy(
    url: URL, objects: Objects, spool: IO[bytes], shelf: NewShelf, told: Told
) -> tuple[Kept, _Copied]:
    """Copy the contents; return the file that lists their objects, and counts."""
    copied = _Copied()
    spool.seek(0)
    with (
        tempfile.TemporaryFile() as lines,
        ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backup") as pool,
    ):
        contents = _contents(spool)
        while group := list(islice(contents, AT_ONCE)):
            missing = await asyncio.to_thread(
                _copy_group, objects, group, shelf, pool, lines, copied
            )
            for blob_id in missing:
                if await _is_there(url, blob_id):
                    copied.lost += 1
                else:
                    copied.erased += 1
            told(f"{copied.contents:,} contents, {copied.bytes_ / 1e6:,.0f} MB")
        lines.seek(0)
        with shelf.add(LIST) as member:
            while part := lines.read(2**20):
                member.write(part)
    return member.kept, copied


def _contents(spool: IO[bytes]) -> Iterator[tuple[UUID, int]]:
    while row := spool.read(24):
        yield UUID(bytes=row[:16]), int.from_bytes(row[16:], "big")


def _copy_group(
    objects: Objects,
    group: list[tuple[UUID, int]],
    shelf: NewShelf,
    pool: ThreadPoolExecutor,
    lines: IO[bytes],
    copied: _Copied,
) -> list[UUID]:
    """Copy some contents; return those that are not all there."""
    missing: list[UUID] = []

    def fetch(path: str) -> memoryview | None:
        try:
            return objects.get(path, 0, SEALED_SEGMENT_BYTES)
        except ContentCorrupted:  # no such object
            return None

    wanted = [
        (blob_id, size, number) for blob_id, size in group for number in range(segment_count(size))
    ]
    left = {blob_id: sealed_size(size) for blob_id, size in group}
    waiting = iter(wanted)
    while batch := list(islice(waiting, AT_ONCE)):
        paths = [path_of(blob_id, number) for blob_id, _, number in batch]
        for (blob_id, _, _), path, data in zip(batch, paths, pool.map(fetch, paths), strict=True):
            if data is None:
                continue
            left[blob_id] -= len(data)
            with shelf.add(f"{CONTENTS}/{path}") as member:
                member.write(data)
            lines.write(f"{sha256(data).hexdigest()} {len(data)} {path}\n".encode())
            copied.objects += 1
            copied.bytes_ += len(data)
    for blob_id, short in left.items():
        if short:
            missing.append(blob_id)
        else:
            copied.contents += 1
    return missing


async def _is_there(url: URL, blob_id: UUID) -> bool:
    """Tell whether the database still names the content now."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return bool(await connection.scalar(select(Blob.id).where(Blob.id == blob_id)))
    finally:
        await engine.dispose()
