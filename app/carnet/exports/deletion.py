"""Erases the exports of records, and the keys of their archives."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete

from carnet.exports.tables import Export
from carnet.store.blobs import BlobStore
from carnet.store.database import Work

TABLES = (Export,)
"""What hangs from a record here."""


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete them, whatever they are at. The caller holds the records' rows."""
    archives = await work.session.scalars(
        delete(Export).where(Export.record_id.in_(record_ids)).returning(Export.blob_id)
    )
    await BlobStore.destroy(work, [blob_id for blob_id in archives if blob_id is not None])
