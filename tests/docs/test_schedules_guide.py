"""The guide to schedules: its example loads, and it names every word of the format."""

from __future__ import annotations

import re
from pathlib import Path

from carnet.calendar import rule_files
from carnet.calendar.items import Calendar
from carnet.calendar.rule_files import SHIPPED, load_rules

GUIDE = (Path(__file__).parents[2] / "docs/schedules.md").read_text()


def test_the_example_is_a_schedule(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "rules.yaml").write_text(example)
    (tmp_path / "schedule.yaml").write_text((SHIPPED / "fr" / "schedule.yaml").read_text())
    made = Calendar(load_rules(tmp_path))
    assert list(made.book.rules) == ["VAC_EXAMPLE"]


def test_every_word_is_explained() -> None:
    said = set(re.findall(r"\w+", GUIDE))
    words = {
        word
        for name in ("_SCHEDULE", "_RULE", "_PART", "_SCHEME", "_DOSE", "_AGE", "_INTERVAL")
        for word in getattr(rule_files, name)
    }
    assert words <= said, words - said
