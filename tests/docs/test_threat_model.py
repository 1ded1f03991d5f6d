"""Whatever the threat model names is there: modules, and tests by their names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/threat-model.md").read_text()
PATHS = re.findall(r"`([\w./-]+\.(?:py|md|toml|txt))(?:::(\w+))?`", GUIDE)


def test_every_file_and_every_test_exists() -> None:
    lost = [
        f"{path}::{name}"
        for path, name in PATHS
        if not (ROOT / path).is_file()
        or (name and not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.M))
    ]
    assert lost == []
    assert len(PATHS) > 80


def test_every_threat_has_a_proof() -> None:
    boundaries = GUIDE.split("## B1", 1)[1]
    rows = re.findall(r"^\| [STRIDE](?:, [STRIDE])* \| .*$", boundaries, re.MULTILINE)
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"`tests/[\w/.]+::test_\w+`", row)] == []


def test_every_boundary_says_what_remains() -> None:
    boundaries = re.split(r"^## (?=B\d )", GUIDE, flags=re.MULTILINE)[1:]
    assert [each[:2] for each in boundaries] == [f"B{number}" for number in range(1, 9)]
    assert [each[:2] for each in boundaries if "**Remains.**" not in each] == []


def test_it_can_be_read_and_links_lead_somewhere() -> None:
    assert len(GUIDE.splitlines()) <= 250
    for target in re.findall(r"\]\(([^)#]+)", GUIDE):
        assert (ROOT / "docs" / target).resolve().is_file(), target
