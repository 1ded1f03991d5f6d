"""Quotas: what an account may send in a minute and in a day.

They are counted in the database under the row's lock, so that a thousand sends at once count a
thousand. Who is over a quota is refused, and what was counted goes with the transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from carnet.errors import QuotaExceeded
from carnet.messaging.tables import MessagingUsage
from carnet.store.database import Work

MOST_THREADS = 500  # that an account opens in a day: a practice that writes to all it saw
MOST_MESSAGES = 20_000  # that an account sends in a day: a laboratory
MOST_IN_A_MINUTE = 600  # messages: nobody types ten a second, software slows down
MOST_BYTES = 50 * 2**30  # that an account sends in a day, files included

DAY = 86_400  # seconds


async def count(
    work: Work, account_id: UUID, *, threads: int = 0, messages: int = 0, size: int = 0
) -> None:
    """Count what an account sends.

    Raises:
        QuotaExceeded: it is too much for now; nothing is counted then.
    """
    statement = counting(
        account_id=account_id, now=work.now, threads=threads, messages=messages, size=size
    )
    check((await work.session.execute(statement)).one(), work.now)


def counting(
    *, account_id: UUID, now: datetime, threads: int, messages: int, size: int
) -> ReturningInsert[int, int, int, int]:
    """Return the statement that counts, and gives what `check` takes."""
    seconds = int(now.timestamp())
    statement = upsert(MessagingUsage).values(
        account_id=account_id,
        day=seconds // DAY,
        threads=threads,
        messages=messages,
        bytes=size,
        minute=seconds % DAY // 60,
        minute_messages=messages,
    )
    new = statement.excluded
    is_same = MessagingUsage.minute == new.minute
    statement = statement.on_conflict_do_update(
        index_elements=[MessagingUsage.account_id, MessagingUsage.day],
        set_={
            "threads": MessagingUsage.threads + new.threads,
            "messages": MessagingUsage.messages + new.messages,
            "bytes": MessagingUsage.bytes + new.bytes,
            "minute": new.minute,
            "minute_messages": new.minute_messages
            + case((is_same, MessagingUsage.minute_messages), else_=0),
        },
    )
    return statement.returning(
        MessagingUsage.threads,
        MessagingUsage.messages,
        MessagingUsage.bytes,
        MessagingUsage.minute_messages,
    )


def check(counted: Any, now: datetime) -> None:
    """Check what has been counted: threads, messages and bytes of the day, messages of the minute.

    Raises:
        QuotaExceeded: it is too much; ``until`` says for how long.
    """
    threads, messages, size, in_minute = counted
    seconds = int(now.timestamp())
    if threads > MOST_THREADS or messages > MOST_MESSAGES or size > MOST_BYTES:
        tomorrow = datetime.fromtimestamp((seconds // DAY + 1) * DAY, UTC)
        raise QuotaExceeded("That is all for today; go on tomorrow.", until=tomorrow)
    if in_minute > MOST_IN_A_MINUTE:
        next_minute = datetime.fromtimestamp(seconds // 60 * 60, UTC) + timedelta(minutes=1)
        raise QuotaExceeded("Too many messages in a minute; slow down.", until=next_minute)
