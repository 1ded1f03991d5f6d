"""Node's packages, installed once into the folder that asks for them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def install_packages(folder: Path) -> Path:
    """Return the folder, once it has what its package.json names; without Node, skip.

    Where CI is set, Node has to be there.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "node and npm are missing: apt-get install nodejs npm"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    wanted = (folder / "package.json").read_bytes()
    stamp = folder / "node_modules" / ".installed"
    with (folder / ".lock").open("w") as lock:  # workers of a test run share it
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(wanted).hexdigest()
        if not stamp.is_file() or stamp.read_text() != digest:
            flags = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
            done = subprocess.run(
                ("npm", "install", *flags), cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            stamp.write_text(digest)
    return folder
