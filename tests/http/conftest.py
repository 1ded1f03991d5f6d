"""Fixtures of the edge's tests: the application on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from small_app import ROUTES, Serve, authenticate, schema

from carnet.http.app import create_app
from carnet.http.services import Services
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Settings
from carnet.store.cursors import Cursors
from carnet.store.database import Database


@pytest.fixture
def serve(database: Database) -> Serve:
    """Start a server of these settings on a free port of this machine."""

    @asynccontextmanager
    async def started(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        given_settings = Settings(**changes)
        services = Services(
            given_settings,
            database,
            None,
            schema(given_settings.mode),
            authenticate,
            None,
            None,
            Cursors(b"k"),
            FeedSecrets.of(b"k"),
        )
        config = uvicorn.Config(
            create_app(services, ROUTES), port=0, log_config=None, ws="none", proxy_headers=False
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
            assert not task.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            server.should_exit = True
            await task

    return started
