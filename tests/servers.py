"""Servers in processes of their own, for tests."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

STARTS_WITHIN = 90  # seconds, on a machine that does much else
STOPS_WITHIN = 30


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Running:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: IO[str]) -> None:
        self.process = process
        self.log = log
        self.address = f"http://127.0.0.1:{port}"
        self.said = ""

    def wait_until(self, line: str) -> None:
        assert self.process.stdout is not None
        for said in self.process.stdout:
            self.said += said
            if re.search(line, said):
                return
        raise AssertionError(f"it ended with {self.process.wait()}: {self.errors()}")

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as answer:  # noqa: S310 — its own address
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOPS_WITHIN)

    def errors(self) -> str:
        """Return all of what it wrote to stderr."""
        self.log.seek(0)
        return self.log.read()


@contextmanager
def running(
    command: tuple[str, ...], env: dict[str, str], port: int, until: str
) -> Iterator[Running]:
    """Start a server, wait until it says ``until``, and kill it if the test did not stop it."""
    # Not a pipe: one that nobody reads is full after some hundred requests, and the server waits.
    with (
        tempfile.TemporaryFile("a+") as log,
        subprocess.Popen(
            command,
            env={**env, "CARNET_PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            server = Running(process, port, log)
            server.wait_until(until)
            yield server
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def workers(
    command: tuple[str, ...], env: dict[str, str], port: int, count: int
) -> Iterator[Running]:
    """Start a server with several processes, and wait until all of them serve.

    Args:
        command: the words of ``carnet serve``.
        env: its environment.
        port: where.
        count: how many processes.
    """
    with running((*command, "--workers", str(count)), env, port, "Carnet serves") as server:
        yield server


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def listeners(port: int) -> int:
    """Return how many sockets listen on a loopback port (Linux)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    states = (line.split()[1:4:2] for line in lines)
    return sum(at.endswith(f":{port:04X}") and state == "0A" for at, state in states)
