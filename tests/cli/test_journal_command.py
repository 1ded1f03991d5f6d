"""``carnet journal``: a running server seals, and the command proves it."""

import asyncio
import json
import re
import time
from pathlib import Path

import asyncpg
import pytest
from servers import free_port, running

from carnet.store.embedded import EmbeddedPostgres


async def execute(data_dir: Path, statement: str) -> None:
    with EmbeddedPostgres.start(data_dir, {"fsync": "off"}) as postgres:
        url = postgres.owner_url
        connection = await asyncpg.connect(
            host=url.query["host"], user=url.username, database=url.database
        )
        await connection.execute(statement)
        await connection.close()


def test_a_journal_is_sealed_verified_and_found_altered(
    data_dir: Path, command_env, serve_command, carnet, tmp_path: Path
) -> None:
    here = {"CARNET_DATA_DIR": str(data_dir)}
    assert carnet("sandbox", "load", **here).code == 0
    waiting = carnet("journal", "verify", **here)
    assert (waiting.code, "0 entries, " in waiting.out) == (0, True), waiting.err
    assert carnet("journal", "head", **here).line == "The journal has no entry yet."
    with running(serve_command, command_env(data_dir), free_port(), "Ctrl-C stops it") as server:
        deadline = time.monotonic() + 60
        while "wait to be sealed" in carnet("journal", "verify", **here).out:
            assert time.monotonic() < deadline, server.errors()
    whole = carnet("journal", "verify", **here)
    found = re.fullmatch(
        r"The journal is whole: ([\d,]+) entries; head of size \1, root [0-9a-f]{64}\n", whole.out
    )
    assert found is not None and whole.code == 0
    head = tmp_path / "head.json"
    head.write_text(carnet("journal", "head", **here).out)
    assert json.loads(head.read_text())["size"] == int(found[1].replace(",", ""))
    assert carnet("journal", "verify", "--head", str(head), **here).code == 0
    asyncio.run(
        execute(data_dir, "UPDATE journal_entries SET rule = 'x.y' WHERE action = 'JOIN_CARE_TEAM'")
    )
    altered = carnet("journal", "verify", **here)
    assert altered.code == 1
    assert altered.out.startswith("ENTRY_CHANGED: entry ")
    assert altered.err.endswith("\ncarnet: The journal is not whole.\n")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "x"])
def test_a_head_that_is_none_is_said(carnet, tmp_path: Path, text: str) -> None:
    file = tmp_path / "head.json"
    file.write_text(text)
    assert carnet("journal", "verify", "--head", str(file)).line.endswith(
        "holds no head of `carnet journal head`."
    )


def test_a_head_that_is_nowhere_is_said(carnet, tmp_path: Path) -> None:
    done = carnet("journal", "verify", "--head", str(tmp_path / "x"))
    assert done.line.endswith("cannot be read: No such file or directory.")
