"""A full disk, for real: a small file system of its own, or else a limit on file sizes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

SCRIPT = """
import asyncio, os, resource, sys
from pathlib import Path
from carnet.errors import StorageFull
from carnet.store.database import Database
from carnet.store.blobs import BlobStore
from carnet.store.keys import FileKeyProvider
from carnet.store.tables import Blob
from sqlalchemy import func, select

async def pieces(count):
    for _ in range(count):
        yield os.urandom(2**20)

def left(folder):
    return [str(path) for path in folder.rglob("*") if path.is_file()]

async def main(url, folder, limit):
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    database = Database.connect(url)
    blobs = BlobStore.open(None, folder, FileKeyProvider([bytes(32)]))
    async def receive(count):
        return await blobs.receive(
            database, "account:1", pieces(count), media_type="a/b", limit_bytes=2**30
        )
    small = await receive(1)
    before = left(folder)
    for attempt in range(2):
        try:
            await receive(40)
        except StorageFull as error:
            assert error.code == "STORAGE_FULL"
        else:
            raise AssertionError("it was not full")
        assert left(folder) == before, left(folder)
    try:
        async with database.write() as work:
            await blobs.put(work, "account:1", bytes(30 * 2**20), "a/b")
    except StorageFull:
        pass
    else:
        raise AssertionError("it was not full")
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Blob)) == 1
    assert len(b"".join([piece async for piece in blobs.read(small)])) == 2**20
    assert (await receive(2)).size_bytes == 2 * 2**20
    await database.close()
    print("typed and clean")

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
"""
MOUNTED = 'mount -t tmpfs -o size=20m none "$2" && exec "$0" -c "$1" "$3" "$2" 0'
# Root needs no user namespace, in which it could not reach the socket of PostgreSQL's own user.
NAMESPACE = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]


def test_a_limit_on_file_sizes_is_a_full_store(owner_url: URL, tmp_path: Path) -> None:
    """Works for everybody; the first segment of a larger upload is over the limit."""
    run([sys.executable, "-c", SCRIPT, text(owner_url), str(tmp_path), str(3 * 2**20)])


def test_a_full_file_system_is_a_full_store(owner_url: URL, tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"]).returncode:
        pytest.skip("this system allows no mount namespaces")
    command = [*NAMESPACE, "sh", "-c", MOUNTED, sys.executable, SCRIPT, str(tmp_path)]
    run([*command, text(owner_url)])


def text(owner_url: URL) -> str:
    return owner_url.render_as_string(hide_password=False)


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "typed and clean", "")
