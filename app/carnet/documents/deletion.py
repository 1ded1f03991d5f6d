"""Erases the documents of records: the rows, and the keys without which no content is readable."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select

from carnet.documents.tables import Document, DocumentContent, DocumentWithdrawal
from carnet.store.blobs import BlobStore
from carnet.store.database import Work

TABLES = (DocumentWithdrawal, Document)
"""What hangs from a record here; contents hang from documents."""


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete it all and destroy the keys at once; the sweeper deletes the files later.

    The caller holds the records' rows, so that nothing is deposited meanwhile.
    """
    documents = select(Document.id).where(Document.record_id.in_(record_ids))
    blob_ids = await work.session.scalars(
        delete(DocumentContent)
        .where(DocumentContent.document_id.in_(documents))
        .returning(DocumentContent.blob_id)
    )
    await BlobStore.destroy(work, blob_ids.all())
    for table in TABLES:
        await work.session.execute(delete(table).where(table.record_id.in_(record_ids)))
