"""The archive of a record, as a stream of bytes in flat memory.

Everything is read through the areas' own queries with the requester's rights, a page or a
document at a time, each in a short transaction that looks at those rights again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from uuid import UUID

from carnet.access.tables import DelegationScope
from carnet.documents import queries as documents
from carnet.documents.journal import archive as journal_archive
from carnet.documents.tables import Document
from carnet.errors import ContentCorrupted
from carnet.exports import building, ips, profile, queries
from carnet.exports.building import Begun
from carnet.exports.facts import read_facts
from carnet.exports.listing import document_shape
from carnet.exports.readme import readme
from carnet.exports.rules import entry_name, is_worth_compressing
from carnet.exports.writing import array, dumps
from carnet.exports.zipping import ZipStream
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.keyset import LARGEST_PAGE, PageRequest
from carnet.store.tables import Blob

SMALL = 8 * 2**20  # bytes: what is read once and held, instead of twice

README = "README.txt"
SUMMARY = "summary.json"
PROFILE = "profile.json"
LISTING = "documents/index.json"
JOURNAL = "journal.json"

_File = AsyncGenerator[bytes, None]


class Archive:
    """One archive in the making."""

    def __init__(
        self, database: Database, blobs: BlobStore, begun: Begun, public_key: bytes
    ) -> None:
        self._public_key = public_key  # of who signs the journal
        self._database = database
        self._blobs = blobs
        self._begun = begun
        self._actor = begun.actor
        self._record_id = begun.record_id
        self._at = begun.begun_at  # the time of every file but the documents
        self._names: dict[tuple[UUID, int], str | None] = {}  # None: it cannot be read

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the archive.

        Raises:
            building.Stopped: whoever asked may not have it any more, or nobody waits for it.
            ContentUnavailable: the blob store does not answer.
        """
        with closing(ZipStream()) as zipped:
            async with aclosing(self._files_of(zipped)) as files:
                async for file in files:
                    async with aclosing(file):
                        async for piece in file:
                            yield piece
            yield zipped.end()

    async def _files_of(self, zipped: ZipStream) -> AsyncGenerator[_File, None]:
        """Yield the files in their order, each as the bytes that the ZIP grows by."""
        yield zipped.add(README, _once(readme(self._at)), self._at)
        yield zipped.add(SUMMARY, _once(await self._summary()), self._at)
        yield zipped.add(PROFILE, self._profile(), self._at)
        async for page in self._pages(documents.DocumentFilter()):
            for document in page:
                async for file in self._contents(zipped, document):
                    yield file
        yield zipped.add(LISTING, self._listing(), self._at)
        async with self._database.read() as work:
            scope = DelegationScope.JOURNAL
            has_journal = await queries.covers(self._actor, work, self._record_id, scope)
        if has_journal:
            yield zipped.add(JOURNAL, self._journal(), self._at)

    async def _step(self, done: int = 1) -> None:
        async with self._database.write() as work:
            await building.step(work, self._begun, done=done)

    async def _summary(self) -> bytes:
        async with self._database.read() as work:
            facts = await read_facts(self._actor, work, self._record_id)
        summary = ips.bundle(facts, id_=self._begun.export_id, at=self._at)
        await self._step()
        return dumps(summary)

    async def _profile(self) -> AsyncGenerator[bytes, None]:
        async for piece in profile.pieces(self._database, self._actor, self._record_id, self._at):
            yield piece
        await self._step()

    async def _journal(self) -> AsyncGenerator[bytes, None]:
        await self._step(0)
        async with self._database.read() as work:
            journal = journal_archive(self._actor, work, self._record_id, self._public_key)
            async for piece in journal:
                yield piece
        await self._step()

    async def _contents(self, zipped: ZipStream, document: Document) -> AsyncIterator[_File]:
        """Yield the contents of a document. A damaged one is only listed, as unreadable."""
        async with self._database.write() as work:
            await building.step(work, self._begun)
            found = await documents.contents_of(self._actor, work, [document.id])
        for content, blob in found.get(document.id, ()):
            key = document.id, content.part
            try:
                held = await self._verified(blob)
            except ContentCorrupted:
                self._names[key] = None
                continue
            self._names[key] = entry_name(document, content)
            yield zipped.add(
                entry_name(document, content),
                self._blobs.read(blob) if held is None else _once(held),
                document.sort_at,
                size_bytes=blob.size_bytes or 0,
                is_compressed=is_worth_compressing(content.media_type),
            )

    async def _verified(self, blob: Blob) -> bytes | None:
        """Read a content to its end, so that no file of the archive breaks off in the middle.

        Returns:
            The content when it is small, else None.

        Raises:
            ContentCorrupted: it is not what was stored.
        """
        held = bytearray()
        size = blob.size_bytes or 0
        async with aclosing(self._blobs.read(blob)) as pieces:
            async for piece in pieces:
                if size <= SMALL:
                    held += piece
        return bytes(held) if size <= SMALL else None

    async def _listing(self) -> AsyncGenerator[bytes, None]:
        async for piece in array(self._listed()):
            yield piece
        await self._step()

    async def _listed(self) -> AsyncIterator[dict[str, object]]:
        """Yield what is known of each document, former versions too."""
        async for page in self._pages(documents.DocumentFilter(with_former=True)):
            async with self._database.read() as work:
                ids = [document.id for document in page]
                contents = await documents.contents_of(self._actor, work, ids)
                statuses = await documents.statuses_of(self._actor, work, ids)
            for document in page:
                if document.id in statuses:  # else it went meanwhile
                    parts = contents.get(document.id, [])
                    yield document_shape(document, statuses[document.id], parts, self._names)

    async def _pages(self, wanted: documents.DocumentFilter) -> AsyncIterator[list[Document]]:
        after: str | None = None
        while True:
            request = PageRequest.of(first=LARGEST_PAGE, after=after)
            async with self._database.read() as work:
                found = await documents.pages(
                    self._actor, work, [self._record_id], request, documents.OLDEST, wanted
                )
            page = found.get(self._record_id)
            if page is None:
                return
            yield list(page.items)
            if not page.has_next:
                return
            after = page.cursors[-1]


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data
