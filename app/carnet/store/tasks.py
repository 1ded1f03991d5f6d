"""Tasks that run beside others, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

PATIENCE = 1  # seconds until a task that goes on is cancelled again


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks, and wait until they have ended, whatever with.

    A cancellation can be lost: `asyncio.wait_for` drops one that arrives as its work is done
    (before Python 3.12), and drivers turn one into an error of theirs. So it is said again.
    """
    waiting = {task for task in tasks if task is not None}
    while waiting:
        for task in waiting:
            task.cancel()
        done, waiting = await asyncio.wait(waiting, timeout=PATIENCE)
        for task in done:
            if not task.cancelled():
                task.exception()  # else asyncio reports that nobody asked
