"""The guide to the sandbox: its commands, in their order, do what it says."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from pathlib import Path

from carnet.sandbox.personas import HANDLES
from carnet.store.embedded import EmbeddedPostgres

GUIDE = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
CLOCK = re.compile(r"In the sandbox it is \w+ (\d{4}-\d\d-\d\d) ")


def test_the_guides_commands_work(carnet, data_dir: Path) -> None:
    # A folder of its own: the clock that it moves is everybody's.
    own = {"CARNET_DATA_DIR": str(data_dir)}
    with EmbeddedPostgres.start(data_dir, {"fsync": "off"}):
        assert carnet("sandbox", "load", **own).code == 0
        said = []
        for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL):
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "carnet"
                done = carnet(*arguments, **own)
                assert done.code == 0, (line, done.err)
                said.append(done.out)
    people, token, credential, made, publishers, now, later, loaded = said
    assert {line.split()[0] for line in people.splitlines()} == set(HANDLES)
    assert token.startswith("carnet_")
    assert credential.startswith("carnet_pub_") and made.startswith("carnet_pub_")
    assert "My laboratory" in publishers
    dates = [datetime.fromisoformat(found[1]) for found in map(CLOCK.match, (now, later)) if found]
    assert 42 <= (dates[1] - dates[0]).days <= 43
    assert loaded == "The sandbox is loaded.\n"
