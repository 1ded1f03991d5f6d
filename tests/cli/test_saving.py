"""A backup of a store that changes meanwhile, or that has lost something."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import URL, delete

from carnet.cli.saving import DUMP, save
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Database
from carnet.store.keys import FileKeyProvider
from carnet.store.manifests import Manifest
from carnet.store.objects import path_of, prefix_of
from carnet.store.sealing import CHUNK_BYTES, SEGMENT_BYTES
from carnet.store.shelves import Member, NewShelf, new_shelf
from carnet.store.signing import Signer
from carnet.store.tables import Blob

OWNER = "account:00000000-0000-0000-0000-000000000001"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.open(None, tmp_path, may_create=True)


async def stored(database: Database, blobs: BlobStore, *contents: bytes) -> list[StoredBlob]:
    async with database.write() as work:
        return [await blobs.put(work, OWNER, each, "text/plain") for each in contents]


class Meanwhile:
    """A shelf during whose dump something happens."""

    def __init__(self, shelf: NewShelf, happens: Path) -> None:
        self._shelf = shelf
        self._happens = happens

    @contextmanager
    def add(self, name: str) -> Iterator[Member]:
        with self._shelf.add(name) as member:
            yield member
        if name == DUMP:
            self._happens.unlink()


async def backed_up(
    owner_url: URL, blobs: BlobStore, signer: Signer, place: Path, losing: UUID | None = None
) -> Manifest:
    keys = blobs.keys
    assert isinstance(keys, FileKeyProvider)
    with new_shelf(place) as shelf:
        used: NewShelf = shelf
        if losing is not None:
            assert blobs.objects.folder is not None
            used = Meanwhile(shelf, blobs.objects.folder / path_of(losing, 0))
        return await save(owner_url, blobs.objects, keys, signer, used, lambda _doing: None)


@pytest.mark.parametrize("name", ["place", "place.tar"])
@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES + 7]
)
async def test_contents_of_any_size_are_whole(
    owner_url: URL,
    database: Database,
    blobs: BlobStore,
    signer: Signer,
    tmp_path: Path,
    size: int,
    name: str,
) -> None:
    await stored(database, blobs, bytes(size), b"another")
    manifest = await backed_up(owner_url, blobs, signer, tmp_path / name)
    assert (manifest.contents, manifest.lost, manifest.erased_meanwhile) == (2, 0, 0)
    assert manifest.objects == 1 + max(1, -(-size // SEGMENT_BYTES))


async def test_what_the_store_lost_is_counted(
    owner_url: URL, database: Database, blobs: BlobStore, signer: Signer, tmp_path: Path
) -> None:
    kept, lost = await stored(database, blobs, b"kept", b"lost")
    manifest = await backed_up(owner_url, blobs, signer, tmp_path / "place", lost.id)
    assert (manifest.contents, manifest.lost, manifest.erased_meanwhile) == (1, 1, 0)
    assert kept.id.hex in (tmp_path / "place/contents.list").read_text()


async def test_what_was_erased_meanwhile_is_counted_apart(
    owner_url: URL, database: Database, blobs: BlobStore, signer: Signer, tmp_path: Path
) -> None:
    *_, erased = await stored(database, blobs, *(bytes([each]) for each in range(10)))
    dumped, gone = Event(), Event()

    class Waiting:
        """A shelf that waits after the dump until the content has been erased."""

        def __init__(self, shelf: NewShelf) -> None:
            self._shelf = shelf

        @contextmanager
        def add(self, name: str) -> Iterator[Member]:
            if name.startswith("contents/"):
                dumped.set()
                assert gone.wait(30)
            with self._shelf.add(name) as member:
                yield member

    async def erase() -> None:
        assert await asyncio.to_thread(dumped.wait, 30)
        async with database.write() as work:
            await work.session.execute(delete(Blob).where(Blob.id == erased.id))
        blobs.objects.delete_all(prefix_of(erased.id))
        gone.set()

    keys = blobs.keys
    assert isinstance(keys, FileKeyProvider)
    with new_shelf(tmp_path / "place") as shelf:
        # Nine before it: objects are read eight at a time, so it is still to be read.
        manifest, _ = await asyncio.gather(
            save(owner_url, blobs.objects, keys, signer, Waiting(shelf), lambda _doing: None),
            erase(),
        )
    assert (manifest.contents, manifest.lost, manifest.erased_meanwhile) == (9, 0, 1)
