"""Quotas: what an account may send in a day."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.errors import QuotaExceeded
from carnet.messaging.tables import MessagingUsage
from carnet.store.database import Work

MOST_THREADS = 500  # that an account opens in a day: a practice that writes to all it saw
MOST_MESSAGES = 20_000  # that an account sends in a day: a laboratory
MOST_BYTES = 50 * 2**30  # that an account sends in a day, files included


async def count(
    work: Work, account_id: UUID, *, threads: int = 0, messages: int = 0, size: int = 0
) -> None:
    """Count what an account sends, for the day.

    Raises:
        QuotaExceeded: it is too much; nothing is counted then.
    """
    statement = upsert(MessagingUsage).values(
        account_id=account_id,
        day=int(work.now.timestamp()) // 86_400,
        threads=threads,
        messages=messages,
        bytes=size,
    )
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[MessagingUsage.account_id, MessagingUsage.day],
        set_={
            "threads": MessagingUsage.threads + new.threads,
            "messages": MessagingUsage.messages + new.messages,
            "bytes": MessagingUsage.bytes + new.bytes,
        },
    )
    found = (
        await work.session.execute(
            statement.returning(
                MessagingUsage.threads, MessagingUsage.messages, MessagingUsage.bytes
            )
        )
    ).one()
    if found[0] > MOST_THREADS or found[1] > MOST_MESSAGES or found[2] > MOST_BYTES:
        raise QuotaExceeded("That is all for today; go on tomorrow.")
