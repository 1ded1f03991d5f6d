"""Node's packages, installed once into the folder that names them, and scripts that use them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
FLAGS = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
WITHIN = 300  # seconds for one script


class NodeMissing(Exception):
    """There is no Node, or no npm, on this machine, or one that is too old."""


class NodeFailed(Exception):
    """npm or a script ended with an error."""


def install(folder: Path = HERE) -> Path:
    """Return the folder, once it has what its package.json names.

    Raises:
        NodeMissing: Node is not there.
        NodeFailed: npm could not install.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NodeMissing("node and npm are missing: apt-get install nodejs npm")
    wanted = json.loads((folder / "package.json").read_text())
    least = wanted.get("engines", {}).get("node", ">=0").removeprefix(">=")
    found = run(("node", "--version"), folder).strip().removeprefix("v")
    if _numbers(found) < _numbers(least):
        raise NodeMissing(f"node {least} or newer is missing: this one is {found}")
    digest = hashlib.sha256((folder / "package.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed"
    with (folder / ".lock").open("w") as lock:  # several test runs may share it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            run(("npm", "install", *FLAGS), folder)
            stamp.write_text(digest)
    return folder


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split("-")[0].split(".")]


def versions(*packages: str) -> dict[str, str]:
    """Return the pinned versions of some packages."""
    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]
    return {name: pinned[name] for name in packages}


def script(name: str, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a script of this folder on a task; return its results.

    Raises:
        NodeFailed: it ended with an error, or said nothing.
    """
    said = run(("node", f"{name}.mjs", json.dumps(task)), HERE)
    lines = said.strip().splitlines()
    if not lines:
        raise NodeFailed(f"{name}.mjs said nothing")
    results: list[dict[str, Any]] = json.loads(lines[-1])["results"]
    return results


def run(command: tuple[str, ...], folder: Path) -> str:
    """Run a program in a folder; return what it wrote.

    Raises:
        NodeFailed: it ended with an error, or did not end within five minutes.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN)
    except subprocess.TimeoutExpired:
        raise NodeFailed(f"{command[0]} {command[1]}: no end within {WITHIN} s") from None
    if done.returncode:
        raise NodeFailed(f"{command[0]} {command[1]}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
