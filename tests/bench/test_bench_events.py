"""The measurement of events runs, small: it is read by people, and has to be there when it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "bench_events.py"
MEASURED = ("frames", "strawberry", "carnet", "carnet, one viewer")


def test_every_figure_is_there() -> None:
    done = subprocess.run(
        [sys.executable, BENCH, "--smoke", "--only", *MEASURED, "latencies"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for name in MEASURED:
        (row,) = re.findall(rf"^{name} +([\d.,]+ .*)$", done.stdout, re.MULTILINE)
        clients, p50, p99, _, events, deliveries, *_ = (
            float(word.replace(",", "").rstrip("%")) for word in row.split()
        )
        assert clients > 0 and deliveries > 0 and 5 <= events <= 6, row
        assert 0 < p50 <= p99, row
    assert "a family's stream, 4 subscribers, from mutation sent" in done.stdout
    latencies = re.findall(r"(\d+) (subscribers|streams).* p50 +([\d.]+) ms", done.stdout)
    assert {(count, what) for count, what, _ in latencies} == {
        (count, what) for count in ("1", "4") for what in ("subscribers", "streams")
    }
    assert all(float(p50) > 0 for *_, p50 in latencies)
