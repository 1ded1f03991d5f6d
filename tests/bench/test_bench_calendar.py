"""The measurement of the calendar runs, small."""

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "bench_calendar.py"


def test_every_figure_is_there(samples: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH, "--smoke"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    figures = re.findall(r"^(.+?) +([\d,]+) persons/s$", done.stdout, re.MULTILINE)
    assert [what for what, _ in figures] == [
        "nothing remembered",
        "as they come",
        "by day of birth, 1 in 365",
        "by day of birth, 60 a day",
        "each of a day of their own",
    ]
    assert all(int(figure.replace(",", "")) > 0 for _, figure in figures)
