"""The engine against the CDC's own cases and supporting data, and the command that runs them."""

from pathlib import Path

import pytest

from carnet.calendar.conformance import Outcome, read_cases, run
from carnet.calendar.loading import load
from carnet.calendar.schedule import Schedule

SCHEDULE = "cdsi/supporting-data-4.64"
HEALTHY = "cdsi/cdsi_healthy_v4.45_odd.csv"
CONDITIONS = "cdsi/cdsi_conditions_v4.6_odd.csv"


@pytest.fixture(scope="module")
def schedule(samples: Path) -> Schedule:
    return load(samples / SCHEDULE)


def outcomes(path: Path, schedule: Schedule) -> list[Outcome]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(run(read_cases(file, schedule), schedule))


@pytest.mark.parametrize(
    ("file", "cases", "agreeing"),
    [(HEALTHY, 505, 505), (CONDITIONS, 170, 162)],
    ids=["healthy", "risk"],
)
def test_the_level_reached_is_held(
    samples: Path, schedule: Schedule, file: str, cases: int, agreeing: int
) -> None:
    held = outcomes(samples / file, schedule)
    agree = [each for each in held if not each.mismatches]
    assert len(held) == cases
    missed = {each.case.id: [str(m) for m in each.mismatches] for each in held if each.mismatches}
    assert len(agree) >= agreeing, missed
