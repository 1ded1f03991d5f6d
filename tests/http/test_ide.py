"""The IDE's files: exactly the vendored ones and ours, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from carnet.http import ide


def test_the_vendored_files_are_what_the_manifest_says() -> None:
    manifest = json.loads((ide.FOLDER / "MANIFEST.json").read_text())
    ours = {"MANIFEST.json", "index.html", "boot.js", "boot.css", "examples.js"}
    assert {path.name for path in ide.FOLDER.iterdir()} == ours | set(manifest["sha256"])
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((ide.FOLDER / name).read_bytes()).hexdigest() == digest
    assert sum(path.stat().st_size for path in ide.FOLDER.iterdir()) < 4 * 2**20


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline() -> None:
    page = (ide.FOLDER / "index.html").read_text()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for path in loaded:
        assert path == "data:," or (ide.FOLDER / Path(path).name).is_file()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    assert re.findall(r"\son\w+=", page) == []
    for name in ("boot.js", "boot.css", "examples.js"):
        assert "//" not in re.sub(r"^//.*$", "", (ide.FOLDER / name).read_text(), flags=re.M)
    styles = (ide.FOLDER / "graphiql.min.css").read_text()
    assert {found[:5] for found in re.findall(r'url\("?([^)]+)\)', styles)} == {"data:"}
    assert "@import" not in styles
