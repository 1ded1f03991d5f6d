"""One of the processes of ``carnet serve --workers N``; `carnet.cli.workers` starts it.

It has a line to its supervisor: a byte when it serves and then every second, so that a process that
hangs is noticed. A byte from the other side says not to wait for requests. When the line ends, the
supervisor is gone, and the worker stops as at a signal.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from carnet.cli import YOUNG
from carnet.cli.faults import run

if TYPE_CHECKING:
    from carnet.cli.server import LedStopper, Stopper

BEAT = 1.0  # seconds


@click.command()
@click.argument("listening", type=int)
@click.argument("line", type=int)
@click.option("--access-log/--no-access-log")
def worker(listening: int, line: int, access_log: bool) -> None:
    """Serve on an inherited socket. Both arguments are file descriptors."""
    from carnet.cli.logs import log_to_stderr
    from carnet.cli.serve import serve_here
    from carnet.cli.server import LedStopper, run_until_stopped
    from carnet.settings import Settings

    log_to_stderr(access_log)
    settings = Settings.from_env()
    with socket.socket(fileno=listening) as door, socket.socket(fileno=line) as to_supervisor:
        door.setblocking(False)
        to_supervisor.setblocking(False)

        led = LedStopper()

        async def work(stopper: Stopper) -> None:
            is_serving = asyncio.Event()
            tasks = [
                asyncio.create_task(_beat(to_supervisor, is_serving)),
                asyncio.create_task(_obey(to_supervisor, led)),
            ]
            try:
                await serve_here(settings, door, stopper, is_serving.set)
            finally:
                for task in tasks:
                    task.cancel()

        run_until_stopped(work, led)


async def _beat(line: socket.socket, is_serving: asyncio.Event) -> None:
    await is_serving.wait()
    while True:
        with suppress(OSError):  # a supervisor that does not read; its end is heard elsewhere
            line.send(b".")
        await asyncio.sleep(BEAT)


async def _obey(line: socket.socket, stopper: LedStopper) -> None:
    with suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(line, 1):
            stopper.force()
    stopper.hear()


if __name__ == "__main__":
    gc.set_threshold(YOUNG)
    sys.exit(run(worker, sys.argv[1:]))
