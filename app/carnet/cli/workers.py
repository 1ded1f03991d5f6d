"""``carnet serve --workers N``: processes that serve one socket, looked after by another.

The socket is opened once and handed on, so a worker that dies takes no waiting connection with
it. Each worker is a whole server (its own pool, hub and background work); a worker ends when the
pipe from its supervisor does, so none is left over whatever happens to that.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

import click

from carnet.cli.server import Stopper
from carnet.errors import UserMistake

READY = "ready"
COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()", "serve")
EARLY = 10.0  # seconds within which an end counts as failing to start
TRIES = 3  # failed starts in a row before giving up
BACKOFF = 0.5  # seconds before a worker is started again, longer each time


class Supervisor:
    """Keeps so many workers running. A `Stopper` stops it as it stops a server."""

    def __init__(
        self,
        listening: socket.socket,
        count: int,
        words: Sequence[str],
        announce: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            listening: the socket that they serve.
            count: of workers.
            words: further options of ``carnet serve`` for each.
            announce: called once, when all of them serve.
        """
        self._listening = listening
        self._count = count
        self._words = words
        self._announce = announce
        self._processes: set[Process] = set()
        self._ready: set[Process] = set()
        self._is_announced = False
        self._stopping = asyncio.Event()
        self._failures = 0

    @property
    def should_exit(self) -> bool:
        """Whether the workers were told to stop."""
        return self._stopping.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value and not self._stopping.is_set():
            self._stopping.set()
            self._tell(signal.SIGTERM)

    @property
    def force_exit(self) -> bool:
        """Whether they were told not to finish what they do."""
        return False

    @force_exit.setter
    def force_exit(self, value: bool) -> None:
        if value:
            self._tell(signal.SIGTERM)

    async def run(self) -> None:
        """Keep the workers running until the end.

        Raises:
            UserMistake: they end as soon as they start; they have said why.
        """
        slots = [asyncio.create_task(self._keep()) for _ in range(self._count)]
        try:
            await asyncio.gather(*slots)
        finally:
            self._stopping.set()
            self._tell(signal.SIGTERM)
            for slot in slots:
                slot.cancel()
            await asyncio.gather(*slots, return_exceptions=True)

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            began = monotonic()
            is_ready = await self._one()
            if self._stopping.is_set():
                return
            self._failures = 0 if is_ready else self._failures + 1
            if self._failures >= TRIES:
                raise UserMistake("The workers end as soon as they start.")
            click.echo("Carnet: a worker ended; another takes its place.", err=True)
            if monotonic() - began < EARLY:
                with suppress(TimeoutError):
                    async with asyncio.timeout(BACKOFF * (self._failures + 1)):
                        await self._stopping.wait()

    async def _one(self) -> bool:
        """Run one worker to its end; returns whether it ever served."""
        number = self._listening.fileno()
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "--worker-socket",
            str(number),
            *self._words,
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[number],
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
        self._processes.add(process)
        try:
            if self._stopping.is_set():
                process.send_signal(signal.SIGTERM)
            assert process.stdout is not None  # noqa: S101 — asked for above
            async for line in process.stdout:
                if line.decode().strip() == READY:
                    self._ready.add(process)
                    self._serves()
            await process.wait()
            return process in self._ready
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
        finally:
            self._processes.discard(process)
            self._ready.discard(process)

    def _serves(self) -> None:
        if not self._is_announced and len(self._ready) == self._count:
            self._is_announced = True
            self._announce()

    def _tell(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)


def end_with_supervisor(stopper: Stopper) -> None:
    """Stop this worker when the pipe from its supervisor ends."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _ended, loop, stopper)


def _ended(loop: asyncio.AbstractEventLoop, stopper: Stopper) -> None:
    loop.remove_reader(sys.stdin.fileno())
    stopper.hear()
