"""Several processes serve one address: they share the work, are replaced, and end together."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from servers import (
    STARTS_WITHIN,
    STOPS_WITHIN,
    Running,
    children,
    free_port,
    listeners,
    running,
    workers,
)
from sqlalchemy import URL

from carnet.cli.server import GRACE

BODY = b'{"query":"{ __typename }"}'
HEAD = (
    b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


@pytest.fixture
def data_dir(settled_data_dir: Path) -> Path:
    return settled_data_dir


def until(is_so: Callable[[], bool], within: float = STARTS_WITHIN) -> None:
    """Wait until something that tells nobody is so."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it does not come to be"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether the process runs; one that ended and waits for its parent does not."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_worker(pid: int) -> bool:
    return b"carnet.cli.worker" in Path("/proc", str(pid), "cmdline").read_bytes()


def workers_of(server: Running) -> list[int]:
    return [pid for pid in children(server.process.pid) if is_worker(pid)]


def sockets_of(pid: int) -> int:
    """Return how many sockets the process has open."""
    folder = Path("/proc", str(pid), "fd")
    count = 0
    for each in folder.iterdir():
        with suppress(FileNotFoundError):  # it was closed since it was listed
            count += os.readlink(each).startswith("socket:")
    return count


def in_flight(port: int) -> socket.socket:
    """Return a connection on which a request has begun, and is being waited for."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=STOPS_WITHIN)
    connection.sendall(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")  # the application asks for the body
    return connection


def rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def nothing_left(data_dir: Path, port: int) -> Iterator[list[int]]:
    """Asserts that in the end none of these processes, no PostgreSQL and no socket is left."""
    pids: list[int] = []
    yield pids
    assert pids
    until(lambda: not any(map(is_running, pids)), STOPS_WITHIN)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
    assert listeners(port) == 0


def test_two_share_the_work_one_that_is_killed_is_replaced_and_ctrl_c_lets_requests_finish(
    data_dir: Path, port: int, nothing_left: list[int], serve_command, command_env
) -> None:
    with workers(serve_command, command_env(data_dir), port, 2) as server:
        first = workers_of(server)
        nothing_left += first
        assert len(first) == 2
        assert server.get("/health/ready") == (200, b'{"status":"ready"}')

        before = [sockets_of(pid) for pid in first]

        def taken() -> list[int]:
            return [sockets_of(pid) - was for pid, was in zip(first, before, strict=True)]

        with ExitStack() as held:
            for _ in range(200):
                held.enter_context(socket.create_connection(("127.0.0.1", port)))
            until(lambda: sum(taken()) >= 195)  # others may just have closed
            assert min(taken()) > 60

        killed, survivor = first
        os.kill(killed, signal.SIGKILL)
        until(lambda: listeners(port) == 1)
        asked = 0
        while listeners(port) < 2 or asked < 20:
            assert server.get("/health/ready")[0] == 200
            asked += 1
        (new,) = {*workers_of(server)} - {survivor}
        nothing_left.append(new)
        with in_flight(port) as finishes:
            os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
            until(lambda: listeners(port) == 0)
            for pid in (survivor, new):  # as systemd does, to every process of a service
                with suppress(ProcessLookupError):  # who had nothing to finish may have gone
                    os.kill(pid, signal.SIGTERM)
            finishes.sendall(BODY)
            assert rest(finishes).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(STOPS_WITHIN) == 0
        log = server.errors()
    assert f"worker {killed} ended with -9; another one is started" in log
    assert log.splitlines()[-1] == "Carnet has stopped."
    assert "Traceback" not in log


def test_workers_whose_supervisor_was_killed_end_by_themselves(
    data_dir: Path, port: int, nothing_left: list[int], serve_command, command_env
) -> None:
    with workers(serve_command, command_env(data_dir), port, 2) as server:
        nothing_left += workers_of(server)
        server.process.kill()
        until(lambda: not any(map(is_running, nothing_left)), STOPS_WITHIN)


def test_two_servers_on_one_database_and_a_second_signal_does_not_wait(
    data_dir: Path,
    port: int,
    nothing_left: list[int],
    owner_url: URL,
    serve_command,
    command_env,
) -> None:
    env = command_env(data_dir, CARNET_DATABASE_URL=owner_url.render_as_string(hide_password=False))
    other = free_port()
    with (
        running(serve_command, env, other, "Carnet serves") as second,
        workers(serve_command, env, port, 2) as first,
    ):
        nothing_left += workers_of(first)
        third = subprocess.run(
            serve_command,
            env={**env, "CARNET_PORT": str(port), "CARNET_WORKERS": "2"},
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN,
        )
        assert third.stderr == f"carnet: Port {port} is taken; set CARNET_PORT to another.\n"
        assert first.get("/health/ready")[0] == second.get("/health/ready")[0] == 200
        with in_flight(port) as hangs:
            start = time.monotonic()
            first.process.send_signal(signal.SIGTERM)
            until(lambda: listeners(port) == 0)
            first.process.send_signal(signal.SIGTERM)
            assert not rest(hangs).startswith(b"HTTP/1.1 200 ")
            assert time.monotonic() - start < GRACE
        assert first.process.wait(STOPS_WITHIN) == 0
        assert second.get("/health/ready")[0] == 200
        assert second.stop(signal.SIGTERM) == 0


def test_workers_that_end_as_soon_as_they_start_are_given_up(
    data_dir: Path, port: int, tmp_path: Path, owner_url: URL, serve_command, command_env
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'carnet.cli.worker' in sys.orig_argv: os._exit(7)\n"
    )
    env = command_env(
        data_dir,
        CARNET_PORT=str(port),
        CARNET_WORKERS="2",
        CARNET_DATABASE_URL=owner_url.render_as_string(hide_password=False),
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    done = subprocess.run(
        serve_command, env=env, capture_output=True, text=True, timeout=STARTS_WITHIN
    )
    assert (done.returncode, done.stdout) == (1, "")
    *log, last = done.stderr.splitlines()
    assert last == "carnet: The workers end as soon as they start; see above for why."
    assert len([line for line in log if re.search(r"worker \d+ ended with 7", line)]) >= 3


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("CARNET_BROADCAST_URL", "memory://", "CARNET_BROADCAST_URL is memory://, which reaches"),
        ("CARNET_OIDC_FILE", "/nowhere", "/nowhere cannot be read: No such file or directory."),
        ("CARNET_WORKERS", "65", "CARNET_WORKERS is '65'; use a number from 1 to 64."),
    ],
)
def test_what_is_wrong_is_told_once(setting: str, value: str, told: str, port: int, carnet) -> None:
    done = carnet("serve", **{"CARNET_PORT": str(port), "CARNET_WORKERS": "2", setting: value})
    assert (done.code, done.out) == (1, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("carnet: ")]
    assert line.startswith(f"carnet: {told}")
