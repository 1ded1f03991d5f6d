"""Results that a holder chose to see some days later: what waits for its days to be over.

The days decide by themselves (`carnet.access.rules`). So that whoever follows the record hears of
it then, a job for each result waits for its moment, and moves when the setting does;
`carnet.documents.delays` does it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from carnet.access.facts import DOCUMENTS, HOLDER_SIDE, RESULT_CATEGORIES
from carnet.access.tables import AccessSettings
from carnet.store.database import Work
from carnet.store.jobs import Asked, ask_all, hasten

JOB = "documents.delayed-result"
LONGEST_DELAY = 60  # days that results may be kept from the holder at their own wish


async def lost(work: Work, record_id: UUID, days: int, former_days: int) -> list[UUID]:
    """Return the results that the holder saw while they waited for fewer days, and sees no more.

    All versions of each; without what is hidden from them for another reason.
    """
    statement = select(DOCUMENTS.c.id).where(
        DOCUMENTS.c.record_id == record_id,
        DOCUMENTS.c.category.in_(RESULT_CATEGORIES),
        DOCUMENTS.c.depositor.not_in(HOLDER_SIDE),
        DOCUMENTS.c.status != "WITHDRAWN",
        DOCUMENTS.c.deposited_at <= work.now - timedelta(days=former_days),
        DOCUMENTS.c.deposited_at > work.now - timedelta(days=days),
        or_(
            DOCUMENTS.c.hidden_from_holder_until.is_(None),
            DOCUMENTS.c.hidden_from_holder_until <= work.now,
        ),
    )
    return list(await work.session.scalars(statement.order_by(DOCUMENTS.c.id)))


async def lost_by_category(
    work: Work, record_id: UUID, document_ids: Collection[UUID]
) -> list[UUID]:
    """Return those of the documents, results since this transaction, that the holder saw before."""
    chosen = select(AccessSettings.hide_results_days).where(AccessSettings.record_id == record_id)
    days = await work.session.scalar(chosen)
    lost_now = await lost(work, record_id, days, 0) if days and document_ids else []
    return [id_ for id_ in lost_now if id_ in document_ids]


async def wait_for(
    work: Work, document_ids: Collection[UUID], record_ids: Collection[UUID] = ()
) -> None:
    """Have what is a result and too new for the holder told when its days are over.

    Args:
        work: the transaction, in which the rows are written already.
        document_ids: documents that came, or changed.
        record_ids: records whose holder chose another number of days. What waited and need not
            any more is told at once.
    """
    days = func.coalesce(AccessSettings.hide_results_days, 0)
    array = ARRAY(PG_UUID(as_uuid=True))
    longest = work.now - timedelta(days=LONGEST_DELAY)
    of_record = DOCUMENTS.c.record_id == any_(literal(sorted(record_ids), array))
    statement = (
        select(DOCUMENTS.c.id, DOCUMENTS.c.deposited_at, days)
        .join(AccessSettings, AccessSettings.record_id == DOCUMENTS.c.record_id, isouter=True)
        .where(
            or_(DOCUMENTS.c.id == any_(literal(sorted(document_ids), array)), of_record),
            DOCUMENTS.c.category.in_(RESULT_CATEGORIES),
            DOCUMENTS.c.depositor.not_in(HOLDER_SIDE),
            DOCUMENTS.c.status == "CURRENT",
            DOCUMENTS.c.deposited_at > longest,
            or_(days > 0, of_record),
        )
    )
    waiting, over = [], []
    for id_, deposited_at, chosen in await work.session.execute(statement):
        visible_at = deposited_at + timedelta(days=chosen)
        if visible_at > work.now:
            waiting.append(Asked(str(id_), visible_at, {"document_id": str(id_)}))
        else:
            over.append(str(id_))
    await ask_all(work, JOB, waiting)
    await hasten(work, JOB, over)
