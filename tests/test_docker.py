"""The Dockerfile keeps its promises: two stages, slim, non-root, one volume, a health check."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str


def parse(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage, without comments, continuation lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[list[Instruction]] = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        name, _, value = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, " ".join(value.split())))
    return stages


STAGES = parse((ROOT / "Dockerfile").read_text())
FINAL = STAGES[-1]


def values(name: str, stage: list[Instruction] = FINAL) -> list[str]:
    return [each.value for each in stage if each.name == name]


def env(stage: list[Instruction]) -> dict[str, str]:
    words = [word for value in values("ENV", stage) for word in value.split()]
    return dict(word.split("=", 1) for word in words)


def test_two_stages_on_one_slim_image() -> None:
    images = [values("FROM", stage)[0].split(" AS ")[0] for stage in STAGES]
    assert images == ["python:3.13-slim"] * 2


def test_the_image_runs_a_python_that_the_project_supports() -> None:
    asked = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    has = re.search(r":(\d+)\.(\d+)-slim", values("FROM")[0])
    assert asked is not None and has is not None
    assert tuple(map(int, has.groups())) >= tuple(map(int, asked.groups()))


def test_the_final_stage_takes_only_the_built_environment() -> None:
    assert values("COPY") == ["--from=build /opt/carnet /opt/carnet"]
    assert values("ADD") == []
    assert not any("pip" in step or "apt" in step for step in values("RUN"))


def test_every_version_is_pinned() -> None:
    installs = [
        command
        for step in values("RUN", STAGES[0])
        for command in step.split(" && ")
        if " install " in command or " wheel " in command
    ]
    assert len(installs) == 3
    assert all("-c constraints.txt" in each or "--no-deps" in each for each in installs)


def test_it_runs_as_a_numeric_user_that_is_not_root_and_has_a_name() -> None:
    (user,) = values("USER")
    uid, gid = map(int, user.split(":"))
    assert uid > 0 and gid > 0
    (step,) = values("RUN")
    assert f"--uid {uid} --gid {gid}" in step, "initdb refuses a user without a name"
    names = [each.name for each in FINAL]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in {"RUN", "COPY"})


def test_it_writes_only_to_its_one_volume() -> None:
    assert values("VOLUME") == ["/data"]
    settings = env(FINAL)
    assert settings["CARNET_DATA_DIR"] == "/data"
    assert settings["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "--mode=0700 /data" in values("RUN")[0]


def test_it_serves_every_address_on_the_exposed_port() -> None:
    settings = env(FINAL)
    assert settings["CARNET_HOST"] == "0.0.0.0"  # noqa: S104 — inside the container
    assert values("EXPOSE") == [settings["CARNET_PORT"]] == ["8000"]


def test_it_starts_the_server_without_a_shell_so_that_signals_arrive() -> None:
    assert json.loads(values("ENTRYPOINT")[0]) == ["carnet"]
    assert json.loads(values("CMD")[0]) == ["serve"]
    assert values("STOPSIGNAL") == ["SIGTERM"]


def test_every_copied_path_exists_and_is_not_ignored() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [path for value in values("COPY", STAGES[0]) for path in value.split()[:-1]]
    assert len(copied) == 8
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path in allowed, path


def test_no_registry_host_is_named() -> None:
    for name in ("Dockerfile", "Makefile", "constraints.txt", ".ci/run", "pyproject.toml"):
        text = (ROOT / name).read_text()
        assert not re.search(r"--(extra-)?index-url|https?://(?!127\.0\.0\.1)", text), name


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_a_live_server_from_a_failing_one(status: int, code: int) -> None:
    (check,) = values("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={"CARNET_PORT": str(server.server_port)},
            capture_output=True,
            timeout=30,
        )
        server.shutdown()
    assert (done.returncode, asked) == (code, ["/health/live"]), done.stderr
