"""The guide of the client, run as it stands: real commands, a real server, two people."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path
from types import CodeType
from typing import Any
from uuid import UUID

import graph
from following import serving

from carnet.people.actor import Assurance, Operator
from carnet.people.passwords import Passwords
from carnet.sandbox.population import PASSWORD, populate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

GUIDE = (Path(__file__).parents[2] / "docs/messaging-client.md").read_text()
PASSPHRASE = "essai essai essai"


def commands() -> list[tuple[str, str, str]]:
    """Return who types what, and what the guide says that is answered."""
    blocks = "".join(re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL))
    found = re.findall(r"^(\w+)\$ carnet-client (.+)\n((?:(?!\w+\$ ).*\n)*)", blocks, re.MULTILINE)
    assert len(found) == blocks.count("$ carnet-client ")
    return found


def matches(said: str, answer: str) -> bool:
    """Compare; … in the guide is anything, over as many lines as it takes."""
    pattern = re.escape(said.strip()).replace("…", ".+?")
    return re.fullmatch(pattern, answer.strip(), re.DOTALL) is not None


async def run(folder: Path, who: str, words: list[str]) -> str:
    """Run a command in a process of its own; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from carnet_client.cli import main; main()",
        *words,
        cwd=folder / f"{who}s-desk",
        env=os.environ
        | {
            "CARNET_CLIENT_HOME": str(folder / who),
            "CARNET_CLIENT_PASSPHRASE": PASSPHRASE,
            "CARNET_CLIENT_PASSWORD": PASSWORD,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, (words, errors.decode())
    return output.decode()


async def test_every_command_of_the_guide_answers_what_it_says(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))
    for who in ("doctor", "patient"):
        (tmp_path / f"{who}s-desk").mkdir()
    sent = tmp_path / "patients-desk/scan.pdf"
    sent.write_bytes(b"%PDF-1.7\n" + os.urandom(2_000_000))
    thread = ""
    async with serving(database, blobs) as served:
        address = served.url.removesuffix("/graphql")
        for who, line, said in commands():
            line = line.replace("http://127.0.0.1:8000", address)
            answer = await run(tmp_path, who, shlex.split(line.replace("THREAD", thread)))
            if said == "THREAD\n":
                thread = answer.strip()
                assert re.fullmatch(r"[0-9a-f]{64}", thread)  # never like an option
            elif said:
                assert matches(said, answer), (line, said, answer)
        assert (tmp_path / "doctors-desk/scan.pdf").read_bytes() == sent.read_bytes()
        wrote = await program(tmp_path / "doctor", "Camille MOREAU")
    assert wrote == ["Merci docteur !", "Le scanner d'hier"]


async def program(folder: Path, name: str) -> Any:
    """Run the program of the guide."""
    (text,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    code: CodeType = compile(text, "docs/messaging-client.md", "exec")
    defined: dict[str, Any] = {}
    exec(code, defined)  # noqa: S102 — it is our own guide
    return await defined["say"](folder, PASSPHRASE, name, "Je vous rappelle.")
