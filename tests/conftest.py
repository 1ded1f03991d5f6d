"""Fixtures of all tests: a real PostgreSQL for the run, and a fresh database for each test.

The first test that asks for a database starts the run's PostgreSQL and migrates a template; each
test then works on a copy of its own. pytest-xdist's workers share the one PostgreSQL, and the
last of them to end stops it.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import URL
from sqlalchemy.util import LRUCache

from carnet.clock import MovableClock
from carnet.errors import UserMistake
from carnet.store import migrate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres, hold
from carnet.store.keys import FileKeyProvider

# Servers that tests start would compile all of the code each time: seconds, hundreds of times.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TEMPLATE = "carnet_template"
ROOT = Path(__file__).parent.parent

# A crash of the machine may lose these databases; that buys most of the speed.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "max_connections": "200",
}

COMPILED = LRUCache[Any, Any](2000)
DIALECTS: list[Any] = []

FOLDER = pytest.StashKey[Path]()
HELD = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of this run's PostgreSQL; workers take the one of their controller."""
    # A shell lets what it starts in the background ignore SIGINT, and so would all servers here.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Stores say fsync for every content; in memory nobody waits for a disk that does much else.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_fast_folder()))
    if hasattr(config, "workerinput"):
        config.stash[FOLDER] = Path(config.workerinput["postgres"])
        return
    parent = _fast_folder()
    for old in parent.glob("carnet-tests-*"):
        if time.time() - old.stat().st_mtime > 60:  # a younger one may be about to be held
            _sweep(old)
    # Not pytest's own folder: it is closed to the system user that PostgreSQL needs under root.
    config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="carnet-tests-", dir=parent))
    config.stash[HELD] = ExitStack()
    config.stash[HELD].enter_context(hold(config.stash[FOLDER]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Run one more worker than there are processors: much of a test is waiting for a server."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what is loaded out of every search for unreachable objects: a sixth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the folder."""
    node.workerinput["postgres"] = str(node.config.stash[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what a killed worker may have left behind, and remove the folder."""
    if HELD in config.stash:
        config.stash[HELD].close()
        _sweep(config.stash[FOLDER])


def _fast_folder() -> Path:
    """Return where databases are made fastest: in memory where there is room (25 times faster)."""
    memory = Path("/dev/shm")  # noqa: S108 — mkdtemp makes a folder of our own in it
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 2**30:
        return memory
    return Path(tempfile.gettempdir())


def _sweep(folder: Path) -> None:
    """Remove the folder of a run that is over, and its PostgreSQL if it was killed."""
    with suppress(UserMistake, OSError), hold(folder):  # it is held while its run lasts
        left = EmbeddedPostgres.attach(folder)
        if left is not None:
            left.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL of this run, with a migrated template database."""
    folder = request.config.stash[FOLDER]
    with EmbeddedPostgres.start(folder, FAST) as server:
        with (folder / "template").open("a+") as marker:  # its lock lets one worker migrate
            fcntl.flock(marker, fcntl.LOCK_EX)
            marker.seek(0)
            if not marker.read():
                asyncio.run(_make_template(server))
                marker.write("done")
                marker.flush()
        yield server


async def _make_template(server: EmbeddedPostgres) -> None:
    await migrate.upgrade(server.owner_url.set(database=TEMPLATE), create=True)
    connection = await _administer(server)
    # Nobody may connect to it: a database with connections cannot be copied.
    await connection.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
    await connection.close()


async def _administer(server: EmbeddedPostgres) -> asyncpg.Connection:
    url = server.owner_url
    return await asyncpg.connect(host=url.query["host"], user=url.username, database="postgres")


@pytest.fixture
async def owner_url(postgres: EmbeddedPostgres) -> AsyncIterator[URL]:
    """The URL of a fresh, migrated, empty database, as its owner; dropped after the test."""
    name = f"test_{uuid4().hex}"
    connection = await _administer(postgres)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield postgres.owner_url.set(database=name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def clock() -> MovableClock:
    """The clock of `database`; move it by setting its ``offset``."""
    return MovableClock()


@pytest.fixture
async def database(owner_url: URL, clock: MovableClock) -> AsyncIterator[Database]:
    """A `Database` on a fresh, migrated, empty database, under the server's own role."""
    database = Database.connect(owner_url, clock=clock)
    _share_compiled(database)
    yield database
    await database.close()


def _share_compiled(database: Database) -> None:
    """Let the databases of all tests use one cache of compiled SQL, as a server's requests do.

    Compiled SQL belongs to a dialect; the first that has met the one PostgreSQL serves for all.
    """
    own = database.engine.dialect
    met = next((dialect for dialect in DIALECTS if dialect.server_version_info), own)
    DIALECTS[:] = [met]
    for sessions in (database._sessions, database._snapshots, database._glances):
        engine = sessions.kw["bind"].sync_engine
        engine.update_execution_options(compiled_cache=COMPILED)
        engine.dialect = met


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder, not yet made, for a test that starts a PostgreSQL or a server of its own.

    Under root, PostgreSQL's system user can enter it; it cannot enter ``tmp_path``.
    """
    folder = Path(tempfile.mkdtemp(prefix="carnet-test-", dir=_fast_folder()))
    folder.chmod(0o711)
    yield folder / "data"
    left = EmbeddedPostgres.attach(folder / "data")
    if left is not None:
        left.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real sample files: ``CARNET_SAMPLES``, or else ``../shared/data``."""
    folder = Path(os.environ.get("CARNET_SAMPLES") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real sample files here: set CARNET_SAMPLES to their folder")
    return folder


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """A blob store on a folder of this test."""
    keys = FileKeyProvider.open(None, tmp_path, may_create=True)
    return BlobStore.open(None, tmp_path, keys)
