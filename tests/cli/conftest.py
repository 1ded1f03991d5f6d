"""Fixtures of the command line's tests: real commands in processes of their own."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from carnet.cli.faults import run
from carnet.cli.root import carnet as root
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.migrate import upgrade

COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()")


def _command_env(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment in which only these settings speak."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    return {**own, "CARNET_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", **settings}


@pytest.fixture
def command_env() -> Callable[..., dict[str, str]]:
    """Return the environment of a command: its data folder and these settings, no others."""
    return _command_env


@pytest.fixture
def serve_command() -> tuple[str, ...]:
    """The words of ``carnet serve``; the last one is the command."""
    return (*COMMAND, "serve")


def make_data_dir() -> Path:
    # Not pytest's own folder: it is closed to the system user that PostgreSQL needs under root.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 — where it is fast
    folder = Path(tempfile.mkdtemp(prefix="carnet-cli-", dir=memory))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data folder; no PostgreSQL may be left running in it."""
    folder = make_data_dir()
    yield folder
    remove(folder)


def remove(folder: Path) -> None:
    left = EmbeddedPostgres.attach(folder)
    if left is not None:
        left.stop()
    shutil.rmtree(folder)
    assert left is None, "PostgreSQL was left running"


@pytest.fixture(scope="session")
def settled() -> Iterator[Path]:
    """A data folder whose PostgreSQL was made, migrated and stopped; it is only copied."""
    folder = make_data_dir()
    with EmbeddedPostgres.start(folder, {"fsync": "off"}) as postgres:
        asyncio.run(upgrade(postgres.owner_url, create=True))
    yield folder
    remove(folder)


@pytest.fixture
def settled_data_dir(settled: Path) -> Iterator[Path]:
    """A data folder like that, for a test of what a server does after its first start."""
    folder = make_data_dir()
    subprocess.run(["cp", "-a", f"{settled}/.", folder], check=True)  # its owner comes with it
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def shared_data_dir() -> Iterator[Path]:
    """A data folder whose PostgreSQL runs on between the commands of many tests."""
    folder = make_data_dir()
    with EmbeddedPostgres.start(folder, {"fsync": "off"}):
        yield folder
    remove(folder)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of stderr; a command that failed has no other output."""
        assert self.out == ""
        assert self.err.startswith("carnet: ") and self.err.count("\n") == 1, self.err
        return self.err.removeprefix("carnet: ").rstrip("\n")


Carnet = Callable[..., Done]


@pytest.fixture
def carnet(
    shared_data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Carnet:
    """Run one command in this process, on a data folder that all tests share."""

    def command(*args: str, stdin: str = "", **settings: str) -> Done:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("CARNET_")]:
                patch.delenv(name)
            for name, value in {"CARNET_DATA_DIR": str(shared_data_dir), **settings}.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", StringIO(stdin))
            capsys.readouterr()
            code = run(root, args)
        return Done(code, *capsys.readouterr())

    return command


@pytest.fixture
def loaded(carnet: Carnet) -> Carnet:
    """The same, with the sandbox loaded."""
    done = carnet("sandbox", "load") if not _is_loaded(carnet) else None
    assert done is None or done.code == 0, done.err
    return carnet


def _is_loaded(carnet: Carnet) -> bool:
    return carnet("token", "--as", "operator").code == 0
