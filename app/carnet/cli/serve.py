"""``carnet serve`` and ``carnet demo``: the server, alone or with the sandbox."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.cli.server import Stopper
    from carnet.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

SERVE_EXAMPLES = """\
\b
Examples:
  carnet serve
  carnet serve --workers 4
  CARNET_DATABASE_URL=postgresql://carnet_server@db/carnet CARNET_MODE=production carnet serve
"""
DEMO_EXAMPLES = """\
\b
Examples:
  carnet demo
  CARNET_PORT=8080 CARNET_DATA_DIR=/tmp/carnet carnet demo
"""


def address_options(command: F) -> F:
    """Add ``--host`` and ``--port``."""
    host = click.option("--host", metavar="ADDRESS", help="Serve on this address. [CARNET_HOST]")
    port = click.option(
        "--port", type=click.IntRange(1, 65535), help="Serve on this port. [CARNET_PORT, or 8000]"
    )
    return host(port(command))


@click.command(epilog=SERVE_EXAMPLES)
@address_options
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Serve with so many processes. [CARNET_WORKERS, or 1]",
)
@click.option("--worker-socket", type=int, hidden=True)  # what a supervisor hands on
@click.option(
    "--access-log/--no-access-log",
    default=True,
    help="Write a line of JSON to stderr for each request; it names no person.",
)
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    worker_socket: int | None,
    access_log: bool,
) -> None:
    """Serve GraphQL, uploads, downloads and intake until Ctrl-C.

    Starts its own PostgreSQL in the data folder unless CARNET_DATABASE_URL names one.
    """
    settings = _settings(host, port)
    if worker_socket is not None:
        _run_worker(settings, worker_socket, has_access_log=access_log)
    else:
        count = workers or settings.workers
        _run(settings, is_demo=False, has_access_log=access_log, workers=count)


@click.command(epilog=DEMO_EXAMPLES)
@address_options
def demo(host: str | None, port: int | None) -> None:
    """Serve a sandbox with invented people.

    Prints how to sign in and what to try. The first time it fills the data folder; later starts
    find everything as it was left.
    """
    _run(_settings(host, port), is_demo=True, has_access_log=False)


def _settings(host: str | None, port: int | None) -> Settings:
    from carnet.settings import Settings

    settings = Settings.from_env()
    return replace(settings, host=host or settings.host, port=port or settings.port)


def _run(settings: Settings, *, is_demo: bool, has_access_log: bool, workers: int = 1) -> None:
    from carnet.cli.server import listen, run_until_stopped
    from carnet.settings import Mode
    from carnet.store.embedded import hold

    if is_demo and settings.mode is Mode.PRODUCTION:
        raise UserMistake("The sandbox is not for production; unset CARNET_MODE.")
    if workers > 1 and (settings.broadcast_url or "").startswith("memory:"):
        raise UserMistake("CARNET_BROADCAST_URL is memory://, which links no workers.")
    _log_to_stderr(has_access_log)
    with ExitStack() as held:
        if settings.database_url is None:
            held.enter_context(hold(settings.data_dir))
        listening = held.enter_context(listen(settings.host, settings.port))

        async def work(stopper: Stopper) -> None:
            starting = "PostgreSQL" if settings.database_url is None else "the database"
            click.echo(f"Carnet: opening {starting}…", err=True)
            if workers > 1:
                log = "--access-log" if has_access_log else "--no-access-log"
                words = ("--host", settings.host, "--port", str(settings.port), log)
                await _supervise(settings, listening, stopper, workers, words)
            else:
                await _serve(settings, listening, stopper, is_demo=is_demo)
            click.echo("Carnet has stopped.", err=True)

        run_until_stopped(work)


def _run_worker(settings: Settings, number: int, *, has_access_log: bool) -> None:
    from socket import socket

    from carnet.cli.server import run_until_stopped
    from carnet.cli.workers import READY, end_with_supervisor

    _log_to_stderr(has_access_log)
    with socket(fileno=number) as listening:
        listening.setblocking(False)

        async def work(stopper: Stopper) -> None:
            end_with_supervisor(stopper)
            await _serve(settings, listening, stopper, announcement=READY)

        run_until_stopped(work)


async def _supervise(
    settings: Settings, listening: Any, stopper: Stopper, count: int, words: tuple[str, ...]
) -> None:
    from carnet.cli.intake import local_server
    from carnet.cli.workers import Supervisor
    from carnet.cli.workspace import workspace

    def announce() -> None:
        address = local_server(settings)
        click.echo(f"Carnet serves {address} with {count} workers; Ctrl-C stops it.")

    async with workspace(settings):  # up to date, and kept running, for all of them
        supervisor = Supervisor(listening, count, words, announce)
        stopper.server = supervisor
        if not stopper.is_stopping:
            await supervisor.run()


async def _serve(
    settings: Settings,
    listening: Any,
    stopper: Stopper,
    *,
    is_demo: bool = False,
    announcement: str | None = None,
) -> None:
    from carnet.cli.application import application
    from carnet.cli.filling import fill
    from carnet.cli.intake import local_server
    from carnet.cli.server import serve as serve_until_stopped
    from carnet.cli.upkeep import upkeep
    from carnet.cli.welcome import welcome
    from carnet.cli.workspace import workspace

    def announce() -> None:
        address = local_server(settings)
        said = f"Carnet serves {address}; Ctrl-C stops it."
        click.echo(announcement or (welcome(address, settings) if is_demo else said))

    async with workspace(settings) as opened:
        if is_demo:
            await fill(opened)
        async with application(opened) as app, upkeep(opened):
            await serve_until_stopped(app, listening, stopper, announce, app.state.live)


def _log_to_stderr(has_access_log: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    access = logging.getLogger("carnet.access")
    access.setLevel(logging.INFO if has_access_log else logging.WARNING)
