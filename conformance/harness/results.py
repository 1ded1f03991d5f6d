"""What came of the parts, kept in results.json between runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "results.json"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked."""

    name: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one part.

    Attributes:
        checks: everything that was asked, in the order of asking.
        versions: the packages that asked.
        details: figures beside the checks, a row each, under the names of their columns.
    """

    checks: list[Check]
    versions: dict[str, str] = field(default_factory=dict)
    details: list[dict[str, str]] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.passed for check in self.checks)

    @property
    def is_whole(self) -> bool:
        """Whether something was asked and all of it passed."""
        return bool(self.checks) and self.passed == len(self.checks)


def load(file: Path = FILE) -> dict[str, Outcome]:
    """Return the kept outcomes by part; nothing where none are kept."""
    if not file.exists():
        return {}
    shape: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {
        part: Outcome(
            [Check(**check) for check in kept["checks"]], kept["versions"], kept["details"]
        )
        for part, kept in shape.items()
    }


def save(outcomes: dict[str, Outcome], file: Path = FILE) -> None:
    """Keep the outcomes."""
    shape = {part: asdict(outcome) for part, outcome in outcomes.items()}
    file.write_text(json.dumps(shape, indent=1, ensure_ascii=False) + "\n", "utf-8")
