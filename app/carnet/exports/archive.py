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
from carnet.documents.tables import Document, DocumentContent
from carnet.errors import ContentCorrupted
from carnet.exports import building, ips, profile, queries
from carnet.exports.building import Begun
from carnet.exports.facts import read_facts
from carnet.exports.journal import journal_archive
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


class Archive:
    """One archive in the making."""

    def __init__(self, database: Database, blobs: BlobStore, begun: Begun) -> None:
        self._database = database
        self._blobs = blobs
        self._begun = begun
        self._actor = begun.actor
        self._record_id = begun.record_id
        self._at = begun.requested_at  # the time of every file but the documents
        self._files: dict[tuple[UUID, int], str | None] = {}  # None: it cannot be read

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the archive.

        Raises:
            building.Stopped: whoever asked may not have it any more, or nobody waits for it.
            ContentUnavailable: the blob store does not answer.
        """
        with closing(ZipStream()) as zipped:
            async for piece in self._entries(zipped):
                yield piece
            yield zipped.end()

    async def _entries(self, zipped: ZipStream) -> AsyncIterator[bytes]:
        async for piece in zipped.add(README, _once(readme(self._at)), self._at):
            yield piece
        async for piece in zipped.add(SUMMARY, _once(await self._summary()), self._at):
            yield piece
        async for piece in zipped.add(PROFILE, self._profile(), self._at):
            yield piece
        async with aclosing(self._contents(zipped)) as contents:
            async for piece in contents:
                yield piece
        async for piece in zipped.add(LISTING, array(self._listing()), self._at):
            yield piece
        async with self._database.read() as work:
            scope = DelegationScope.JOURNAL
            has_journal = await queries.covers(self._actor, work, self._record_id, scope)
        if has_journal:
            async for piece in zipped.add(JOURNAL, self._journal(), self._at):
                yield piece

    async def _step(self, done: int = 1) -> None:
        async with self._database.write() as work:
            await building.step(work, self._begun, done=done)

    async def _summary(self) -> bytes:
        async with self._database.read() as work:
            facts = await read_facts(self._actor, work, self._record_id)
        summary = ips.bundle(facts, id_=self._begun.export_id, at=self._at)
        await self._step()
        return dumps(summary)

    async def _profile(self) -> AsyncIterator[bytes]:
        async for piece in profile.pieces(self._database, self._actor, self._record_id, self._at):
            yield piece
        await self._step()

    async def _journal(self) -> AsyncIterator[bytes]:
        await self._step(0)
        async with self._database.read() as work:
            async for piece in journal_archive(self._actor, work, self._record_id):
                yield piece
        await self._step()

    async def _contents(self, zipped: ZipStream) -> AsyncGenerator[bytes, None]:
        """Add the contents of all current documents."""
        async for page in self._pages(documents.DocumentFilter()):
            for document in page:
                async with self._database.write() as work:
                    await building.step(work, self._begun)
                    found = await documents.contents_of(self._actor, work, [document.id])
                for content, blob in found.get(document.id, ()):
                    async for piece in self._content(zipped, document, content, blob):
                        yield piece

    async def _content(
        self, zipped: ZipStream, document: Document, content: DocumentContent, blob: Blob
    ) -> AsyncIterator[bytes]:
        """Add one content, unless it is damaged: then it is only listed, as unreadable."""
        key = document.id, content.part
        size = blob.size_bytes or 0
        name = entry_name(document, content)
        try:
            held = await self._verified(blob, size)
        except ContentCorrupted:
            self._files[key] = None
            return
        source = _once(held) if held is not None else self._blobs.read(blob)
        async with aclosing(source) as pieces:
            async for piece in zipped.add(
                name,
                pieces,
                document.sort_at,
                size_bytes=size,
                is_compressed=is_worth_compressing(content.media_type),
            ):
                yield piece
        self._files[key] = name

    async def _verified(self, blob: Blob, size: int) -> bytes | None:
        """Read a content to its end, so that no file of the archive breaks off in the middle.

        Returns:
            The content when it is small, else None.
        """
        held = bytearray()
        async with aclosing(self._blobs.read(blob)) as pieces:
            async for piece in pieces:
                if size <= SMALL:
                    held += piece
        return bytes(held) if size <= SMALL else None

    async def _listing(self) -> AsyncIterator[dict[str, object]]:
        """Yield what is known of each document, former versions too."""
        async for page in self._pages(documents.DocumentFilter(with_former=True)):
            async with self._database.read() as work:
                ids = [document.id for document in page]
                contents = await documents.contents_of(self._actor, work, ids)
            for document in page:
                yield document_shape(document, contents.get(document.id, []), self._files)
        await self._step()

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
