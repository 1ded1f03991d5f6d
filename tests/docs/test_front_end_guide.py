"""The guide for front ends: its code is the examples', and they do what it says on a real server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import graph
from following import serving
from node_packages import install_packages
from servers import Running, free_port, running
from sqlalchemy import select

from carnet.people.actor import Assurance, Operator, Patient, actor_key
from carnet.people.passwords import Passwords
from carnet.people.tables import Account
from carnet.sandbox.population import populate
from carnet.sandbox.relations import login_of
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.operations.trusted import TrustedDocuments

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/front-end"
GUIDE = (ROOT / "docs/front-end.md").read_text()
COMMAND = (sys.executable, "-c", "from carnet.cli import main; main()")
SCREENS = ("apollo", "urql", "relay")
READY = "Ctrl-C stops everything"
TWO_PAGES, FOUR, LETTER = re.split(
    "(4 documents)", re.findall(r"^```text\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)[0]
)
THEN_A_LETTER = FOUR + LETTER
ADD = "mutation($input: AddDocumentInput!) { addDocument(input: $input) { __typename } }"
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
def screens(
    folder: Path, address: str, names: Sequence[str] = SCREENS, **env: str
) -> Iterator[list[subprocess.Popen[str]]]:
    """Start the screens of these clients, and read their two pages; none is left behind.

    One after the other: each gives a wrong password once, and five in a row have to wait.
    """
    with ExitStack() as stack:
        processes = []
        for screen in names:
            process = stack.enter_context(
                subprocess.Popen(
                    [folder / "node_modules/.bin/tsx", f"{screen}/screen.ts"],
                    cwd=folder,
                    env={**os.environ, "CARNET_URL": address, **env},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            processes.append(process)
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in TWO_PAGES.splitlines()]
            if "".join(said) != TWO_PAGES:
                process.kill()
                raise AssertionError((screen, said, process.communicate()))
        yield processes


def check_first_query(server: Running, env: dict[str, str]) -> None:
    """The token and the query of the guide, as they stand."""
    asked = next(block for block in blocks("sh") if "curl" in block)
    asked = asked.replace("http://127.0.0.1:8000", server.address)
    asked = asked.replace(".venv/bin/carnet", shlex.join(COMMAND))
    done = subprocess.run(["bash", "-ec", asked], env=env, capture_output=True, timeout=SOON)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(blocks("json")[0])


def read_to_the_end(processes: list[subprocess.Popen[str]], expected: str) -> None:
    for process in processes:
        assert process.communicate(timeout=SOON) == (expected, "")
        assert process.returncode == 0


def check_screen(server: Running, examples: Path) -> None:
    """It prints what the guide shows: two pages, and what is added meanwhile."""
    with screens(examples, server.address) as processes:
        npm(examples, "add", "A letter", CARNET_URL=server.address)
        read_to_the_end(processes, THEN_A_LETTER)


async def check_absence(examples: Path, database: Database, blobs: BlobStore) -> None:
    """All three print it by the names of their documents alone, although what is added is added
    while no server answers."""
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))
    with ExitStack() as stack:
        trusted = TrustedDocuments.load([examples / name for name in REGISTRIES], is_only=True)
        async with serving(database, blobs, is_cut=True, documents=trusted) as served:
            address = served.url.removesuffix("/graphql")
            begin = screens(examples, address, CARNET_TRUSTED="1")
            processes = await asyncio.to_thread(stack.enter_context, begin)
        await add(database, blobs, "camille", "A letter")
        async with serving(database, blobs, port=served.port, documents=trusted):
            await asyncio.to_thread(read_to_the_end, processes, THEN_A_LETTER)


async def add(database: Database, blobs: BlobStore, handle: str, title: str) -> None:
    """Put a document into somebody's record, without any server."""

    async def chunks() -> AsyncIterator[bytes]:
        yield title.encode()

    async with database.read() as work:
        account = await work.session.scalar(
            select(Account).where(Account.login == login_of(handle))
        )
    assert account is not None and account.person_id is not None
    actor = Patient(account.person_id, account.id, Assurance.SANDBOX)
    stored = await blobs.receive(
        database, actor_key(actor), chunks(), media_type="text/plain", limit_bytes=1000
    )
    own = "{ viewer { ... on Patient { record { id } } } }"
    record = (await graph.data(database, blobs, actor, own))["viewer"]["record"]["id"]
    description = {"title": title, "category": "PERSONAL"}
    input_ = {"recordId": record, "blobId": str(stored.id), "description": description}
    answer = await graph.data(database, blobs, actor, ADD, input=input_)
    assert answer["addDocument"] == {"__typename": "AddDocumentSuccess"}


def check_demo(examples: Path, env: dict[str, str]) -> None:
    Path(env["CARNET_DATA_DIR"]).mkdir()
    with ThreadPoolExecutor(1) as beside:
        generating = beside.submit(npm, examples, "generate")
        with running((*COMMAND, "demo"), env, free_port(), READY) as server:
            check_first_query(server, env)
            generating.result()
            check_what_is_generated(examples)
            check_screen(server, examples)
            assert server.stop(signal.SIGTERM) == 0


async def test_the_guide_from_zero(data_dir: Path, database: Database, blobs: BlobStore) -> None:
    # One test: workers that generate at once would take the files from under each other.
    examples = install_packages(EXAMPLES)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    env = {**own, "CARNET_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
    await asyncio.to_thread(check_demo, examples, env)
    await check_absence(examples, database, blobs)
