"""A misspelt ``CARNET_…`` variable is told, and no name that is read is forgotten."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from servers import free_port

from carnet.cli.names import ELSEWHERE, known_names, unknown_names
from carnet.settings import Settings

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bCARNET_[A-Z][A-Z_]*[A-Z]\b")
READ_BY_TESTS = re.compile(r'environ\b[^\n]*"(CARNET_[A-Z_]+)"|"(CARNET_[A-Z_]+)" in os\.environ')
FOLDERS = ("app", "client", "crypto", "graphql", "bench", "scripts", "conformance", "examples")
CODE = {".py", ".ts", ".tsx", ".js", ".mjs", ".sh", ".html", ".toml", ".yml", ".yaml", ""}
NO_VARIABLE = {"CARNET_EXAMPLES"}  # a constant of the IDE
MISSPELT = "CARNET_TRUSTED_DOCUMENTS_ONYL"
SAID = f"{MISSPELT} is no setting; is CARNET_TRUSTED_DOCUMENTS_ONLY meant?"


def read_somewhere() -> set[str]:
    files = [ROOT / "Makefile", ROOT / "Dockerfile"]
    for folder in FOLDERS:
        files += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in CODE and path.is_file() and "node_modules" not in path.parts
        ]
    found = {name for path in files for name in NAME.findall(path.read_text("utf-8"))}
    for path in (ROOT / "tests").rglob("*.py"):
        pairs = READ_BY_TESTS.findall(path.read_text("utf-8"))
        found |= {one or other for one, other in pairs}
    return found - NO_VARIABLE


def test_every_name_that_is_read_is_known_and_every_known_name_is_read() -> None:
    assert read_somewhere() == known_names()


def test_the_settings_know_their_own_names() -> None:
    source = (ROOT / "app/carnet/settings.py").read_text("utf-8")
    assert Settings.names() == set(re.findall(r'"(CARNET_[A-Z_]+)"', source))
    assert not Settings.names() & ELSEWHERE


def test_what_begins_so_and_is_known_to_nobody_is_unknown() -> None:
    env = dict.fromkeys([*known_names(), "PATH", "CARNETS", "carnet_port"], "x")
    assert unknown_names(env) == []
    assert unknown_names({**env, MISSPELT: "1"}) == [SAID]
    assert unknown_names({"CARNET_XYZZY_QUUX": ""}) == ["CARNET_XYZZY_QUUX is no setting."]


def test_in_development_a_command_warns_in_one_line_and_goes_on(carnet) -> None:
    done = carnet("publisher", "list", **{MISSPELT: "1"})
    assert (done.code, done.err) == (0, f"carnet: {SAID}\n")
    assert carnet("publisher", "list", CARNET_SAMPLES="/data").err == ""


def test_the_check_finds_it_and_says_it_once(carnet) -> None:
    done = carnet("check", CARNET_TRUSTED_PROXIES="127.0.0.1", **{MISSPELT: "1"})
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines().count(f"SETTING_UNKNOWN: {SAID}") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_production_does_not_serve_with_it(
    data_dir: Path, serve_command, command_env, workers: str
) -> None:
    done = subprocess.run(
        [*serve_command, "--workers", workers],
        env=command_env(
            data_dir,
            CARNET_MODE="production",
            CARNET_PORT=str(free_port()),
            **{MISSPELT: "1"},
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count(SAID) == 1
    assert f"SETTING_UNKNOWN: {SAID}" in done.stderr.splitlines()
