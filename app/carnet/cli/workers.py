"""Several processes that serve one address, and the one that looks after them.

Each worker is started afresh, in a session of its own, so that Ctrl-C reaches the supervisor alone,
who passes it on. On Linux each has a socket of its own on the shared port: the kernel then spreads
connections evenly (on one shared socket, the busiest of four workers had eleven times as many as
the idlest), and one that dies takes no connections with it that others could have served.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from carnet.cli.metrics import forget_process
from carnet.cli.server import Stopper, bind, listen
from carnet.errors import UserMistake
from carnet.settings import Settings

STARTING = 120  # seconds until a worker must serve
SILENCE = 30  # seconds without a sign of life until a worker is killed
STOPPING = 30  # seconds that workers get to finish after the first signal
FORCED = 5  # seconds that they get after the second
FAILED_STARTS = 3  # in a row, with nobody serving, until there is no point in going on
FIRST_BACKOFF = 0.2  # seconds
LONGEST_BACKOFF = 10

_log = logging.getLogger(__name__)


class Supervisor:
    """Starts workers, replaces those that end, and stops all.

    Args:
        settings: handed to each worker through its environment.
        count: how many.
        has_access_log: whether they write one.
    """

    def __init__(self, settings: Settings, count: int, *, has_access_log: bool) -> None:
        if sys.platform == "win32":
            raise UserMistake("Several workers need Linux or another Unix; serve with one.")
        self._settings = settings
        self._count = count
        self._access_log = "--access-log" if has_access_log else "--no-access-log"
        self._doors: list[socket.socket] = []  # of workers that are still to be started
        self._shared: socket.socket | None = None  # where the kernel does not spread connections
        self._living: dict[Process, socket.socket] = {}  # with our end of the line to each
        self._serving: set[Process] = set()
        self._failed_starts = 0
        self._signals = 0
        self._is_stopping = asyncio.Event()
        self._announce: Callable[[], None] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hold the port while the block runs.

        Raises:
            UserMistake: it is taken or not allowed.
        """
        host, port = self._settings.host, self._settings.port
        with ExitStack() as held:
            first = listen(host, port)  # alone, so that nobody else shares it
            if sys.platform == "linux":
                first.close()
                self._doors = [listen(host, port, shares_port=True) for _ in range(self._count)]
            else:
                self._shared = held.enter_context(first)
            held.callback(self._close_doors)
            yield

    async def run(self, stopper: Stopper, announce: Callable[[], None]) -> None:
        """Keep the workers serving until the stopper hears a signal, and until they have ended.

        Args:
            stopper: calls `stop` from now on.
            announce: called once, when all of them serve.

        Raises:
            UserMistake: they end as soon as they start.
        """
        self._announce = announce
        stopper.workers = self
        tasks = [asyncio.create_task(self._keep_one()) for _ in range(self._count)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if not self._is_stopping.is_set():
                self.stop()
            await asyncio.wait(tasks)
        finally:
            self._kill()
        for task in tasks:
            task.result()

    def stop(self) -> None:
        """Let them finish; when called again, do not wait for requests."""
        self._signals += 1
        self._is_stopping.set()
        for process, line in self._living.items():
            _send(process, signal.SIGTERM)
            if self._signals > 1:
                with suppress(OSError):  # it has just ended
                    line.send(b"!")
        patience = STOPPING if self._signals == 1 else FORCED
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _kill(self) -> None:
        for process in self._living:
            _log.warning("worker %s does not end and is killed", process.pid)
            _send(process, signal.SIGKILL)

    def _close_doors(self) -> None:
        for door in self._doors:
            door.close()

    async def _keep_one(self) -> None:
        while not self._is_stopping.is_set():
            try:
                is_served = await self._run_one()
            except OSError as error:  # such as no memory, or no more processes, for now
                _log.warning("no worker could be started: %s", error.strerror)
                is_served = False
            if self._is_stopping.is_set():
                return
            self._failed_starts = 0 if is_served else self._failed_starts + 1
            if self._failed_starts >= FAILED_STARTS and not self._serving:
                raise UserMistake("The workers end as soon as they start; see above for why.")
            backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**self._failed_starts)
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff):
                    await self._is_stopping.wait()

    async def _run_one(self) -> bool:
        """Start a worker and wait until it has ended; tell whether it ever served."""
        ours, theirs = socket.socketpair()
        with ours, theirs, self._door() as door:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "carnet.cli.worker"),
                *(str(door.fileno()), str(theirs.fileno()), self._access_log),
                env=self._environment(),
                stdin=DEVNULL,
                pass_fds=(door.fileno(), theirs.fileno()),
                start_new_session=True,
            )
            self._living[process] = ours
            theirs.close()
            door.close()
            if self._is_stopping.is_set():  # while it was being started
                _send(process, signal.SIGTERM)
            try:
                is_served = await self._follow(process, ours)
                code = await process.wait()
            finally:
                del self._living[process]
                forget_process(process.pid)
                self._serving.discard(process)
        if not self._is_stopping.is_set():
            _log.warning("worker %s ended with %s; another one is started", process.pid, code)
        return is_served

    async def _follow(self, process: Process, line: socket.socket) -> bool:
        """Read a worker's signs of life until it ends or must be killed."""
        loop = asyncio.get_running_loop()
        while True:
            patience = SILENCE if process in self._serving else STARTING
            try:
                async with asyncio.timeout(patience):
                    beats = await loop.sock_recv(line, 4096)
            except TimeoutError:
                waiting = _waiting(line)  # when it was us who stood still
                if waiting is None:
                    _log.warning("worker %s gives no sign of life and is killed", process.pid)
                    _send(process, signal.SIGKILL)
                    return process in self._serving
                beats = waiting
            except OSError:
                beats = b""
            if not beats:
                return process in self._serving
            self._serving.add(process)
            if self._announce is not None and len(self._serving) == self._count:
                self._announce()
                self._announce = None

    def _door(self) -> socket.socket:
        """Return a socket for a new worker.

        The first ones listen already, so that the port is ours; later ones do when they serve, so
        that nobody waits for them.
        """
        if self._shared is not None:
            return self._shared.dup()
        if self._doors:
            return self._doors.pop()
        return bind(self._settings.host, self._settings.port, shares_port=True)

    def _environment(self) -> dict[str, str]:
        own = {"CARNET_HOST": self._settings.host, "CARNET_PORT": str(self._settings.port)}
        return {**os.environ, **own}


def _waiting(line: socket.socket) -> bytes | None:
    """Return what waits to be read: nothing at the end, None when there is nothing yet."""
    try:
        return line.recv(4096)
    except BlockingIOError:
        return None


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
