"""Fixtures of the subscriptions' tests: a record with documents, and a server to follow it on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import scene
from following import Served, serving

from carnet.store.blobs import BlobStore
from carnet.store.database import Database


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    """A server on a real socket, over the test's database."""
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    """A record with its holder and some documents."""
    return await scene.make(database, blobs)
