"""A run that is stopped leaves nothing behind, whatever it is at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import node

WITHIN = 120  # seconds, on a machine that does much else
COMMAND = (sys.executable, "run.py", "--no-page", "schemathesis")
SEEDS = ("--seed", "1", "--seed", "2")


@pytest.fixture
def folder() -> Iterator[Path]:
    """The run's own folder for what is temporary; short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="stop-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def processes(folder: Path) -> list[str]:
    """Return the processes that came from a run: they have its folder in their environment, or work
    in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            if str(folder).encode() in environment or f"{folder}/" in os.readlink(process / "cwd"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def is_starting(folder: Path) -> bool:
    """Tell whether the server was just started."""
    return any(command.strip().endswith(" demo") for command in processes(folder))


def has_database(folder: Path) -> bool:
    """Tell whether there is a database, and no server yet that answers."""
    return any(folder.glob("*/data/postgres/postmaster.pid"))


def is_asking(folder: Path) -> bool:
    """Tell whether documents are being sent."""
    return ": Mutation." in (folder / "said").read_text()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc to look for what is left")
@pytest.mark.parametrize(
    ("number", "seeds", "has_come"),
    [
        (signal.SIGTERM, SEEDS[:2], is_asking),
        (signal.SIGINT, SEEDS[:2], is_starting),
        (signal.SIGTERM, SEEDS, has_database),
        (signal.SIGINT, SEEDS, is_asking),
    ],
    ids=["asking", "starting", "several, with a database", "several, asking"],
)
def test_a_run_that_is_stopped_leaves_nothing(
    folder: Path, number: signal.Signals, seeds: tuple[str, ...], has_come: Callable[[Path], bool]
) -> None:
    with (folder / "said").open("w") as said:
        run = subprocess.Popen(
            (*COMMAND, *seeds),
            cwd=node.HERE,
            env=os.environ | {"TMPDIR": str(folder)},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + WITHIN
        while not has_come(folder):
            assert run.poll() is None and time.monotonic() < end, (folder / "said").read_text()
            time.sleep(0.05)
        run.send_signal(number)
        assert run.wait(WITHIN) == 128 + number, (folder / "said").read_text()
        # Python's own helper of shared resources ends by itself, a moment after who needed it.
        while processes(folder) and time.monotonic() < end:
            time.sleep(0.05)
        assert processes(folder) == []
        assert [each.name for each in folder.iterdir()] == ["said"]
        assert (folder / "said").read_text().endswith("conformance: stopped\n")
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
