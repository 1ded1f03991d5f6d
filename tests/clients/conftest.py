"""Node and its packages, installed once; a server; and the clients in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from node_packages import install_packages

HERE = Path(__file__).parent
SCRIPTS = ("task", "graphql_ws", "graphql_sse", "apollo", "urql")
SOON = 12  # seconds: Node starts slowly on a machine that does much else


@pytest.fixture(scope="session")
def packages() -> Path:
    """A folder with the scripts and what they import."""
    return install_packages(HERE)


class Node:
    """One client in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    async def line(self, within: float = SOON) -> dict[str, Any]:
        """Return the next thing that it says."""
        assert self.process.stdout is not None and self.process.stderr is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), within)
        except TimeoutError:
            raise AssertionError(f"nothing more after {self.said}") from None
        assert line, (self.said, (await self.process.stderr.read()).decode())
        found: dict[str, Any] = orjson.loads(line)
        self.said.append(found)
        return found

    async def until(self, key: str, index: int | None = None) -> dict[str, Any]:
        """Return the next line that holds this, whatever is said in between."""
        while True:
            line = await self.line()
            if line.get(key) is not None and line.get("index") in (None, index or 0):
                return line

    async def event(self, index: int | None = None) -> dict[str, Any]:
        """Return the next event of an operation."""
        line = await self.until("next", index)
        assert "errors" not in line["next"], line
        (event,) = line["next"]["data"].values()
        found: dict[str, Any] = event
        return found

    async def events(self, count: int, index: int | None = None) -> list[dict[str, Any]]:
        """Return the next events that are not the end of a replay."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            event = await self.event(index)
            if event["__typename"] != "CaughtUp":
                found.append(event)
        return found

    async def stop(self) -> None:
        """Say that it is enough, and wait until it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        assert await asyncio.wait_for(self.process.wait(), SOON) == 0


Start = Callable[..., AbstractAsyncContextManager[Node]]


@pytest.fixture
def node(packages: Path) -> Start:
    """Start a client."""

    @asynccontextmanager
    async def started(script: str, port: int, token: str, **task: Any) -> AsyncIterator[Node]:
        assert script in SCRIPTS
        task |= {
            "url": f"http://127.0.0.1:{port}/graphql",
            "socket": f"ws://127.0.0.1:{port}/graphql",
            "token": token,
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            f"{script}.mjs",
            orjson.dumps(task).decode(),
            cwd=packages,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Node(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return started
