"""The server as a process: it starts, answers, stops at a signal with all it started, and again."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from servers import STARTS_WITHIN, STOPS_WITHIN, free_port, running

from carnet.cli.intake import local_server
from carnet.settings import Settings


def postgres_of(data_dir: Path) -> int | None:
    """Return the process of the data folder's PostgreSQL, if it runs."""
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except FileNotFoundError:
        return None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended(pid: int) -> None:
    """Wait until nothing of the process is left; its parent may be slow to take note."""
    deadline = time.monotonic() + STOPS_WITHIN
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} was left running"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_the_next_start_finds_the_data(
    number: signal.Signals, data_dir: Path, serve_command, command_env
) -> None:
    port = free_port()
    env = command_env(data_dir)
    with running(serve_command, env, port, "Carnet serves") as server:
        assert server.get("/health/live") == (200, b'{"status":"live"}')
        assert server.get("/health/ready")[0] == 200
        postgres = postgres_of(data_dir)
        assert postgres is not None and is_alive(postgres)
        added = subprocess.run(
            [*serve_command[:-1], "publisher", "add", "beside"], env=env, capture_output=True
        )
        assert added.returncode == 0, added.stderr
        assert server.stop(number) == 0
        assert server.errors().splitlines()[-1] == "Carnet has stopped."
    assert postgres_of(data_dir) is None
    ended(postgres)
    with running(serve_command, env, port, "Carnet serves") as server:
        listed = subprocess.run(
            [*serve_command[:-1], "publisher", "list"], env=env, capture_output=True, text=True
        )
        assert re.search(r" active +beside\n", listed.stdout)
        assert server.stop(number) == 0
    assert postgres_of(data_dir) is None


def test_a_signal_while_it_starts_leaves_nothing_behind(
    data_dir: Path, serve_command, command_env
) -> None:
    with subprocess.Popen(
        serve_command,
        env={**command_env(data_dir), "CARNET_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Carnet: opening PostgreSQL…\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(STARTS_WITHIN) == 130
        assert process.stderr.read().strip() == ""
    assert postgres_of(data_dir) is None


def test_two_at_once_say_what_is_wrong(data_dir: Path, serve_command, command_env) -> None:
    port = free_port()
    env = command_env(data_dir)
    with running(serve_command, env, port, "Carnet serves") as server:
        second = subprocess.run(
            serve_command,
            env={**env, "CARNET_PORT": str(free_port())},
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN,
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert re.fullmatch(
            r"carnet: Another Carnet already runs on this data folder \(.*\), process \d+: stop it,"
            r" or set CARNET_DATA_DIR and CARNET_PORT to others\.\n",
            second.stderr,
        )
        third = subprocess.run(
            serve_command,
            env={**env, "CARNET_PORT": str(port), "CARNET_DATA_DIR": str(data_dir / "other")},
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN,
        )
        assert (third.returncode, third.stdout) == (1, "")
        assert third.stderr == f"carnet: Port {port} is taken; set CARNET_PORT to another.\n"
        assert server.get("/health/ready")[0] == 200
        assert server.stop(signal.SIGINT) == 0


def test_the_access_log_names_no_person(data_dir: Path, serve_command, command_env) -> None:
    with running(serve_command, command_env(data_dir), free_port(), "Carnet serves") as server:
        server.get("/health/live?name=PAT-TROIS")
        server.stop(signal.SIGTERM)
        log = server.errors()
    (line,) = [line for line in log.splitlines() if "/health/live" in line]
    assert json.loads(line[line.index("{") :])["path"] == "/health/live"
    assert "PAT-TROIS" not in log


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 — told apart, not listened on
        ("::", "http://[::1]:8000"),
        ("records.example", "http://records.example:8000"),
    ],
)
def test_where_the_server_is_reached_from_here(host: str, address: str) -> None:
    assert local_server(Settings(host=host)) == address


def test_production_has_no_demo(data_dir: Path, serve_command, command_env) -> None:
    done = subprocess.run(
        [*serve_command[:-1], "demo"],
        env=command_env(data_dir, CARNET_MODE="production"),
        capture_output=True,
        text=True,
        timeout=STARTS_WITHIN,
    )
    assert done.returncode == 1
    assert done.stderr == "carnet: The sandbox is not for production; unset CARNET_MODE.\n"
    assert os.listdir(data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_short_command_that_is_killed_stops_its_postgres(
    number: signal.Signals, data_dir: Path, serve_command, command_env
) -> None:
    script = (
        "import asyncio, sys, carnet.cli.console as c\n"
        "async def wait(opened):\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "import carnet.cli.sweep as s\n"
        "s.sweep.callback = lambda: c.with_stores(wait)\n"
        "from carnet.cli import main\n"
        "sys.argv = ['carnet', 'sweep']\n"
        "main()"
    )
    command = (serve_command[0], "-c", script)
    with running(command, command_env(data_dir), 8000, "ready") as waiting:
        postgres = postgres_of(data_dir)
        assert postgres is not None
        assert waiting.stop(number) == 130
        told = f"carnet: A new data folder: {data_dir}; set CARNET_DATA_DIR to use another."
        assert waiting.errors().strip() == told
    assert postgres_of(data_dir) is None
    ended(postgres)
