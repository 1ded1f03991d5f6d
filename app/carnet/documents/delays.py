"""Results whose days are over: the holder sees them now, and is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from carnet.access.delays import JOB
from carnet.access.facts import HOLDER_SIDE, RESULT_CATEGORIES
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.queries import settings
from carnet.documents.journal import WAITED_RULE
from carnet.documents.tables import Document, DocumentStatus
from carnet.store.database import Database, Work
from carnet.store.jobs import drop


async def tell(database: Database, arguments: Mapping[str, Any]) -> datetime | None:
    """Write down that a result is the holder's to see; returns when to look again, if it is not.

    The job goes in the transaction of the entry, so the entry is written once. Nothing is written
    of a document that went meanwhile, or is hidden for another reason: its release tells of it.
    """
    id_ = UUID(arguments["document_id"])
    async with database.write() as work:
        document = await work.session.scalar(
            select(Document).where(Document.id == id_).with_for_update()
        )
        visible_at = await _visible_at(work, document) if document is not None else None
        if visible_at is not None and visible_at > work.now:
            return visible_at
        is_there = await drop(work, JOB, str(id_))
        if not is_there or document is None or visible_at is None:
            return None
        fact = Fact(
            document.record_id,
            JournalAction.RELEASE_DOCUMENT,
            WAITED_RULE,
            ObjectKind.DOCUMENT,
            (id_,),
            details={"category": document.category.value},
        )
        await write(None, work, [fact])
    return None


async def _visible_at(work: Work, document: Document) -> datetime | None:
    """Return when the holder's wish lets them see a result; None where nothing is to be told."""
    is_result = (
        document.status is DocumentStatus.CURRENT
        and document.category.value in RESULT_CATEGORIES
        and document.depositor.value not in HOLDER_SIDE
    )
    until = document.hidden_from_holder_until
    if not is_result or (until is not None and until > work.now):
        return None
    chosen = (await settings(work, [document.record_id])).get(document.record_id)
    return document.deposited_at + timedelta(days=chosen.hide_results_days if chosen else 0)
