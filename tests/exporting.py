"""Records with documents and facts, and the archives that are made of them."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID
from zipfile import ZipFile

from sqlalchemy import select, update

from carnet.access.journal_tables import JournalEntry
from carnet.documents import actions as documents
from carnet.documents.tables import DocumentCategory
from carnet.exports import actions
from carnet.exports.jobs import handlers
from carnet.exports.tables import Export
from carnet.people.actor import Actor, Patient, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.jobs import Worker
from carnet.store.tables import Blob, Job


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def deposit(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    record_id: UUID,
    title: str,
    content: AsyncIterator[bytes] | bytes,
    *,
    media_type: str = "text/plain",
    category: DocumentCategory = DocumentCategory.PERSONAL,
    started_at: datetime | None = None,
    replaces: UUID | None = None,
) -> UUID:
    """Deposit a document as the holder, and return its id."""
    chunks = once(content) if isinstance(content, bytes) else content
    blob = await blobs.receive(
        database, actor_key(holder), chunks, media_type=media_type, limit_bytes=2**31
    )
    draft = documents.DocumentDraft(title, category, service_started_at=started_at)
    async with database.write() as work:
        if replaces is None:
            row = await documents.deposit(holder, work, blobs, record_id, blob.id, draft)
        else:
            row = await documents.replace(holder, work, blobs, replaces, blob.id, draft)
        return row.id


async def ask(database: Database, actor: Actor, record_id: UUID) -> UUID:
    """Ask for an export, and return its id."""
    async with database.write() as work:
        return (await actions.request(actor, work, record_id)).id


async def work_off(database: Database, blobs: BlobStore) -> int:
    """Do the jobs of exports that are due, and return how many were tried."""
    return await Worker(database, handlers(blobs, bytes(32))).run_due()


async def export_of(database: Database, export_id: UUID) -> Export:
    async with database.read() as work:
        return (await work.session.scalars(select(Export).where(Export.id == export_id))).one()


async def bytes_of(database: Database, blobs: BlobStore, export_id: UUID) -> bytes:
    export = await export_of(database, export_id)
    async with database.read() as work:
        blob = await work.session.get_one(Blob, export.blob_id)
    return b"".join([piece async for piece in blobs.read(blob)])


async def archive_of(database: Database, blobs: BlobStore, export_id: UUID) -> ZipFile:
    zipped = ZipFile(io.BytesIO(await bytes_of(database, blobs, export_id)))
    assert zipped.testzip() is None
    return zipped


async def exported(database: Database, blobs: BlobStore, actor: Actor, record_id: UUID) -> ZipFile:
    """Ask for an export, make it, and return the archive."""
    export_id = await ask(database, actor, record_id)
    assert await work_off(database, blobs) == 1
    return await archive_of(database, blobs, export_id)


def read(zipped: ZipFile, name: str) -> Any:
    return json.loads(zipped.read(name))


async def events(database: Database, record_id: UUID) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what the journal says of exports of the record."""
    async with database.read() as work:
        rows = await work.session.scalars(
            select(JournalEntry)
            .where(JournalEntry.record_id == record_id, JournalEntry.action == "EXPORT")
            .order_by(JournalEntry.number)
        )
        return [(row.actor_kind, row.rule, row.details) for row in rows]


async def end_leases(database: Database) -> None:
    """Let the leases of a killed process run out at once."""
    async with database.write() as work:
        await work.session.execute(update(Job).values(leased_until=None))
