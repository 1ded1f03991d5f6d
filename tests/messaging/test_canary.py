"""After people have written, sent files, edited, taken back, revoked and recovered: nothing of what
they said, of a file's name or of a key is in any table, file, write-ahead log or log of the server.

T68 of the protocol's attacks, against the real server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from canary import Search
from sqlalchemy import URL
from talking import PASSPHRASE, Talk, talk

from carnet.clock import MovableClock
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres
from carnet_client.conversation import Conversation
from carnet_client.messenger import Messenger
from carnet_crypto.secret.content import Verdict

WORDS = "canary: the result of this morning"
EDITED = "canary: other words, after an edit"
NOTE = "canary: a note beside a verdict"
NAME = "canary-name-of-a-file.pdf"
FILE = b"canary content of a file, again and again. " * 3000


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path / "clients", PASSPHRASE) as found:
        yield found


async def test_t68_nothing_of_it_is_anywhere(
    meeting: Talk,
    owner_url: URL,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    began = time.time()
    doctor, patient, theirs, mine = await meeting.talking()
    await theirs.send(WORDS)
    assert len(await mine.read()) == 1
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / NAME).write_bytes(FILE)
    await mine.attach(tmp_path / "sent" / NAME, "canary: words with a file")
    *_, with_file = await theirs.read()
    saved = await theirs.save(with_file, tmp_path / "sent", 0)
    assert saved.read_bytes() == FILE
    await theirs.read()
    await theirs.acknowledge(with_file, Verdict.AGREED, NOTE)
    await theirs.edit(theirs.messages[0], EDITED)
    await mine.read()
    await mine.retract(mine.messages[-1])
    await mine.mark_read()
    await theirs.erase(theirs.messages[0])
    second = await meeting.client("second", meeting.patient)
    await second.recover(meeting.codes["patient"])  # and the first device is revoked
    assert [d.revoked_in is None for d in await second.devices()] == [False, True]
    again = await second.thread(mine.id)
    await again.send("canary: from the new device")
    await theirs.read()
    await theirs.send("canary: last words")
    assert any("last words" in (m.text or "") for m in await again.read())
    needles: dict[str, bytes | str] = {
        "words": WORDS,
        "edit": EDITED,
        "note": NOTE,
        "file name": NAME,
        "file": FILE[:40],
        "new device": "canary: from the new device",
        "last words": "canary: last words",
        "passphrase": PASSPHRASE.text,
        "code": meeting.codes["patient"],
        "code, plain": meeting.codes["patient"].replace("-", ""),
    }
    for messenger, conversation in ((doctor, theirs), (patient, mine), (second, again)):
        needles |= keys_of(messenger, conversation)
    search = Search(needles)
    dsn = owner_url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert await search.look_in_tables(dsn) > 60
    connection = await asyncpg.connect(dsn)
    await connection.execute("CHECKPOINT")
    place = await connection.fetchval("SELECT current_setting('data_directory')")
    oid = await connection.fetchval(
        "SELECT oid FROM pg_database WHERE datname = current_database()"
    )
    await connection.close()
    look_in_postgres(search, Path(place), oid, began)
    look_in_folders(search, tmp_path)
    search.look("logs", "\n".join(record.getMessage() for record in caplog.records).encode())
    assert search.looked_at > 20_000_000
    assert search.found == []
    # A client's profile holds keys, and shows them to nobody without the passphrase.
    profiles = Search(needles)
    profiles.look_in_folder(tmp_path / "clients")
    assert profiles.found == []


def look_in_postgres(search: Search, data: Path, oid: int, began: float) -> None:
    """Search a database's own files, what PostgreSQL wrote ahead since then, and its log."""
    search.look_in_folder(data / "base" / str(oid))
    for log in (data / "pg_wal").iterdir():
        if log.is_file() and log.stat().st_mtime >= began:
            search.look(str(log), log.read_bytes())
    for log in data.glob("*.log"):
        search.look(str(log), log.read_bytes())


def look_in_folders(search: Search, folder: Path) -> None:
    """Search what the server keeps: blobs and keys."""
    for path in folder.iterdir():
        if path.name not in ("clients", "sent"):
            search.look_in_folder(path)


def keys_of(messenger: Messenger, conversation: Conversation) -> dict[str, bytes | str]:
    """Return what only this client may know."""
    own = messenger._store.state.own
    assert own is not None
    found: dict[str, bytes | str] = {
        f"signing key of {own.device.id!r}": own.device.secret_bytes()[:32],
        f"box key of {own.device.id!r}": own.device.secret_bytes()[32:],
    }
    if own.root is not None:
        found[f"root of {own.id!r}"] = own.root.secret_bytes()
    for number, secret in conversation._room.view.secrets.items():
        found[f"epoch {number} for {own.device.id!r}"] = bytes(secret)
    return found
