"""Bringing a backup back into an installation that has nothing yet.

Everything is checked before anything is written: the manifest's signature, the keys, that the
target is empty. The contents come first and the database last, in one transaction: what breaks off
before it leaves no installation, and can be done again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from uuid import UUID

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from carnet.access.verifying import Verification, verify
from carnet.cli.saving import AT_ONCE, CONTENTS, CONTEXT, DUMP, LIST
from carnet.errors import ContentCorrupted, UserMistake
from carnet.store.database import Database, asyncpg_url
from carnet.store.dumping import load
from carnet.store.keys import FileKeyProvider
from carnet.store.manifests import NAME, SIZE_LIMIT, Manifest
from carnet.store.migrate import create_database, upgrade
from carnet.store.objects import Objects
from carnet.store.programs import Programs
from carnet.store.sealing import SEALED_SEGMENT_BYTES
from carnet.store.shelves import Kept, Shelf
from carnet.store.signing import Signer
from carnet_crypto.headfile import NotAHead, head_from_json

Told = Callable[[str], None]

_LINE = re.compile(rb"([0-9a-f]{64}) (\d{1,8}) ([0-9a-f]{2}/[0-9a-f]{32}/\d{6,12})\n")

ALTERED = "The backup is damaged: a file of it is not what was written. The database is as it was."


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back."""

    manifest: Manifest
    journal: Verification


def read_manifest(shelf: Shelf, signer: Signer, keys: FileKeyProvider) -> Manifest:
    """Read what the backup says of itself, and check that its keys are here.

    Raises:
        UserMistake: it is no whole backup, or needs other keys.
    """
    with shelf.open(NAME) as file:
        manifest = Manifest.read(file.read(SIZE_LIMIT), signer)
    missing = [each for each in manifest.kek_ids if each not in keys.ids]
    if missing:
        raise UserMistake(f"CARNET_KEK_FILE lacks keys of the backup: {', '.join(missing)}.")
    if keys.ids[-1] != manifest.kek_ids[-1]:
        raise UserMistake(
            "The last key of CARNET_KEK_FILE is not that of the backup: keep the file's order."
        )
    return manifest


async def restore(
    owner: str | URL,
    objects: Objects,
    keys: FileKeyProvider,
    signer: Signer,
    shelf: Shelf,
    told: Told,
    *,
    create: bool,
) -> Restored:
    """Fill an empty installation, and prove the journal.

    Args:
        owner: URL of the owner of an empty database.
        objects: an empty object store, or one that an attempt at this backup broke off in.
        keys: opens the dump, and the contents later.
        signer: has signed the backup.
        shelf: the backup.
        told: hears what is being done.
        create: create the database first when there is none (the embedded PostgreSQL).

    Raises:
        UserMistake: the target is not empty, the backup is damaged or another's, or PostgreSQL's
            programs fail. The database is as it was.
    """
    manifest = read_manifest(shelf, signer, keys)
    url = asyncpg_url(owner)
    if create:
        await create_database(url)
    await _refuse_tables(url)
    try:
        key = await keys.unwrap(
            manifest.dump_kek_id,
            bytes.fromhex(manifest.dump_key),
            CONTEXT + UUID(manifest.dump_id).bytes,
        )
        await asyncio.to_thread(_check, shelf, manifest.dump)
        await asyncio.to_thread(_check, shelf, manifest.listing)
        await asyncio.to_thread(_refuse_others, objects, shelf)
        await _copy(objects, shelf, manifest, told)
        with shelf.open(DUMP) as source:
            await load(
                Programs.find(),
                url,
                key,
                UUID(manifest.dump_id),
                manifest.dump_bytes,
                source,
                lambda done: told(f"{done / 1e6:,.0f} MB of the database"),
            )
    except ContentCorrupted:
        raise UserMistake(ALTERED) from None
    await upgrade(url)
    await _end_sessions(url)
    return Restored(manifest, await _prove(url, signer, manifest, told))


async def _prove(url: URL, signer: Signer, manifest: Manifest, told: Told) -> Verification:
    head = None
    if manifest.journal_head is not None:
        try:
            head, _ = head_from_json(manifest.journal_head)
        except NotAHead:
            raise UserMistake("The backup's manifest holds no journal head.") from None
    database = Database.connect(url)
    try:
        return await verify(
            database, signer, head, lambda done, all_: told(f"{done:,} of {all_:,} entries")
        )
    finally:
        await database.close()


@asynccontextmanager
async def _begun(url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _refuse_tables(url: URL) -> None:
    async with _begun(url) as connection:
        tables = await connection.scalar(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        )
    if tables:
        raise UserMistake(
            f"The database has {tables} tables already; restore into an empty one,"
            " such as that of a new CARNET_DATA_DIR. Nothing was changed."
        )


def _refuse_others(objects: Objects, shelf: Shelf) -> None:
    """Refuse a store that holds what the backup does not."""
    there = objects.paths()
    if not there:
        return
    with shelf.open(LIST) as file:
        for line in file:
            there.discard(_parsed(line)[2])
            if not there:
                return
    raise UserMistake(
        f"The blob store holds {len(there):,} objects that are not of this backup; restore into an"
        " empty one. Nothing was changed."
    )


async def _copy(objects: Objects, shelf: Shelf, manifest: Manifest, told: Told) -> None:
    done = 0
    with shelf.open(LIST) as file:
        lines = iter(file)
        while group := list(islice(lines, AT_ONCE)):
            await asyncio.to_thread(_copy_group, objects, shelf, group)
            done += len(group)
            told(f"{done:,} of {manifest.objects:,} objects")
    if done != manifest.objects:
        raise UserMistake(ALTERED)


def _copy_group(objects: Objects, shelf: Shelf, lines: list[bytes]) -> None:
    for line in lines:
        digest, size, path = _parsed(line)
        with shelf.open(f"{CONTENTS}/{path}") as file:
            data = file.read(SEALED_SEGMENT_BYTES + 1)
        if len(data) != size or sha256(data).hexdigest() != digest:
            raise UserMistake(ALTERED)
        objects.put(path, memoryview(data))
        objects.settle(path.rpartition("/")[0])


def _parsed(line: bytes) -> tuple[str, int, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise UserMistake(ALTERED)
    return found[1].decode(), int(found[2]), found[3].decode()


def _check(shelf: Shelf, kept: Kept) -> None:
    hash_, size = sha256(), 0
    with shelf.open(kept.name) as file:
        while part := file.read(2**20):
            hash_.update(part)
            size += len(part)
    if size != kept.size_bytes or hash_.hexdigest() != kept.sha256:
        raise UserMistake(ALTERED)


async def _end_sessions(url: URL) -> None:
    """Let nobody in by a session that may have been ended after the backup."""
    async with _begun(url) as connection:
        await connection.execute(text("DELETE FROM sessions"))
