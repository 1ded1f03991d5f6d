"""``carnet serve`` and ``carnet demo``: the server, alone or with the sandbox."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from carnet.errors import UserMistake
from carnet.settings import MOST_WORKERS, Mode, Settings

if TYPE_CHECKING:
    from carnet.cli.server import Stopper

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
    type=click.IntRange(1, MOST_WORKERS),
    help="Serve with so many processes. [CARNET_WORKERS, or 1]",
)
@click.option(
    "--access-log/--no-access-log",
    default=True,
    help="Write a line of JSON to stderr for each request; it names no person.",
)
def serve(host: str | None, port: int | None, workers: int | None, access_log: bool) -> None:
    """Serve GraphQL, uploads, downloads and intake until Ctrl-C.

    Starts its own PostgreSQL in the data folder unless CARNET_DATABASE_URL names one.
    """
    settings = _settings(host, port)
    settings = replace(settings, workers=workers or settings.workers)
    if settings.workers > 1:
        _run_workers(settings, has_access_log=access_log)
    else:
        _run(settings, is_demo=False, has_access_log=access_log)


@click.command(epilog=DEMO_EXAMPLES)
@address_options
def demo(host: str | None, port: int | None) -> None:
    """Serve a sandbox with invented people.

    Prints how to sign in and what to try. The first time it fills the data folder; later starts
    find everything as it was left.
    """
    _run(_settings(host, port), is_demo=True, has_access_log=False)


def _settings(host: str | None, port: int | None) -> Settings:
    settings = Settings.from_env()
    return replace(settings, host=host or settings.host, port=port or settings.port)


def _run(settings: Settings, *, is_demo: bool, has_access_log: bool) -> None:
    from carnet.cli.logs import log_to_stderr
    from carnet.cli.metrics import giving_out
    from carnet.cli.server import listen, run_until_stopped
    from carnet.store.embedded import hold

    if is_demo and settings.mode is Mode.PRODUCTION:
        raise UserMistake("The sandbox is not for production; unset CARNET_MODE.")
    _refuse_danger(settings)
    log_to_stderr(has_access_log, is_for_people=is_demo)
    with ExitStack() as held:
        if settings.database_url is None:
            held.enter_context(hold(settings.data_dir))
        listening = held.enter_context(listen(settings.host, settings.port))
        held.enter_context(giving_out(settings))

        async def work(stopper: Stopper) -> None:
            await _serve(settings, listening, stopper, is_demo=is_demo)

        run_until_stopped(work)


def _run_workers(settings: Settings, *, has_access_log: bool) -> None:
    from carnet.cli.logs import log_to_stderr
    from carnet.cli.metrics import giving_out, shared_folder
    from carnet.cli.server import run_until_stopped
    from carnet.cli.workers import Supervisor
    from carnet.cli.workspace import owner_url, workspace
    from carnet.people.oidc import load_providers
    from carnet.store.brokers import refuse_lonely_broker
    from carnet.store.embedded import hold

    refuse_lonely_broker(settings)
    _refuse_danger(settings)
    log_to_stderr(has_access_log)
    with ExitStack() as held:
        if settings.database_url is None:
            held.enter_context(hold(settings.data_dir))
        supervisor = Supervisor(settings, settings.workers, has_access_log=has_access_log)
        held.enter_context(supervisor.listening())
        if settings.metrics_port is not None:
            held.enter_context(giving_out(settings, held.enter_context(shared_folder())))

        async def work(stopper: Stopper) -> None:
            _say_opening(settings)
            with owner_url(settings):  # PostgreSQL outlives every worker
                async with workspace(settings):
                    if settings.oidc_file is not None:
                        load_providers(settings.oidc_file)
                # So what is wrong was told once, and migrations and keys were made once.
                await supervisor.run(stopper, lambda: _say_serving(settings))
            click.echo("Carnet has stopped.", err=True)

        run_until_stopped(work)


async def _serve(settings: Settings, listening: Any, stopper: Stopper, *, is_demo: bool) -> None:
    from carnet.cli.intake import local_server
    from carnet.cli.welcome import welcome

    def announce() -> None:
        if is_demo:
            click.echo(welcome(local_server(settings), settings))
        else:
            _say_serving(settings)

    _say_opening(settings)
    await serve_here(settings, listening, stopper, announce, is_demo=is_demo)
    click.echo("Carnet has stopped.", err=True)


async def serve_here(
    settings: Settings,
    listening: Any,
    stopper: Stopper,
    announce: Callable[[], None],
    *,
    is_demo: bool = False,
) -> None:
    """Serve in this process, and look after things meanwhile, until the stopper hears a signal.

    Args:
        announce: called once, when requests are being answered.
        is_demo: fill the sandbox first.

    Raises:
        UserMistake: something that it needs is out of reach.
    """
    gc.disable()  # all of what is loaded now stays
    from carnet.cli.application import application
    from carnet.cli.metrics import sampling
    from carnet.cli.server import serve as serve_until_stopped
    from carnet.cli.traces import tracing
    from carnet.cli.upkeep import upkeep
    from carnet.cli.workspace import workspace
    from carnet.http.observing import Observer
    from carnet.store.database import SERVING

    gc.enable()
    async with workspace(settings, bounds=SERVING) as opened:
        if is_demo:
            from carnet.cli.filling import fill

            await fill(opened)
        engine = opened.database.engine.sync_engine
        with tracing(settings, engine) as traced:
            async with application(opened) as app, upkeep(opened), sampling(opened):
                observed = Observer(app, traced)
                gc.freeze()  # what serves is never looked through again
                await serve_until_stopped(observed, listening, stopper, announce, app.state.live)


def _refuse_danger(settings: Settings) -> None:
    from carnet.cli.check import refuse_danger

    if settings.mode is Mode.PRODUCTION:
        refuse_danger(settings)


def _say_opening(settings: Settings) -> None:
    opening = "PostgreSQL" if settings.database_url is None else "the database"
    click.echo(f"Carnet: opening {opening}…", err=True)


def _say_serving(settings: Settings) -> None:
    from carnet.cli.intake import local_server

    click.echo(f"Carnet serves {local_server(settings)}; Ctrl-C stops it.")
