"""``carnet operations check`` and ``carnet-client operations``."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

CLIENT = (sys.executable, "-c", "from carnet_client.cli import main; main()")


def registry(file: Path, *texts: str) -> Path:
    file.write_text(json.dumps({hashlib.sha256(text.encode()).hexdigest(): text for text in texts}))
    return file


def test_what_the_terminal_client_sends_is_served(carnet, tmp_path: Path) -> None:
    done = subprocess.run([*CLIENT, "operations"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "terminal.json"
    file.write_text(done.stdout)
    count = len(json.loads(done.stdout))
    checked = carnet("operations", "check", str(file))
    assert (checked.code, checked.out) == (0, f"{file}: {count} operations.\n")


def test_what_this_version_cannot_run_is_named(carnet, tmp_path: Path) -> None:
    good, bad = "{ viewer { __typename } }", "{ viewers { __typename } }"
    file = registry(tmp_path / "registry.json", good, bad)
    done = carnet("operations", "check", str(file))
    digest = hashlib.sha256(bad.encode()).hexdigest()[:12]
    assert (done.code, done.out) == (1, f"{file}: 2 operations.\n")
    assert done.err.splitlines() == [
        f"{file}: {digest}…: Cannot query field 'viewers' on type 'Query'.",
        "carnet: Operations that this version cannot run: 1.",
    ]


def test_a_file_that_is_no_registry_is_one_line(carnet, tmp_path: Path) -> None:
    done = carnet("operations", "check", str(tmp_path / "nowhere.json"))
    assert done.code == 1
    assert len(done.err.splitlines()) == 1 and "cannot be read" in done.err
