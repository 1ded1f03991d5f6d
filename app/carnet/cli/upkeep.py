"""What a server does by itself while it serves: the jobs of the queue, sweeping uploads that
nothing refers to, forgetting old idempotency keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import uniform

from carnet.access import sealing
from carnet.cli.jobs import ensure_recurring, handlers
from carnet.cli.workspace import Workspace
from carnet.notifications.delivering import JOBS
from carnet.store.idempotency import forget_old_keys
from carnet.store.jobs import Handler, Worker
from carnet.store.sweeping import Sweeper
from carnet.store.tasks import end

INTERVAL = 900  # seconds, give or take a fifth, so that many servers do not sweep at once
SOON = 1  # seconds until the next call where one call was not enough
POLL = 1  # seconds between two looks into the queue; the sandbox's clock is followed as often
WORKERS = 2  # so that one long job does not hold up the others

_log = logging.getLogger(__name__)


@asynccontextmanager
async def upkeep(opened: Workspace, interval: float = INTERVAL) -> AsyncIterator[None]:
    """Look after things while the block runs; what fails is logged and tried again."""
    tasks = [asyncio.create_task(_sweep(opened, interval))]
    others = handlers(opened)
    alone = [sealing.JOB, *(JOBS[sender.channel] for sender in opened.channels.senders)]
    kinds = [{kind: others.pop(kind)} for kind in alone]  # wait for no export, nor for each other
    kinds += [others] * WORKERS
    tasks += [asyncio.create_task(_work(opened, each)) for each in kinds]
    try:
        yield
    finally:
        await end(*tasks)


async def _work(opened: Workspace, kinds: Mapping[str, Handler]) -> None:
    worker = Worker(opened.database.at_length(), kinds)
    is_ready = False
    while True:
        try:
            if not is_ready:
                await ensure_recurring(opened)
                is_ready = True
            await worker.run_due()
        except Exception as error:  # the server goes on serving, whatever the database does
            _log.warning("the queue was not worked off: %s", type(error).__name__)
        await asyncio.sleep(POLL)


async def _sweep(opened: Workspace, interval: float) -> None:
    sweeper, database = Sweeper(opened.blobs), opened.database.at_length()
    while True:
        is_done = True
        try:
            is_done = (await sweeper.sweep(database)).is_done
            async with database.write() as work:
                await forget_old_keys(work)
        except Exception as error:  # the server goes on serving, whatever the store does
            _log.warning("sweeping failed: %s", type(error).__name__)
        await asyncio.sleep(uniform(0.8, 1.2) * interval if is_done else SOON)  # noqa: S311 — no secret
