"""``carnet --help`` and the help of every command are complete."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from carnet import settings
from carnet.cli.root import COMMANDS, carnet


def commands(
    command: click.Command = carnet, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL = list(commands())
ALL_OF = {path[0]: command for path, command in ALL if len(path) == 1}


@pytest.mark.parametrize(
    ("path", "command"), ALL, ids=["carnet " + " ".join(path) for path, _ in ALL]
)
def test_every_command_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help and command.help.strip().split("\n")[0].endswith((".", ";", ","))
    options = [each for each in command.params if isinstance(each, click.Option)]
    for option in options:
        if option.name != "version":
            assert option.help, f"{' '.join(path)} {option.opts}"
    if (
        command.params
        and not isinstance(command, click.Group)
        and path[-1] not in {"renew", "password"}
    ):
        assert "Example" in (command.epilog or ""), path


def test_the_help_of_all_lists_every_command_and_setting() -> None:
    shown = carnet.get_help(click.Context(carnet, info_name="carnet"))
    for name in COMMANDS:
        assert f"\n  {name} " in shown
    source = Path(settings.__file__).read_text(encoding="utf-8")
    for name in {*re.findall(r"CARNET_[A-Z_]*[A-Z]", source), "CARNET_DEBUG"}:
        assert name in shown
    assert "..." not in shown.replace("COMMAND [ARGS]...", ""), "a summary is cut short"


@pytest.mark.parametrize("name", [n for n in COMMANDS if isinstance(ALL_OF[n], click.Group)])
def test_no_summary_of_a_group_is_cut_short(name: str) -> None:
    shown = ALL_OF[name].get_help(click.Context(ALL_OF[name], info_name=f"carnet {name}"))
    assert "..." not in shown.replace("COMMAND [ARGS]...", "")


def test_the_help_does_not_load_what_it_does_not_need() -> None:
    script = (
        "import sys; from carnet.cli.faults import run; from carnet.cli.root import carnet;"
        "assert run(carnet, ['--help']) == 0;"
        "print(sorted({'sqlalchemy', 'strawberry', 'starlette', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
