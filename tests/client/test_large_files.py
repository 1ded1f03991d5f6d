"""A file as large as an hour of video costs no more memory than a small one, sent or saved.

``make test-large`` does it with 1 GiB, and prints what it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pytest
from talking import PASSPHRASE, Talk, talk

from carnet.clock import MovableClock
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.messenger import Messenger
from carnet_crypto.encoding import to_base64url

MIB = 2**20
SIZE = int(os.environ.get("CARNET_TEST_FILE_MIB", "64")) * MIB  # bytes
MOST_GROWN = 40 * MIB  # of a process, above what a small file takes
PATIENCE = 60 + SIZE / MIB  # seconds

CHILD = """
import asyncio, json, sys, time
from pathlib import Path
from carnet_client.keystore import KeyStore
from carnet_client.messenger import Messenger
from carnet_client.vault import Passphrase

def memory(what):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024

async def act(profile, passphrase, thread, what, small, large):
    async with Messenger(KeyStore.open(Path(profile), Passphrase(passphrase))) as messenger:
        seen = await messenger.thread(thread)
        folder = Path(large).parent / "saved"

        async def do(path):
            if what == "attach":
                return await seen.attach(path)
            (message,) = [m for m in seen.messages if m.files and m.files[0].name == path.name]
            return await seen.save(message, folder)

        await do(Path(small))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: without Argon2's
        before, began = memory("VmRSS"), time.monotonic()
        await do(Path(large))
        took = time.monotonic() - began
        print(json.dumps({"before": before, "peak": memory("VmHWM"), "seconds": took}))

asyncio.run(act(*sys.argv[1:]))
"""


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path, PASSPHRASE) as found:
        yield found


async def child(profile: Path, thread: str, what: str, small: Path, large: Path) -> dict[str, Any]:
    """Send or save both files in a process of its own; return what the large one took."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(profile), PASSPHRASE.text, thread, what),
        *(str(small), str(large)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        told, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(told)
    grown = found["peak"] - found["before"]
    speed = SIZE / MIB / found["seconds"]
    print(f"{what} {SIZE // MIB} MiB: {speed:.0f} MiB/s, {grown / MIB:.1f} MiB more")  # noqa: T201 — what test-large is run for
    assert grown < MOST_GROWN
    return found


async def close(*messengers: Messenger) -> None:
    for each in messengers:
        await each.__aexit__(None, None, None)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux tells")
async def test_a_large_file_is_sent_and_saved_in_flat_memory(meeting: Talk, tmp_path: Path) -> None:
    doctor, patient, theirs, _ = await meeting.talking()
    thread = to_base64url(theirs.id)
    await close(doctor, patient)
    small, large = tmp_path / "small.bin", tmp_path / "large.bin"
    block = os.urandom(MIB)
    small.write_bytes(block)
    with large.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(block)
        file.write(b"the end")
    (tmp_path / "saved").mkdir()
    await child(meeting.folder / "doctor", thread, "attach", small, large)
    await child(meeting.folder / "patient", thread, "save", small, large)
    with large.open("rb") as one, (tmp_path / "saved" / "large.bin").open("rb") as other:
        assert file_digest(one, "sha256").digest() == file_digest(other, "sha256").digest()
