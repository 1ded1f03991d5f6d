"""What the tests of faults start from: a record, and processes that can be killed."""

from __future__ import annotations

from pathlib import Path

import pytest
import scene
from remote import Place
from sqlalchemy import URL

from carnet.store.database import Database


@pytest.fixture
def place(owner_url: URL, data_dir: Path, database: Database) -> Place:
    """A fresh database with a data folder of its own."""
    data_dir.mkdir()
    return Place.of(owner_url, data_dir, database)


@pytest.fixture
async def made(place: Place) -> scene.Scene:
    """A record with some documents, of which nobody was told."""
    return await place.make()
