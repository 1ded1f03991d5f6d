"""What a command works with: PostgreSQL, brought up to date, and the stores on top of it.

With ``CARNET_DATABASE_URL`` the database is somebody's own: it is never migrated unasked. Without
it, PostgreSQL runs in the data folder: the first command starts it, the last to leave stops it,
and it is always migrated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import URL

from carnet.cli.faults import tell
from carnet.errors import UserMistake
from carnet.notifications.channels import Channels
from carnet.settings import Mode, Settings
from carnet.store.blobs import BlobStore
from carnet.store.clock import SandboxClock
from carnet.store.database import Bounds, Database
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.keys import FileKeyProvider
from carnet.store.migrate import pending, upgrade
from carnet.store.signing import Signer

CONNECTIONS = 21  # of one process at most: its pool under load, and wake-ups
SPARE = 30  # for commands beside the server, and PostgreSQL's own three
POSTGRES_DEFAULT = 100

NOT_MIGRATED = (
    "The database lacks migrations of this version; run `carnet migrate`"
    " with CARNET_MIGRATION_URL as its owner."
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The opened stores. ``server_key`` is a secret that is not in the database."""

    settings: Settings
    database: Database
    blobs: BlobStore
    signer: Signer
    server_key: bytes = field(repr=False)
    channels: Channels = field(default_factory=Channels)


@contextmanager
def owner_url(settings: Settings, *, tells_new: bool = False) -> Iterator[str | URL]:
    """Yield the URL of the database's owner, while PostgreSQL runs.

    Args:
        tells_new: say on stderr when a data folder was made: whoever works with one that there
            is may be in the wrong place.

    Raises:
        UserMistake: the embedded PostgreSQL does not start.
    """
    if settings.database_url is not None:
        yield settings.migration_url or settings.database_url
    else:
        room = max(POSTGRES_DEFAULT, CONNECTIONS * settings.workers + SPARE)
        options = {"max_connections": str(room)}
        is_new = not (settings.data_dir / "postgres").exists()
        with EmbeddedPostgres.start(settings.data_dir, options) as postgres:
            if is_new and tells_new:
                folder = settings.data_dir.absolute()
                tell(f"A new data folder: {folder}; set CARNET_DATA_DIR to use another.")
            yield postgres.owner_url


@asynccontextmanager
async def workspace(
    settings: Settings, *, bounds: Bounds | None = None, tells_new: bool = False
) -> AsyncIterator[Workspace]:
    """Open everything, and close it again when the block ends.

    Args:
        bounds: of the database's statements; a command has none, a server does.
        tells_new: see `owner_url`.

    Raises:
        UserMistake: PostgreSQL is out of reach or lacks migrations, or a setting cannot be used.
    """
    with owner_url(settings, tells_new=tells_new) as owner:
        if settings.database_url is None:
            await upgrade(owner, create=True)
        elif await pending(settings.database_url):
            raise UserMistake(NOT_MIGRATED)
        async with AsyncExitStack() as opened:
            clock = SandboxClock() if settings.mode is Mode.DEVELOPMENT else None
            database = Database.connect(settings.database_url or owner, clock=clock, bounds=bounds)
            opened.push_async_callback(database.close)
            if clock is not None:
                await opened.enter_async_context(clock.following(database))
            keys = FileKeyProvider.open(
                settings.kek_file,
                settings.data_dir,
                may_create=settings.mode is Mode.DEVELOPMENT,
            )
            blobs = BlobStore.open(settings.blob_url, settings.data_dir, keys)
            signer = Signer.open(
                settings.log_key_file,
                settings.data_dir,
                may_create=settings.mode is Mode.DEVELOPMENT,
            )
            channels = Channels.open(settings)
            yield Workspace(settings, database, blobs, signer, _server_key(settings), channels)


def _server_key(settings: Settings) -> bytes:
    """Return what other keys are derived from: the last key of the key file.

    A new key is put first, so this one stays the same, and with it the enrolment codes that were
    sent, until the oldest key is taken out. The file was checked before.
    """
    path = settings.kek_file or settings.data_dir / "keys" / "kek"
    lines = (line.strip() for line in path.read_text().splitlines())
    *_, oldest = (line for line in lines if line and not line.startswith("#"))
    return sha256(b"carnet server key v1" + oldest.rstrip("=").encode()).digest()
