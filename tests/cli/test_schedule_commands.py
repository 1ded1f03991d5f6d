"""Schedules are checked, loaded whole or not at all, and calendars computed by them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from carnet.calendar.rule_files import SHIPPED


@pytest.fixture
def data_dir(settled_data_dir: Path) -> Path:
    return settled_data_dir


def test_a_schedule_is_checked_loaded_and_computed(
    tmp_path: Path, data_dir: Path, serve_command, command_env
) -> None:
    env = command_env(data_dir)
    folder = tmp_path / "fr-2027"
    shutil.copytree(SHIPPED / "fr", folder)

    def carnet(*words: str) -> tuple[int, str, str]:
        command = [*serve_command[:-1], "calendar", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def with_folder(word: str) -> tuple[int, str, str]:
        return carnet(word, str(folder))

    assert with_folder("check")[1].startswith("France 2026.1: 75 rules, ")
    common = folder / "schedule.yaml"
    common.write_text(common.read_text().replace("version: 2026.1", "version: 2027.1"))
    assert with_folder("load")[:2] == (0, "France 2027.1 is in force.\n")
    assert with_folder("load")[:2] == (0, "France 2027.1 is in force already.\n")
    assert carnet("recompute")[:2] == (0, "0 calendars were computed.\n")
    rules = folder / "screenings.yaml"
    rules.write_text(rules.read_text().replace("act: MAMMOGRAPHY", "act: MAMOGRAPHY", 1))
    line = 1 + rules.read_text()[: rules.read_text().index("MAMOGRAPHY")].count("\n")
    for word in ("check", "load"):
        code, out, err = with_folder(word)
        assert (code, out) == (1, "")
        said = f"carnet: screenings.yaml:{line}: act: the schedule has no 'MAMOGRAPHY'\n"
        assert err.endswith(said)
