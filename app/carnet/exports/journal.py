"""The journal in an archive: entries that concern documents which the actor sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_

from carnet.access.journal import ObjectKind
from carnet.access.journal_tables import JournalEntry
from carnet.documents import queries as documents
from carnet.exports.writing import array
from carnet.people.actor import Actor
from carnet.store.database import Work

PAGE = 500  # entries read at a time


async def journal_archive(actor: Actor, work: Work, record_id: UUID) -> AsyncIterator[bytes]:
    """Yield the JSON list of the record's entries on documents, in their order."""
    async for piece in array(_entries(actor, work, record_id)):
        yield piece


async def _entries(actor: Actor, work: Work, record_id: UUID) -> AsyncIterator[dict[str, Any]]:
    place = tuple_(JournalEntry.chain, JournalEntry.number)
    of_documents = (
        JournalEntry.record_id == record_id,
        JournalEntry.object_kind == ObjectKind.DOCUMENT.value,
    )
    statement = select(JournalEntry).where(*of_documents).order_by(place).limit(PAGE)
    wanted = statement
    while rows := list(await work.session.scalars(wanted)):
        ids = {id_ for row in rows for id_ in row.object_ids}
        seen = await documents.by_ids(actor, work, ids)
        for row in rows:
            shown = [str(id_) for id_ in row.object_ids if id_ in seen]
            if shown:
                yield _shape(row, shown)
        wanted = statement.where(place > (rows[-1].chain, rows[-1].number))


def _shape(row: JournalEntry, object_ids: list[str]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "chain": row.chain.value,
        "number": row.number,
        "at": row.at,
        "actorKind": row.actor_kind,
        "actorId": str(row.actor_id) if row.actor_id else None,
        "onBehalfOf": str(row.on_behalf_of) if row.on_behalf_of else None,
        "action": row.action,
        "objectKind": row.object_kind,
        "objectIds": object_ids,
        "rule": row.rule,
        "isEmergency": row.is_emergency,
        "details": row.details,
    }
