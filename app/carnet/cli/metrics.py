"""Gives metrics out, on a port of their own that only this machine reaches unless it is told to.

The public port has no such route, so no mistake in a proxy's rules can open it. With several
processes, each writes its numbers into files of one folder, and the supervisor adds them up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select

from carnet.cli.workspace import Workspace
from carnet.errors import UserMistake
from carnet.settings import Settings

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported
SAMPLING = 15  # seconds: how often Prometheus usually asks

_log = logging.getLogger(__name__)


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Let processes that are started from now on keep their numbers in one folder."""
    folder = Path(tempfile.mkdtemp(prefix="carnet-metrics-"))
    os.environ[FOLDER_VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[FOLDER_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def giving_out(settings: Settings, folder: Path | None = None) -> Iterator[None]:
    """Answer Prometheus while the block runs, if a port is set.

    Args:
        settings: say where.
        folder: of several processes; None gives out this one's own numbers.

    Raises:
        UserMistake: the port is taken, or the address is not this machine's.
    """
    if settings.metrics_port is None:
        yield
        return
    from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = REGISTRY
    if folder is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(
            settings.metrics_port, settings.metrics_host, registry=registry
        )
    except OSError as error:
        raise UserMistake(
            f"Metrics cannot be given out at {settings.metrics_host}:{settings.metrics_port}"
            f" (CARNET_METRICS_PORT): {error.strerror}."
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def forget_process(pid: int) -> None:
    """Count no longer what a process that has ended had open."""
    if FOLDER_VARIABLE in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def sampling(opened: Workspace, interval: float = SAMPLING) -> AsyncIterator[None]:
    """Keep the numbers of the database while the block runs."""
    from carnet.http.metrics import POOL

    def taken(*_connection: Any) -> None:
        POOL.inc()

    def given_back(*_connection: Any) -> None:
        POOL.dec()

    pool = opened.database.engine.sync_engine.pool
    event.listen(pool, "checkout", taken)
    event.listen(pool, "checkin", given_back)
    task = asyncio.create_task(_sample(opened, interval))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        event.remove(pool, "checkout", taken)
        event.remove(pool, "checkin", given_back)


async def _sample(opened: Workspace, interval: float) -> None:
    from carnet.access.journal_tables import UnsealedEntry
    from carnet.http.metrics import JOBS_DUE, UNSEALED
    from carnet.store.tables import Job

    while True:
        try:
            async with opened.database.read() as work:
                due = select(func.count()).select_from(Job).where(Job.due_at <= work.now)
                JOBS_DUE.set(await work.session.scalar(due) or 0)
                waiting = select(func.count()).select_from(UnsealedEntry)
                UNSEALED.set(await work.session.scalar(waiting) or 0)
        except Exception as error:  # the server goes on serving, whatever the database does
            _log.warning("the queue was not counted: %s", type(error).__name__)
        await asyncio.sleep(interval)
