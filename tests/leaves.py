"""Puts the journal's entries into the log's order, as sealing does, without hashes."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from carnet.access.journal_tables import JournalEntry, JournalLeaf, UnsealedEntry
from carnet.store.database import Database


async def lay(database: Database, limit: int | None = None) -> int:
    """Give the oldest entries that wait their places, and return how many they were."""
    async with database.write() as work:
        first = await work.session.scalar(select(func.count()).select_from(JournalLeaf))
        waiting = (
            select(JournalEntry.id)
            .join(UnsealedEntry, UnsealedEntry.entry_id == JournalEntry.id)
            .order_by(JournalEntry.at, JournalEntry.id)
            .limit(limit)
        )
        ids = list(await work.session.scalars(waiting))
        work.session.add_all(
            JournalLeaf(index=(first or 0) + place, entry_id=id_) for place, id_ in enumerate(ids)
        )
        await work.session.execute(delete(UnsealedEntry).where(UnsealedEntry.entry_id.in_(ids)))
        return len(ids)
