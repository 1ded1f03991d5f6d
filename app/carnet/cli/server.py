"""Serves an application on one socket until it is told to stop.

A first SIGINT, SIGTERM or SIGHUP lets running requests finish, a second one does not wait for them.
Uvicorn would raise the signal again at its end, and with it skip what its caller still has to
stop; so the signals are handled here, from before the start to after the end.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

import uvicorn
from starlette.types import ASGIApp

from carnet.cli.faults import explain
from carnet.errors import UserMistake
from carnet.http.operations.live import Live
from carnet.http.protocol import HttpProtocol

BACKLOG = 2048  # connections that wait to be accepted
KEEP_ALIVE = 75  # seconds: longer than the idle time of usual load balancers, 60
GRACE = 5  # seconds that running requests get after the first signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last: the terminal was closed

T = TypeVar("T")


class Workers(Protocol):
    """Processes that serve."""

    def stop(self) -> None:
        """Let them finish; when called again, do not wait for requests."""


class Stopper:
    """Hears `SIGNALS` for the process, whatever it is doing."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.server: uvicorn.Server | None = None
        self.workers: Workers | None = None
        self.task: asyncio.Task[Any] | None = None

    def hear(self) -> None:
        """Take one signal: let what serves finish, or, before it serves, give up starting."""
        is_second = self.is_stopping
        self.is_stopping = True
        if self.server is not None:
            self.server.should_exit = True
            self.server.force_exit = is_second
        elif self.workers is not None:
            self.workers.stop()
        elif self.task is not None:
            self.task.cancel()


class LedStopper(Stopper):
    """A worker's: all signals together count once, and only the supervisor says not to wait.

    systemd, for one, sends its signal to every process of a service, beside what the supervisor
    passes on.
    """

    def hear(self) -> None:
        """Take a signal; further ones change nothing."""
        if not self.is_stopping:
            super().hear()

    def force(self) -> None:
        """Take the supervisor's word that requests are not waited for."""
        super().hear()


def run_until_stopped(
    work: Callable[[Stopper], Coroutine[Any, Any, T]], stopper: Stopper | None = None
) -> T:
    """Run the work on a fast event loop, with the signals going to the stopper that it is handed.

    Raises:
        KeyboardInterrupt: a signal came before the work was done.
    """
    stopper = stopper or Stopper()

    async def watched() -> T:
        loop = asyncio.get_running_loop()
        stopper.task = asyncio.current_task()
        for number in SIGNALS:
            loop.add_signal_handler(number, stopper.hear)
        return await work(stopper)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(watched())
    except (Exception, asyncio.CancelledError):
        if stopper.is_stopping:  # Ctrl-C reaches our children too, and their failing is no news
            raise KeyboardInterrupt from None
        raise


def listen(host: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Return a listening socket.

    Args:
        host: the address.
        port: 0 takes a free one.
        shares_port: see `bind`.

    Raises:
        UserMistake: the port is taken or not allowed, or the address is not this machine's.
    """
    listening = bind(host, port, shares_port=shares_port)
    try:
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UserMistake(_why_not(error, host, port)) from error
    return listening


def bind(host: str, port: int, *, shares_port: bool = False) -> socket.socket:
    """Return a socket that has the address and does not listen yet.

    Args:
        host: the address.
        port: 0 takes a free one.
        shares_port: others who say so too may listen there as well. Linux spreads connections over
            them.

    Raises:
        UserMistake: the port is taken or not allowed, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise UserMistake(_why_not(error, host, port)) from error
    bound.setblocking(False)
    return bound


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    stopper: Stopper,
    announce: Callable[[], None],
    live: Live | None = None,
) -> None:
    """Serve until the stopper hears a signal, then close the application and the socket.

    Args:
        announce: called once, when requests are being answered.
        live: serves sockets, and sends everybody away when the end comes.
    """
    config = uvicorn.Config(
        app,
        # Both are called as the protocols that it knows are.
        http=cast(Any, live.http_protocol) if live else HttpProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the application reads X-Forwarded-For, and only trusted ones
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        ws=cast(Any, live.socket_protocol) if live else "none",
    )
    server = _Server(config, announce, live.drain if live else _nothing_open)
    stopper.server = server
    if stopper.is_stopping:
        server.should_exit = True
    await server.serve(sockets=[listening])


def _nothing_open() -> None:
    """Drain what holds no connection open."""


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, announce: Callable[[], None], drain: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._drain = drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken; set CARNET_PORT to another."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights; set CARNET_PORT to one above 1023."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"CARNET_HOST is {host!r}, which is no address of this machine."
    return explain(error)
