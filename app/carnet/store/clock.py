"""The sandbox's clock: the machine's time plus an offset that is kept in the database.

``carnet sandbox clock --advance 6w`` moves the offset; a running server follows within a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from carnet.errors import ValidationFailed
from carnet.store.database import Database, Work
from carnet.store.tables import ClockOffset
from carnet.store.tasks import end

REFRESH_INTERVAL = 1.0  # seconds
FURTHEST = timedelta(days=365 * 100)  # sandboxes play a life, and dates must stay dates

_log = logging.getLogger(__name__)


class SandboxClock:
    """The machine's clock plus the offset as last read. Never used in production."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """Return the machine's time moved by the offset."""
        return datetime.now(UTC) + self.offset

    async def refresh(self, database: Database) -> None:
        """Read the offset."""
        async with database.read() as work:
            self.offset = await work.session.scalar(select(ClockOffset.moved_by)) or timedelta()

    @asynccontextmanager
    async def following(self, database: Database) -> AsyncIterator[None]:
        """Read the offset now, and again every second while the block runs.

        Raises:
            SQLAlchemyError: the first reading fails. A later one may: the offset stays then.
        """
        await self.refresh(database)
        follower = asyncio.create_task(self._follow(database))
        try:
            yield
        finally:
            await end(follower)

    async def _follow(self, database: Database) -> None:
        while True:
            await asyncio.sleep(REFRESH_INTERVAL)
            try:
                await self.refresh(database)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("the sandbox's clock was not read: %s", type(error).__name__)


async def move(work: Work, by: timedelta) -> timedelta:
    """Move the sandbox's clock forward.

    Args:
        work: a write; servers follow after it commits.
        by: how far, more than nothing.

    Returns:
        How far the clock is ahead of the machine's now.

    Raises:
        ValidationFailed: ``by`` does not go forward, or the clock would be a century ahead.
    """
    if by <= timedelta():
        raise ValidationFailed("The clock moves forward only.", path=("by",))
    if by > FURTHEST:
        raise ValidationFailed("The clock moves a hundred years at most.", path=("by",))
    new = insert(ClockOffset).values(id=1, moved_by=by)
    moved: timedelta | None = await work.session.scalar(
        new.on_conflict_do_update(
            index_elements=[ClockOffset.id],
            set_={"moved_by": ClockOffset.moved_by + new.excluded.moved_by},
            where=ClockOffset.moved_by + new.excluded.moved_by <= FURTHEST,
        ).returning(ClockOffset.moved_by)
    )
    if moved is None:
        raise ValidationFailed("The clock moves a hundred years at most.", path=("by",))
    return moved
