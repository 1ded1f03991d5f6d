"""Documents that their depositor hides from the holder: told of in time, released in time.

After two weeks the holder is told that something awaits them, and not what. After a month the
document is theirs to see, by its own time and whether or not this ran; the journal then says so.

Source: Code de la santé publique, R1111-53.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, select, update

from carnet.access.facts import READABLE_STATES
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.documents.rules import HIDDEN_FROM_HOLDER
from carnet.documents.tables import Document, DocumentStatus
from carnet.notifications.actions import Notice, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.records.tables import Record
from carnet.records.transitions import parents_of
from carnet.store.database import Database, Work

JOB = "documents.announcements"
INTERVAL = timedelta(minutes=5)  # until the next look; a moved clock makes it due at once
BATCH = 1000  # documents in one transaction
TOLD_AFTER = timedelta(days=14)
RELEASE_RULE = "documents.released-after-a-month"


async def run(database: Database) -> datetime:
    """Tell of what waits, and write down what was released; returns when to look again."""
    for batch in (tell_batch, release_batch):
        more = True
        while more:
            async with database.write() as work:
                more = await batch(work, BATCH)
    return await _next_look(database)


async def _next_look(database: Database) -> datetime:
    """Return when the next document is released, so that it is told at once; soon in any case."""
    async with database.read() as work:
        statement = select(func.min(Document.hidden_from_holder_until)).where(
            Document.hidden_from_holder_until > work.now,
            Document.released_at.is_(None),
            Document.status != DocumentStatus.WITHDRAWN,
        )
        found = await work.session.scalar(statement)
        latest = work.now + INTERVAL
    return min(found, latest) if found is not None else latest


async def tell_batch(work: Work, limit: int) -> bool:
    """Tell holders, once for a document, of what is hidden still; says whether there may be more.

    The parents of a minor are told too, unless the document is hidden from them. In a record
    that its holder cannot read now, the document waits.
    """
    statement = (
        select(
            Document.id,
            Document.record_id,
            Document.is_hidden_from_representatives,
            Record.person_id,
        )
        .join(Record, Record.id == Document.record_id)
        .where(
            Document.hidden_from_holder_until > work.now,
            Document.hidden_from_holder_until <= work.now + HIDDEN_FROM_HOLDER - TOLD_AFTER,
            Document.released_at.is_(None),
            Document.holder_told_at.is_(None),
            Document.status == DocumentStatus.CURRENT,
            Record.state.in_(READABLE_STATES),
        )
        .order_by(Document.hidden_from_holder_until, Document.id)
        .limit(limit)
        .with_for_update(of=Document, skip_locked=True)
    )
    found = (await work.session.execute(statement)).all()
    parents = await parents_of(work, {row.person_id for row in found})
    notices = []
    for document_id, record_id, is_secret, person_id in found:
        people = {person_id} | (set() if is_secret else parents[person_id])
        notices += [
            Notice(each, NotificationKind.RESULT_AWAITS, document_id, record_id)
            for each in sorted(people)
        ]
    await notify_all(work, notices)
    await work.session.execute(
        update(Document)
        .where(Document.id.in_([row.id for row in found]))
        .values(holder_told_at=work.now)
        .execution_options(synchronize_session=False)
    )
    return len(found) == limit


async def release_batch(work: Work, limit: int) -> bool:
    """Write down what the holder may see by now; says whether there may be more."""
    statement = (
        select(Document.id, Document.record_id, Document.hidden_from_holder_until)
        .where(
            Document.hidden_from_holder_until <= work.now,
            Document.released_at.is_(None),
            Document.status != DocumentStatus.WITHDRAWN,
        )
        .order_by(Document.hidden_from_holder_until, Document.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = (await work.session.execute(statement)).all()
    if not found:
        return False
    released: dict[UUID, list[UUID]] = defaultdict(list)
    for document_id, record_id, _ in found:
        released[record_id].append(document_id)
    by_key = update(Document).where(Document.id == bindparam("key"))
    connection = await work.session.connection()
    await connection.execute(
        by_key, [{"key": id_, "released_at": released_at} for id_, _, released_at in found]
    )
    facts = [
        Fact(
            record_id, JournalAction.RELEASE_DOCUMENT, RELEASE_RULE, ObjectKind.DOCUMENT, tuple(ids)
        )
        for record_id, ids in released.items()
    ]
    await write(None, work, facts)
    return len(found) == limit
