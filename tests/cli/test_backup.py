"""``carnet backup`` and ``carnet restore``: what comes back is what was there, or nothing does."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from carnet.access.sealing import seal
from carnet.cli.workspace import workspace
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.keys import FileKeyProvider, read_key_file

GUIDE = (Path(__file__).parents[2] / "docs/backup.md").read_text()
CARNET = (sys.executable, "-c", "from carnet.cli import main; main()")
FAST = {"fsync": "off"}


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    return {**kept, "CARNET_DATA_DIR": str(data_dir), **more}


def run(data_dir: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CARNET, *map(str, words)],
        env=environment(data_dir),
        capture_output=True,
        text=True,
        timeout=120,
    )


async def connect(server: EmbeddedPostgres) -> asyncpg.Connection:
    url = server.owner_url
    return await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)


async def rows(server: EmbeddedPostgres) -> dict[str, list[str]]:
    """Everything that the database holds, table by table."""
    connection = await connect(server)
    names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {}
    for (name,) in names:
        got = await connection.fetch(f'SELECT t::text AS row FROM "{name}" t ORDER BY 1')
        found[name] = [row["row"] for row in got]
    await connection.close()
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not pytest's own folder: it is closed to the system user that PostgreSQL needs under root.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 — where it is fast
    path = Path(tempfile.mkdtemp(prefix="carnet-cli-", dir=memory))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def original(folder: Path) -> Iterator[Path]:
    """The data folder of an installation with people, contents and a sealed journal."""
    data_dir = folder / "original"
    with EmbeddedPostgres.start(data_dir, FAST):
        loaded = run(data_dir, "sandbox", "load")
        assert loaded.returncode == 0, loaded.stderr

        async def seal_all() -> int:
            async with workspace(Settings(data_dir=data_dir)) as opened:
                return await seal(opened.database, opened.signer)

        assert asyncio.run(seal_all()) > 20
        yield data_dir


@pytest.fixture(scope="module")
def saved(folder: Path, original: Path) -> Path:
    done = run(original, "backup", folder / "saved")
    assert done.returncode == 0, done.stderr
    return folder / "saved"


@pytest.fixture
def target(folder: Path, original: Path) -> Iterator[Path]:
    """A data folder with the keys and nothing else, on a PostgreSQL that runs meanwhile."""
    data_dir = folder / "target"
    data_dir.mkdir(mode=0o711)
    shutil.copytree(original / "keys", data_dir / "keys")
    yield data_dir
    left = EmbeddedPostgres.attach(data_dir)
    if left is not None:
        left.stop()
    shutil.rmtree(data_dir)


@pytest.fixture
def backups(folder: Path) -> Iterator[Path]:
    path = folder / "backups"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def test_the_restore_drill_of_the_guide(original: Path, folder: Path, backups: Path) -> None:
    (safe := folder / "safe").mkdir()
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    script = f'carnet() {{ "{sys.executable}" -c "{CARNET[2]}" "$@"; }}\nset -eu\n' + "".join(
        blocks
    )
    elsewhere = folder / "elsewhere"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(original, BACKUPS=str(backups), SAFE=str(safe), ELSEWHERE=str(elsewhere)),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in backups.iterdir()) == [
        "drill-again",
        "drill.tar",
        "monday.tar",
    ]
    whole = re.findall(r"The journal is whole: (\d+) entries", done.stdout)
    assert len(whole) == 2 and int(whole[0]) > 20 and whole[0] == whole[1]
    first, second = [
        json.loads(line)
        for line in (
            subprocess.check_output(
                ["tar", "xOf", backups / "drill.tar", "manifest.json"], text=True
            ),
            (backups / "drill-again/manifest.json").read_text(),
        )
    ]
    assert first["contents"] == second["contents"] > 5
    assert first["listing"]["size_bytes"] == second["listing"]["size_bytes"]
    shutil.rmtree(elsewhere)
    shutil.rmtree(safe)


def test_every_row_and_every_content_comes_back(original: Path, saved: Path, target: Path) -> None:
    with EmbeddedPostgres.start(original) as server:
        before = asyncio.run(rows(server))
    done = run(target, "restore", saved)
    assert done.returncode == 0, done.stderr
    with EmbeddedPostgres.start(target, FAST) as server:
        after = asyncio.run(rows(server))
        opened = asyncio.run(open_all(target))
    assert len(before["journal_entries"]) > 20 and len(before["persons"]) > 3
    assert after.pop("sessions") == []
    before.pop("sessions")
    assert after == before
    assert opened == len([row for row in before["blobs"] if ",READY," in row]) > 5


async def open_all(data_dir: Path) -> int:
    """Decrypt and hash every content; return how many there are."""
    from hashlib import sha256

    from sqlalchemy import select

    from carnet.store.blobs import StoredBlob
    from carnet.store.tables import Blob

    keys = FileKeyProvider(read_key_file(data_dir / "keys/kek"))
    store = BlobStore.open(None, data_dir, keys)
    count = 0
    async with workspace(Settings(data_dir=data_dir)) as installation:
        async with installation.database.read() as work:
            found = [StoredBlob.of(row) for row in await work.session.scalars(select(Blob))]
        for blob in found:
            pieces = [piece async for piece in store.read(blob)]
            assert sha256(b"".join(pieces)).digest() == blob.sha256
            count += 1
    return count


def test_what_was_restored_has_the_servers_role_and_rights(saved: Path, target: Path) -> None:
    assert run(target, "restore", saved).returncode == 0

    async def rights(server: EmbeddedPostgres) -> tuple[bool, bool, bool]:
        connection = await connect(server)
        row = await connection.fetchrow(
            "SELECT has_table_privilege('carnet_app', 'journal_entries', 'INSERT'),"
            " has_table_privilege('carnet_app', 'journal_entries', 'UPDATE'),"
            " has_table_privilege('carnet_app', 'journal_entries', 'DELETE')"
        )
        await connection.close()
        return tuple(row)

    with EmbeddedPostgres.start(target, FAST) as server:
        assert asyncio.run(rights(server)) == (True, False, False)


def test_an_installation_is_not_written_over(original: Path, saved: Path) -> None:
    with EmbeddedPostgres.start(original) as server:
        before = asyncio.run(rows(server))
        done = run(original, "restore", saved)
        assert done.returncode == 1
        assert re.search(
            r"The database has \d+ tables already; .*Nothing was changed\.", done.stderr
        )
        assert asyncio.run(rows(server)) == before


def test_contents_of_others_are_not_mixed_with(saved: Path, target: Path) -> None:
    other = target / "blobs/ab" / ("0" * 30 + "ab") / "000000"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x")
    done = run(target, "restore", saved)
    assert done.returncode == 1
    assert "The blob store holds 1 objects that are not of this backup" in done.stderr
    assert [path for path in (target / "blobs").rglob("*") if path.is_file()] == [other]


def test_a_restore_that_broke_off_can_be_done_again(saved: Path, target: Path) -> None:
    listed = (saved / "contents.list").read_text().splitlines()
    path = listed[0].split()[2]
    (target / "blobs" / path).parent.mkdir(parents=True)
    (target / "blobs" / path).write_bytes(b"half")
    done = run(target, "restore", saved)
    assert done.returncode == 0, done.stderr
    assert (target / "blobs" / path).read_bytes() == (saved / "contents" / path).read_bytes()


@pytest.mark.parametrize("which", ["database.sealed", "contents.list", "manifest.json", "contents"])
def test_an_altered_backup_is_refused(saved: Path, target: Path, backups: Path, which: str) -> None:
    copy = backups / "altered"
    shutil.copytree(saved, copy)
    path = copy / which
    if path.is_dir():
        path = sorted(each for each in path.rglob("*") if each.is_file())[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = run(target, "restore", copy)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("carnet: The backup")
    with EmbeddedPostgres.start(target, FAST) as server:
        assert asyncio.run(tables(server)) == 0


async def tables(server: EmbeddedPostgres) -> int:
    url = server.owner_url
    connection = await asyncpg.connect(
        host=url.query["host"], user=url.username, database="postgres"
    )
    known = await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'carnet'")
    await connection.close()
    if not known:
        return 0
    connection = await connect(server)
    count = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return count


@pytest.mark.parametrize("name", ["kek", "log"])
def test_other_keys_open_nothing(saved: Path, target: Path, name: str) -> None:
    (target / "keys" / name).write_text("A" * 43 + "\n")
    done = run(target, "restore", saved)
    assert done.returncode == 1
    assert {"kek": "lacks keys", "log": "another key than CARNET_LOG_KEY_FILE's"}[
        name
    ] in done.stderr
    assert sorted(path.name for path in target.iterdir()) == ["keys"]


def test_without_keys_nothing_is_made(saved: Path, target: Path) -> None:
    shutil.rmtree(target / "keys")
    done = run(target, "restore", saved)
    assert done.returncode == 1 and "keys/kek cannot be read" in done.stderr
    assert list(target.iterdir()) == []


def test_no_key_and_no_text_is_in_a_backup(original: Path, saved: Path) -> None:
    everything = b"".join(path.read_bytes() for path in saved.rglob("*") if path.is_file())
    for name in ("kek", "log"):
        assert (original / "keys" / name).read_bytes().strip() not in everything
    with EmbeddedPostgres.start(original) as server:
        names = asyncio.run(rows(server))["persons"]
    words = set(re.findall(r"[A-ZÉÈÀ][a-zéèçà]{4,}", " ".join(names)))
    assert len(words) >= 3
    assert [word for word in words if word.encode() in everything] == []


@pytest.mark.parametrize("name", ["cut.tar", "empty.tar", "text.tar", "folder"])
def test_what_is_no_whole_backup_is_refused(
    original: Path, target: Path, backups: Path, name: str
) -> None:
    place = backups / name
    if name == "folder":
        place.mkdir()
    elif name == "cut.tar":
        assert run(original, "backup", place).returncode == 0
        os.truncate(place, place.stat().st_size - 4096)
    else:
        place.write_bytes(b"" if name == "empty.tar" else b"no archive " * 100)
    done = run(target, "restore", place)
    assert done.returncode == 1
    assert re.search(r"is no (whole )?backup of Carnet", done.stderr), done.stderr
    assert sorted(path.name for path in target.iterdir()) == ["keys"]


def test_a_backup_is_not_written_over(original: Path, saved: Path) -> None:
    before = (saved / "manifest.json").read_bytes()
    done = run(original, "backup", saved)
    assert (done.returncode, "is there already" in done.stderr) == (1, True)
    assert (saved / "manifest.json").read_bytes() == before


def test_there_is_nothing_to_back_up(target: Path, backups: Path) -> None:
    done = run(target, "backup", backups / "new")
    assert (done.returncode, "There is nothing to back up" in done.stderr) == (1, True)
    assert list(backups.iterdir()) == []


@contextmanager
def standing_still(original: Path) -> Iterator[None]:
    """A table that nobody may read, so that pg_dump waits for it."""
    loop = asyncio.new_event_loop()
    with EmbeddedPostgres.start(original) as server:
        connection = loop.run_until_complete(connect(server))
        loop.run_until_complete(
            connection.execute("BEGIN; LOCK TABLE persons IN ACCESS EXCLUSIVE MODE")
        )
        yield
        loop.run_until_complete(connection.close())
    loop.close()


def begin(original: Path, place: Path) -> subprocess.Popen[str]:
    """Start a backup, and return when it writes."""
    process = subprocess.Popen(
        [*CARNET, "backup", str(place)],
        env=environment(original),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    partial = place.with_name(f".{place.name}.partial")
    until = time.monotonic() + 60
    begun = partial if place.suffix else partial / "database.sealed"
    while not begun.exists():
        assert process.poll() is None and time.monotonic() < until
    return process


@pytest.mark.parametrize("name", ["night", "night.tar"])
def test_a_terminated_backup_leaves_nothing(original: Path, backups: Path, name: str) -> None:
    with standing_still(original):
        process = begin(original, backups / name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert process.stderr is not None
    process.stderr.close()
    assert list(backups.iterdir()) == []


@pytest.mark.parametrize("name", ["night", "night.tar"])
def test_a_killed_backup_is_none_and_the_next_one_clears_it_away(
    original: Path, backups: Path, target: Path, name: str
) -> None:
    partial = backups / f".{name}.partial"
    with standing_still(original):
        process = begin(original, backups / name)
        second = run(original, "backup", backups / name)
        assert (second.returncode, "Another process is writing" in second.stderr) == (1, True)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert list(backups.iterdir()) == [partial]
        refused = run(target, "restore", partial)
        assert refused.returncode == 1 and "backup of Carnet" in refused.stderr
    again = run(original, "backup", backups / name)
    assert again.returncode == 0, again.stderr
    assert list(backups.iterdir()) == [backups / name]
