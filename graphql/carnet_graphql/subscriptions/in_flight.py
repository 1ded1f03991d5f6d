"""What many ask for at the same moment, done once: a thousand clients come back together after a
server has restarted, with the same question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

R = TypeVar("R")


class InFlight:
    """What is being done, by what it is about. Nothing is remembered once it is done."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, act: Callable[[], Awaitable[R]]) -> R:
        """Return what comes of it, together with everybody who asks while it is being done.

        Who is cancelled stops waiting; it goes on for the others.
        """
        task: asyncio.Task[R] | None = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(_run(act))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled():
            task.exception()  # everybody who waited has it; perhaps nobody did any more


async def _run(act: Callable[[], Awaitable[R]]) -> R:
    return await act()
