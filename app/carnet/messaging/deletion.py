"""Erases what a person wrote and was written to, with the record that is deleted.

The directory's log keeps its leaves: without entry and blind they say nothing of anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select

from carnet.access.facts import RECORDS
from carnet.messaging.tables import (
    Message,
    MessageAttachment,
    MessagingAccount,
    Thread,
)
from carnet.store.blobs import BlobStore
from carnet.store.database import Work

TABLES = (Thread, MessagingAccount)
"""What hangs from a person here."""


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete the threads and accounts of the records' holders. The caller holds the records."""
    holders = select(RECORDS.c.person_id).where(RECORDS.c.id.in_(record_ids))
    messages = (
        select(Message.id)
        .join(Thread, Thread.id == Message.thread_id)
        .where(Thread.person_id.in_(holders))
    )
    files = await work.session.scalars(
        delete(MessageAttachment)
        .where(MessageAttachment.message_id.in_(messages))
        .returning(MessageAttachment.blob_id)
        .execution_options(synchronize_session=False)
    )
    await BlobStore.destroy(work, list(files))
    for table in TABLES:
        await work.session.execute(
            delete(table)
            .where(table.person_id.in_(holders))
            .execution_options(synchronize_session=False)
        )
