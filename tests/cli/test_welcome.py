"""What the demo prints is true: its queries are valid and its commands exist."""

import re
from pathlib import Path

import click
import pytest
from graphql import build_schema, parse, validate

from carnet.cli.root import carnet
from carnet.cli.welcome import DOCTOR, FIRST, QUERIES, welcome
from carnet.sandbox.personas import HANDLES
from carnet.sandbox.relations import login_of
from carnet.settings import Settings
from carnet_client.cli.root import client
from carnet_graphql.schema import schema


def test_three_queries_are_valid() -> None:
    known = build_schema(schema().as_str())
    assert len(QUERIES) == 3
    for query in QUERIES.values():
        assert validate(known, parse(query)) == []


def test_everything_to_know_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/carnet"])
    text = welcome("http://127.0.0.1:8000", Settings(data_dir=Path("x/data")))
    assert "http://127.0.0.1:8000/graphql" in text
    assert "The data is in x/data;" in text
    for query in QUERIES.values():
        assert all(line.strip() in text for line in query.splitlines())
    for handle, who in HANDLES.items():
        assert re.search(rf"^    {handle} +{who}$", text, re.MULTILINE)
    assert FIRST in HANDLES


def test_the_commands_it_names_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/x/bin/carnet"])
    text = welcome("http://127.0.0.1:8000", Settings())
    named = re.findall(r"/opt/x/bin/carnet ([a-z]+)(?: ([a-z]+))?", text)
    assert {first for first, _ in named} == {"token", "intake", "journal", "sandbox"}
    context = click.Context(carnet)
    for first, _ in named:
        assert carnet.get_command(context, first) is not None


def test_two_commands_let_two_people_talk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/opt/x/bin/carnet"])
    text = welcome("http://127.0.0.1:8000", Settings(data_dir=Path("x/data")))
    lines = [line.split() for line in text.splitlines() if "carnet-client" in line]
    assert len(lines) == 2
    for (program, *words), handle in zip(lines, (DOCTOR, FIRST), strict=True):
        assert program == "/opt/x/bin/carnet-client"
        assert words[:3] == ["--profile", f"x/data/clients/{handle}", "chat"]
        context = client.make_context("carnet-client", [*words[:2], "chat", "--help"])
        command = client.get_command(context, "chat")
        assert command is not None
        params = command.make_context("chat", words[3:]).params
        assert params == {"server": "http://127.0.0.1:8000", "name": login_of(handle)}


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        (".venv/bin/carnet", ".venv/bin/carnet"),
        ("{here}/.venv/bin/carnet", ".venv/bin/carnet"),
        ("/opt/elsewhere/bin/carnet", "/opt/elsewhere/bin/carnet"),
        ("{here}/onpath/carnet", "carnet"),
        ("-c", "carnet"),
    ],
)
def test_the_command_is_named_as_the_user_can_call_it(
    program: str, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path = tmp_path / "onpath" / "carnet"
    on_path.parent.mkdir()
    on_path.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr("sys.argv", [program.format(here=tmp_path)])
    assert f"  {shown} token --as " in welcome("http://127.0.0.1:8000", Settings())
