"""The measurements of messages run, small: they are read by people, and have to be there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"


def measured(name: str) -> str:
    done = subprocess.run(
        [sys.executable, BENCH / name, "--smoke"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sealing_and_opening_are_measured() -> None:
    said = measured("bench_messaging.py")
    for name in ("sealed", "read into a transcript"):
        (figure,) = re.findall(rf"^{name} +([\d,]+)/s", said, re.MULTILINE)
        assert int(figure.replace(",", "")) > 0
    files = re.findall(r"([\d,]+) MiB/s +([\d.]+) of secretstream alone", said)
    assert len(files) >= 2 and all(float(ratio) > 0 for _, ratio in files)


def test_the_relay_is_measured_end_to_end() -> None:
    said = measured("bench_relay.py")
    (rate,) = re.findall(r"senders at once +([\d,]+) messages/s", said)
    (p50,) = re.findall(r"p50 +([\d.]+) ms", said)
    members = re.findall(r"one sender, +(\d+) members +([\d,]+) messages/s", said)
    assert int(rate.replace(",", "")) > 0 and float(p50) > 0
    assert [int(count) for count, _ in members] == [2, 4]
