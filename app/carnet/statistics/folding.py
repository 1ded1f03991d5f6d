"""Folding the journal into counts, each entry exactly once.

The log gives every entry a number that is gapless and final. The counts and the number of the
next entry to fold change in one transaction, under the lock of that number, so that a crash, a
second process or a late entry neither loses an entry nor counts it twice.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from carnet.access.journal_tables import JournalEntry, JournalLeaf
from carnet.documents.tables import Document
from carnet.people.tables import Organization, Professional, Publisher
from carnet.statistics.rules import (
    USED,
    Cell,
    Entry,
    FeederKind,
    added,
    deposited,
    feeds,
)
from carnet.statistics.tables import Contribution, Counter, FoldPosition
from carnet.store.database import Database, Work

JOB = "statistics.fold"
BATCH = 2000  # entries in one transaction
INTERVAL = timedelta(minutes=1)
IDS_BATCH = 5000  # ids in one statement


async def run(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Fold all that was sealed: a repeating job. Returns when to do it again."""
    while await fold(database, BATCH) == BATCH:
        pass
    return database.clock.now() + INTERVAL


async def fold(database: Database, limit: int = BATCH) -> int:
    """Fold the next entries of the log, and return how many there were."""
    async with database.write() as work:
        position = await _lock(work)
        entries = await _sealed(work, position, limit)
        used = [entry for entry in entries if entry is not None and entry.action in USED]
        await _count(work, used)
        await _note_feeders(work, used)
        # What waits in the log is later than the last entry folded; at its end all is counted.
        last = next((entry for entry in reversed(entries) if entry is not None), None)
        is_behind = len(entries) == limit and last is not None
        await work.session.execute(
            update(FoldPosition).values(
                next_leaf=position + len(entries),
                folded_at=last.at if is_behind and last else work.now,
            )
        )
        return len(entries)


async def _lock(work: Work) -> int:
    """Return the number of the next leaf; whoever else folds waits until this is committed."""
    first = insert(FoldPosition).values(id=1, next_leaf=0, folded_at=work.now)
    await work.session.execute(first.on_conflict_do_nothing())
    position = select(FoldPosition.next_leaf).with_for_update()
    return (await work.session.scalars(position)).one()


async def _sealed(work: Work, position: int, limit: int) -> list[Entry | None]:
    """Return the entries from the position on, in the log's order, up to a gap.

    A leaf whose entry is past its retention is None.
    """
    columns = (
        JournalLeaf.index,
        JournalEntry.at,
        JournalEntry.action,
        JournalEntry.actor_kind,
        JournalEntry.actor_id,
        JournalEntry.object_ids,
        JournalEntry.details,
    )
    leaves = (
        select(*columns)
        .select_from(JournalLeaf)
        .join(JournalEntry, JournalEntry.id == JournalLeaf.entry_id, isouter=True)
        .where(JournalLeaf.index >= position)
        .order_by(JournalLeaf.index)
        .limit(limit)
    )
    found: list[Entry | None] = []
    for index, at, *rest in await work.session.execute(leaves):
        if index != position + len(found):
            break
        found.append(None if at is None else Entry(at, *rest))
    return found


async def _count(work: Work, entries: Sequence[Entry]) -> None:
    counts: Counts[Cell] = Counts()
    for entry in entries:
        counts.update(added(entry))
    rows = [
        {
            "metric": cell.metric.value,
            "period": cell.period,
            "dimension": cell.dimension,
            "value": n,
        }
        for cell, n in sorted(counts.items())
        if n
    ]
    if rows:
        adding = insert(Counter)
        await work.session.execute(
            adding.on_conflict_do_update(
                index_elements=[Counter.metric, Counter.period, Counter.dimension],
                set_={"value": Counter.value + adding.excluded.value},
            ),
            rows,
        )


async def _note_feeders(work: Work, entries: Sequence[Entry]) -> None:
    """Note who feeds for the first time: who acts, for whom, and who signed what they bring."""
    feeding = [entry for entry in entries if feeds(entry)]
    if not feeding:
        return
    actors = {
        kind: {e.actor_id for e in feeding if e.actor_kind == kind and e.actor_id is not None}
        for kind in ("PROFESSIONAL", "PUBLISHER")
    }
    documents = {id_ for entry in feeding for id_ in deposited(entry)}
    rpps = await _authors(work, documents)
    first_at = min(entry.at for entry in feeding)
    organizations = set(
        await work.session.scalars(
            select(Publisher.organization_id).where(Publisher.id.in_(actors["PUBLISHER"]))
        )
    )
    professionals = select(
        Professional.id, Professional.profession_code, Professional.organization_id
    )
    rows: dict[tuple[FeederKind, UUID], str] = {}
    acting = professionals.where(Professional.id.in_(actors["PROFESSIONAL"]))
    for id_, profession, organization_id in await work.session.execute(acting):
        rows[FeederKind.PROFESSIONAL, id_] = profession
        organizations.add(organization_id)
    for part in _parts(sorted(rpps)):
        signing = professionals.where(Professional.rpps.in_(part))
        for id_, profession, _ in await work.session.execute(signing):
            rows[FeederKind.PROFESSIONAL, id_] = profession
    establishments = select(
        Organization.id, func.coalesce(Organization.facility_type_code, "")
    ).where(Organization.id.in_(organizations - {None}))
    for id_, facility in await work.session.execute(establishments):
        rows[FeederKind.ORGANIZATION, id_] = facility
    if rows:
        await work.session.execute(
            insert(Contribution).on_conflict_do_nothing(),
            [
                {"kind": kind.value, "id": str(id_), "group": group, "first_at": first_at}
                for (kind, id_), group in rows.items()
            ],
        )


async def _authors(work: Work, documents: set[UUID]) -> set[str]:
    """Return the national numbers of the documents' authors, found by the documents' keys."""
    found: set[str] = set()
    for part in _parts(sorted(documents)):
        authors = select(func.unnest(Document.author_rpps)).where(Document.id.in_(part))
        found.update(await work.session.scalars(authors))
    return found


def _parts(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + IDS_BATCH] for start in range(0, len(items), IDS_BATCH)]
