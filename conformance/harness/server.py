"""A sandbox server in a process of its own, on a free port and with a data folder of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from carnet.cli.impersonation import token_for
from carnet.cli.workspace import Workspace, workspace
from carnet.settings import Settings
from carnet.store.embedded import EmbeddedPostgres
from harness.stopping import whole

COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()", "demo")
READY = "Carnet is ready"
STOPS_WITHIN = 30  # seconds

# Thousands of requests within minutes are what is wanted here, and no one person's doing.
ROOM = {
    "CARNET_QUERY_BUDGET": "1000000000",
    "CARNET_SOCKETS_PER_USER": "1000",
}


class ServerFailed(Exception):
    """It did not start, or did not stop in order."""


@dataclass
class Server:
    """A running server, and the stores that it runs on."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    opened: Workspace
    loop: asyncio.Runner

    @property
    def url(self) -> str:
        """Where its GraphQL is."""
        return f"http://127.0.0.1:{self.port}/graphql"

    @property
    def socket(self) -> str:
        """Where its sockets are."""
        return f"ws://127.0.0.1:{self.port}/graphql"

    def token(self, persona: str) -> str:
        """Return a token of a new session of somebody of the sandbox."""
        return self.loop.run(token_for(self.opened, persona))

    def logged(self, correlation_id: str) -> str:
        """Return what it logged of a fault of its own: type and place, never a value."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        found = [line for line in lines if correlation_id in line and "failure" in line]
        return found[0] if found else ""


@contextmanager
def serving(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a sandbox server, and stop it and delete its data in the end.

    Args:
        settings: further ``CARNET_…`` variables; only these and `ROOM` speak.

    Raises:
        ServerFailed: it does not start.
    """
    port = _free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    env |= ROOM | dict(settings or {}) | {"CARNET_PORT": str(port)}
    stack = ExitStack()
    try:
        with whole():
            folder = Path(tempfile.mkdtemp(prefix="carnet-conformance-"))
            stack.callback(_clear, folder)
        folder.chmod(0o711)  # under root, PostgreSQL's system user has to enter it
        env |= {"CARNET_DATA_DIR": str(folder / "data")}
        log = folder / "server.log"
        errors = stack.enter_context(log.open("w"))
        with whole():
            process = subprocess.Popen(
                COMMAND,
                env=env | {"PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            stack.callback(_stop, process)
        _wait(process, log)
        with whole():
            loop = stack.enter_context(asyncio.Runner())
            stores = workspace(Settings.from_env(env))
            opened = loop.run(stores.__aenter__())
            stack.callback(lambda: loop.run(stores.__aexit__(None, None, None)))
        yield Server(process, port, log, opened, loop)
    finally:
        with whole():
            stack.close()


def _clear(folder: Path) -> None:
    """Delete the data of a server that has ended; one that had to be killed left its database."""
    left = EmbeddedPostgres.attach(folder / "data")
    if left is not None:
        left.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[str], log: Path) -> None:
    for line in process.stdout or ():
        if READY in line:
            # What else it says, a page of help, fits into the pipe.
            return
    raise ServerFailed(f"The server ended with {process.wait()}: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOPS_WITHIN)
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
