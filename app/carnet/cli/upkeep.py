"""What a server does by itself while it serves: it sweeps uploads that nothing refers to, and
forgets old idempotency keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import uniform

from carnet.cli.workspace import Workspace
from carnet.store.idempotency import forget_old_keys
from carnet.store.sweeping import Sweeper

INTERVAL = 900  # seconds, give or take a fifth, so that many servers do not sweep at once
SOON = 1  # seconds until the next call where one call was not enough

_log = logging.getLogger(__name__)


@asynccontextmanager
async def upkeep(opened: Workspace, interval: float = INTERVAL) -> AsyncIterator[None]:
    """Sweep now and then while the block runs; a failed sweep is logged and tried again."""
    task = asyncio.create_task(_sweep(opened, interval))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(opened: Workspace, interval: float) -> None:
    sweeper = Sweeper(opened.blobs)
    while True:
        is_done = True
        try:
            is_done = (await sweeper.sweep(opened.database)).is_done
            async with opened.database.write() as work:
                await forget_old_keys(work)
        except Exception as error:  # the server goes on serving, whatever the store does
            _log.warning("sweeping failed: %s", type(error).__name__)
        await asyncio.sleep(uniform(0.8, 1.2) * interval if is_done else SOON)  # noqa: S311 — no secret
