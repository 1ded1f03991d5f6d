"""The file that keys are in: atomic, private, one process at a time, and plain about damage."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from carnet_client.errors import (
    DamagedKeyStore,
    KeyStoreError,
    KeyStoreInUse,
    NoKeyStore,
    WrongPassphrase,
)
from carnet_client.keyrings import SystemKeyring
from carnet_client.vault import NAME, FromKeyring, Passphrase, Vault

PASSPHRASE = Passphrase("correct horse battery")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "profile"


def made(folder: Path, content: bytes = b"content") -> Path:
    Vault.create(folder, PASSPHRASE, content).close()
    return folder / NAME


def test_what_is_written_is_read_again_and_only_by_the_passphrase(folder: Path) -> None:
    path = made(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"content" not in path.read_bytes()
    vault, content = Vault.open(folder, PASSPHRASE)
    assert content == b"content"
    vault.write(b"other content")
    vault.close()
    before = path.read_bytes()
    with pytest.raises(WrongPassphrase) as refused:
        Vault.open(folder, Passphrase("another horse"))
    assert "horse" not in str(refused.value)
    assert path.read_bytes() == before
    vault, content = Vault.open(folder, PASSPHRASE)
    assert content == b"other content"
    vault.close()
    assert "horse" not in repr(PASSPHRASE) + repr(vault)


def test_a_passphrase_is_the_same_however_it_was_typed(folder: Path) -> None:
    Vault.create(folder, Passphrase("caf\u00e9 au lait"), b"content").close()
    vault, content = Vault.open(folder, Passphrase("cafe\u0301 au lait"))
    vault.close()
    assert content == b"content"


def test_each_write_has_a_key_of_its_own(folder: Path) -> None:
    path = made(folder)
    vault, _ = Vault.open(folder, PASSPHRASE)
    seen = set()
    for _ in range(5):
        vault.write(b"the same")
        seen.add(path.read_bytes()[-80:])
    vault.close()
    assert len(seen) == 5


def test_every_changed_byte_is_said_and_never_written_over(folder: Path) -> None:
    path = made(folder)
    whole = path.read_bytes()
    for at in range(len(whole)):
        spoilt = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.write_bytes(spoilt)
        with pytest.raises(DamagedKeyStore):
            Vault.open(folder, PASSPHRASE)
        assert path.read_bytes() == spoilt
    for length in (0, 1, 4, 59, 60, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedKeyStore):
            Vault.open(folder, PASSPHRASE)
    path.write_bytes(whole)
    vault, content = Vault.open(folder, PASSPHRASE)
    vault.close()
    assert content == b"content"


def test_a_cheaper_stretching_is_refused_before_anything_is_derived(folder: Path) -> None:
    from hashlib import blake2b

    path = made(folder)
    whole = bytearray(path.read_bytes()[:-32])
    whole[6] = 1  # one pass
    path.write_bytes(bytes(whole) + blake2b(whole, digest_size=32).digest())
    with pytest.raises(DamagedKeyStore):
        Vault.open(folder, PASSPHRASE)


def test_one_store_at_a_time(folder: Path) -> None:
    made(folder)
    vault, _ = Vault.open(folder, PASSPHRASE)
    with pytest.raises(KeyStoreInUse):
        Vault.open(folder, PASSPHRASE)
    other = subprocess.run([sys.executable, "-c", OPENER, str(folder)], capture_output=True)
    assert other.returncode == 3, other.stderr
    vault.close()
    Vault.open(folder, PASSPHRASE)[0].close()


def test_nothing_there_is_said(folder: Path) -> None:
    with pytest.raises(NoKeyStore):
        Vault.open(folder, PASSPHRASE)
    with pytest.raises(NoKeyStore):
        Vault.kind(folder)
    made(folder)
    with pytest.raises(FileExistsError):
        Vault.create(folder, PASSPHRASE, b"other")


OPENER = """
import sys
from pathlib import Path
from carnet_client.errors import KeyStoreInUse
from carnet_client.vault import Passphrase, Vault
try:
    Vault.open(Path(sys.argv[1]), Passphrase("correct horse battery"))
except KeyStoreInUse:
    sys.exit(3)
"""
WRITER = """
import sys
from pathlib import Path
from carnet_client.vault import Passphrase, Vault
vault, _ = Vault.open(Path(sys.argv[1]), Passphrase("correct horse battery"))
print("open", flush=True)
number = 0
while True:
    number += 1
    vault.write(b"%d " % number * 50_000)
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new(folder: Path) -> None:
    """SIGKILL in the middle of a write, again and again: the file is always one whole write."""
    made(folder, b"0 " * 50_000)
    for kill_after in (1, 2, 5, 9, 16, 17):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        acknowledged = 0
        for line in process.stdout:
            if line.strip() == "open":
                continue
            acknowledged = int(line)
            if acknowledged >= kill_after:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        acknowledged = max([acknowledged, *map(int, rest)])
        vault, content = Vault.open(folder, PASSPHRASE)
        vault.close()
        numbers = set(content.split())
        assert len(numbers) == 1
        assert int(numbers.pop()) in (acknowledged, acknowledged + 1)
        assert not list(folder.glob("*.part")) and not list(folder.glob(".*.part"))


def test_a_disk_that_fails_takes_nothing_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(folder)
    vault, _ = Vault.open(folder, PASSPHRASE)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="space"):
            vault.write(b"new")
    assert path.read_bytes() == before
    assert [entry.name for entry in folder.iterdir() if entry.name.endswith(".part")] == []
    vault.close()


def test_the_systems_keyring_guards_a_file(folder: Path) -> None:
    """A keyring of the library's own interface; no system has one where tests run."""
    from keyring.backend import KeyringBackend

    class Held(KeyringBackend):
        priority = 1

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    backend = Held()
    unlocker = FromKeyring(SystemKeyring(backend))
    Vault.create(folder, unlocker, b"content").close()
    assert Vault.kind(folder) == FromKeyring.KIND
    vault, content = Vault.open(folder, unlocker)
    vault.close()
    assert content == b"content"
    assert len(backend.held) == 1
    with pytest.raises(KeyStoreError):
        Vault.open(folder, PASSPHRASE)
    backend.held.clear()
    with pytest.raises(NoKeyStore):
        Vault.open(folder, unlocker)


def test_files_in_plain_text_are_no_system_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backends.fail import Keyring as Fail
    from keyring.backends.null import Keyring as Null

    for backend in (Fail(), Null()):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        assert SystemKeyring.find() is None
