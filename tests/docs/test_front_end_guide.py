"""The guide for front ends: its code is the examples', and they do what it says on a real server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node_packages import install_packages
from servers import Running, free_port, running

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/front-end"
GUIDE = (ROOT / "docs/front-end.md").read_text()
COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()")
SCREENS = ("apollo", "urql", "relay")
READY = "Ctrl-C stops everything"
REGISTRIES = ("generated/persisted-documents.json", "relay/trusted.json")
SOON = 60  # seconds, on a machine that does much else


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of a language that are not files."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def part(name: str) -> str:
    """Return a file of the examples, or the region of it that follows the ``#``."""
    path, _, region = name.partition("#")
    text = (EXAMPLES / path).read_text()
    if not region:
        return text
    found = re.findall(
        rf"^// #region {region}\n(.*?)^// #endregion$", text, re.DOTALL | re.MULTILINE
    )
    assert len(found) == 1, name
    return str(found[0])


def test_each_block_of_code_is_its_file() -> None:
    assert blocks("ts") == []  # each says which file it is
    named = re.findall(r"^```(?:ts|json) (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert len(named) > 15
    for name, text in named:
        assert text == part(name), name
    regions = {
        f"{path.relative_to(EXAMPLES)}#{region}"
        for folder in (EXAMPLES, *(EXAMPLES / screen for screen in SCREENS))
        for path in folder.glob("*.ts")
        for region in re.findall(r"^// #region (\S+)$", path.read_text(), re.MULTILINE)
    }
    assert regions == {name for name, _ in named if "#" in name}


def test_every_link_and_script_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
    scripts = json.loads((EXAMPLES / "package.json").read_text())["scripts"]
    said = set(re.findall(r"npm run ([\w-]+)", GUIDE))
    assert said == {"generate", "add", *SCREENS} == set(scripts) - {"check"}


def npm(folder: Path, script: str, *arguments: str, **env: str) -> str:
    done = subprocess.run(
        ["npm", "run", "--silent", script, "--", *arguments],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=SOON,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_what_is_generated(examples: Path) -> None:
    """Types check, names are the hashes of their texts, and scalars are mapped."""
    npm(examples, "check")
    for registry in REGISTRIES:
        trusted = json.loads((examples / registry).read_text())
        assert len(trusted) >= 4
        for name, text in trusted.items():
            digest = hashlib.sha256(text.encode()).hexdigest()
            assert name.removeprefix("sha256:") == digest
    (shown,) = (json.loads(block) for block in blocks("json") if "documentId" in block)
    by_codegen = json.loads((examples / REGISTRIES[0]).read_text())
    assert "query Documents(" in by_codegen[shown["documentId"]]
    schema = (ROOT / "schema.graphql").read_text()
    mapped = set(re.findall(r"^ +(\w+): 'string',", (examples / "codegen.ts").read_text(), re.M))
    assert mapped == set(re.findall(r"^scalar (\w+)", schema, re.M))


@contextmanager
def screens(folder: Path, address: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the screens of all three clients; none is left behind."""
    with ExitStack() as stack:
        processes = []
        for screen in SCREENS:
            process = stack.enter_context(
                subprocess.Popen(
                    [folder / "node_modules/.bin/tsx", f"{screen}/screen.ts"],
                    cwd=folder,
                    env={**os.environ, "CARNET_URL": address},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def check_first_query(server: Running, env: dict[str, str]) -> None:
    """The token and the query of the guide, as they stand."""
    asked = next(block for block in blocks("sh") if "curl" in block)
    asked = asked.replace("http://127.0.0.1:8000", server.address)
    asked = asked.replace(".venv/bin/carnet", shlex.join(COMMAND))
    done = subprocess.run(["bash", "-ec", asked], env=env, capture_output=True, timeout=SOON)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(blocks("json")[0])


def check_screens(server: Running, examples: Path) -> None:
    """All three print what the guide shows: two pages, and what is added meanwhile."""
    (expected,) = blocks("text")
    before = expected[: expected.index("4 documents")]
    with screens(examples, server.address) as processes:
        for process in processes:
            assert process.stdout is not None
            for line in before.splitlines(keepends=True):
                assert process.stdout.readline() == line
        npm(examples, "add", "A letter", CARNET_URL=server.address)
        for process in processes:
            rest, errors = process.communicate(timeout=SOON)
            assert (process.returncode, errors) == (0, "")
            assert before + rest == expected


def test_the_guide_from_zero(data_dir: Path) -> None:
    # One test: workers that generate at once would take the files from under each other.
    examples = install_packages(EXAMPLES)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    env = {**own, "CARNET_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    data_dir.mkdir()
    with ThreadPoolExecutor(1) as beside:
        generating = beside.submit(npm, examples, "generate")
        with running((*COMMAND, "demo"), env, free_port(), READY) as server:
            check_first_query(server, env)
            generating.result()
            check_what_is_generated(examples)
            check_screens(server, examples)
            assert server.stop(signal.SIGTERM) == 0
