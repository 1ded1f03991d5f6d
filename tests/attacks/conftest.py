"""One server for the probes of a module, which looks after each of them whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from door import Door, opened

from carnet.store.embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
def house(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server with the usual settings, but a budget that no test spends."""
    folder: Path = tmp_path_factory.mktemp("door")
    with opened(postgres, folder) as door:
        yield door


@pytest.fixture
def door(house: Door) -> Iterator[Door]:
    """The module's server; at the end of the test it answers still and has logged no value."""
    house.log.clear()
    yield house
    house.check()
