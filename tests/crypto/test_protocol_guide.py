"""The specification names everything there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from carnet_crypto.chain_bodies import EntryType
from carnet_crypto.control_bodies import ControlType
from carnet_crypto.errors import Reason
from carnet_crypto.labels import Label

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "protocol.md").read_text()


def rows(pattern: str) -> dict[str, str]:
    return dict(re.findall(pattern, GUIDE, re.MULTILINE))


def test_every_label_is_listed() -> None:
    listed = rows(r"^\| `([A-Z_]+)` \| `([a-z-]+)` \|")
    assert listed == {label.name: label.value for label in Label}


def test_every_reason_has_a_meaning() -> None:
    section = GUIDE.split("The reasons:")[1].split("## 2")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", section, re.MULTILINE)) == set(Reason)
    named = set(re.findall(r"`([a-z]+-[a-z-]+)`", GUIDE.split("## 2")[1].split("## 4")[0]))
    assert named <= set(Reason)


def test_every_entry_has_a_layout() -> None:
    chains, controls = GUIDE.split("## 6 Accounts")[1].split("## 8 Threads")
    for text, kinds in ((chains, EntryType), (controls.split("## 9")[0], ControlType)):
        listed = re.findall(r"^\| (\d+) ([A-Z_]+) \|", text, re.MULTILINE)
        assert {name: int(number) for number, name in listed} == {k.name: k.value for k in kinds}


def test_every_file_of_vectors_is_listed() -> None:
    named = set(re.findall(r"`(\w+\.json)`", GUIDE))
    assert named == {path.name for path in (ROOT / "crypto" / "vectors").glob("*.json")}


def test_every_link_inside_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in GUIDE.splitlines()
        if line.startswith("#")
    }
    links = set(re.findall(r"\(#([\w-]+)\)", GUIDE))
    assert links and links <= headings
