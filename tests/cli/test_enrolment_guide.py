"""The guide for operators: its file and its commands, in their order, do what it says."""

import re
import shlex
from pathlib import Path

import pytest

from carnet.cli.population import COLUMNS, Reason

# The database is shared with tests that want the sandbox, which wants to be there first.
pytestmark = pytest.mark.usefixtures("loaded")

GUIDE = (Path(__file__).parents[2] / "docs/enrolment.md").read_text()


def test_the_guides_commands_work(carnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "population.csv").write_text(file)
    monkeypatch.chdir(tmp_path)
    said = []
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "carnet"
            done = carnet(*arguments)
            assert (done.code, done.err) == (0, ""), line
            said.append(done.out)
    trial, enrolled, *states = said
    assert trial == "Would enrol 2; 0 had a record already.\n"
    assert enrolled == "Enrolled 2; 0 had a record already.\nLinked 1 parents to their children.\n"
    assert [state.split()[1] for state in states] == ["NOTIFIED", "SUSPENDED", "NOTIFIED"]
    assert len((tmp_path / "letters.csv").read_text().splitlines()) == 3


def test_the_guide_names_every_reason_and_the_help_every_column(carnet) -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)`", GUIDE, re.MULTILINE))
    assert listed == {reason.value for reason in Reason}
    shown = carnet("enrol", "--help").out
    for name in COLUMNS:
        assert re.search(rf"^ +{name}\s", shown, re.MULTILINE)
