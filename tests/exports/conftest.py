"""Fixtures of the exports' tests: somebody with a record."""

from __future__ import annotations

from uuid import UUID

import pytest
import world

from carnet.people.actor import Patient
from carnet.store.database import Database


@pytest.fixture
async def holder(database: Database) -> Patient:
    """Somebody whose record is open."""
    return await world.holder(database)


@pytest.fixture
async def record_id(database: Database, holder: Patient) -> UUID:
    """The id of their record."""
    return await world.record_of(database, holder)
