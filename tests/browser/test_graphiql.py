"""GraphiQL in a real browser: choose somebody, run a query, follow, be told."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import graph
import pytest
from following import serving
from node_packages import install_packages

from carnet.http.ide import GROUPS
from carnet.people.actor import Assurance, Operator
from carnet.people.passwords import Passwords
from carnet.sandbox.population import populate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

HERE = Path(__file__).parent
WITHIN = 60  # seconds, on a machine that does much else


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's Chromium; without it, skip.

    Where CI is set, it has to be there, unless .ci/run says why it cannot be.
    """
    found = shutil.which("chromium")
    # Where it is a snap package, there may be a stub that only says so.
    if found is None or subprocess.run((found, "--version"), capture_output=True).returncode:
        why = os.environ.get("CARNET_TEST_NO_BROWSER")
        message = why or "chromium is missing: apt-get install chromium"
        if os.environ.get("CI") and not why:
            pytest.fail(message)
        pytest.skip(message)
    return found


async def test_people_choose_who_they_are_and_see_what_happens(
    database: Database, blobs: BlobStore, chromium: str
) -> None:
    folder = install_packages(HERE)
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))
    async with serving(database, blobs) as served:
        process = await asyncio.create_subprocess_exec(
            *("node", "graphiql.mjs", served.url, chromium),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, errors = await asyncio.wait_for(process.communicate(), WITHIN)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()
    found = json.loads(said)
    assert found["complaints"] == []
    assert found["offered"] == ["", *(handle for group in GROUPS.values() for handle in group)]
    assert "carnet_" not in found["stored"]  # no token
