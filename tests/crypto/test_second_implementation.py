"""A second implementation, in another language, comes to the same on every vector (T72)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from node_packages import install_packages

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "crypto" / "vectors"
NUMBER = sum(len(json.loads(path.read_text()).get("cases", ())) for path in VECTORS.glob("*.json"))


@pytest.fixture(scope="module")
def folder() -> Path:
    return install_packages(ROOT / "crypto" / "js")


def replay(folder: Path, vectors: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        ("node", "replay.mjs", str(vectors)), cwd=folder, capture_output=True, text=True
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_javascript_comes_to_the_same(folder: Path) -> None:
    code, lines = replay(folder, VECTORS)
    assert lines == [json.dumps({"cases": NUMBER, "wrong": 0}, separators=(",", ":"))]
    assert code == 0


def test_a_difference_would_be_seen(folder: Path, tmp_path: Path) -> None:
    for path in VECTORS.glob("given.json"):
        (tmp_path / path.name).write_text(path.read_text())
    safety = json.loads((VECTORS / "safety.json").read_text())
    safety["cases"][0]["out"]["both"] += "0"
    safety["cases"][1]["expect"] = "malformed"
    (tmp_path / "safety.json").write_text(json.dumps(safety))
    code, lines = replay(folder, tmp_path)
    assert code == 1
    assert json.loads(lines[-1]) == {"cases": len(safety["cases"]), "wrong": 2}
