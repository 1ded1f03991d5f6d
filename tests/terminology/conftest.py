"""Fixtures of terminology's tests: small files in the form of the published ones, and real ones."""

import gzip
import io
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from carnet.store.database import Database
from carnet.terminology.actions import LoadReport, load

VACCINE = """\
abstract: false
label: {label}
codes:
  CVX:
  - '{cvx}'
  NUVACode:
  - '{number}'
valences:
- {valence}
"""
MEASLES = "label: Measles valence\nparent: VAL900\ntarget: DIS008\n"
UNITS = {
    "Units/Vaccines/VAC0001.yml": VACCINE.format(
        label="ROUVAX", cvx="05", number="0001", valence="VAL001"
    ),
    "Units/Valences/VAL001.yml": MEASLES,
    "Units/Targets/DIS008.yml": "label: Measles\n",
    "Units/import.txt": "Imported",
}


def archive_of(files: dict[str, str | bytes]) -> bytes:
    """Return a .tar.gz of these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            body = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return made.getvalue()


@pytest.fixture
def units() -> dict[str, str | bytes]:
    """The files of a small archive of units: one vaccine against measles."""
    return dict(UNITS)


@pytest.fixture
def archive() -> Callable[[dict[str, str | bytes]], bytes]:
    """Make a .tar.gz."""
    return archive_of


@pytest.fixture
def gzipped() -> Callable[[bytes], bytes]:
    """Make a .gz of what is no archive."""
    return lambda body: gzip.compress(body, mtime=0)


Load = Callable[..., Awaitable[LoadReport]]


@pytest.fixture
def load_files(database: Database) -> Load:
    """Load paths in a transaction of their own."""

    async def load_files(*paths: Path) -> LoadReport:
        async with database.write() as work:
            return await load(work, paths, lambda _: None)

    return load_files
