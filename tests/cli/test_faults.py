"""Whatever goes wrong, the user reads one line; a script reads the exit code."""

import asyncio
import errno
import subprocess
import sys

import asyncpg
import click
import pytest
from sqlalchemy.exc import ProgrammingError

from carnet.cli.faults import explain, run
from carnet.errors import NotFound, UserMistake


def failing(error: BaseException) -> click.Command:
    @click.command("fail")
    @click.option("--count", type=int)
    def fail(count: int | None) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserMistake("Port 8000 is taken."), 1, "Port 8000 is taken."),
        (UserMistake("Two\nlines."), 1, "Two lines."),
        (NotFound(), 1, "There is no such thing, or it is not yours to see."),
        (click.UsageError("Wrong."), 2, "Wrong. See `carnet --help`."),
        (click.ClickException("Failed."), 1, "Failed."),
        (OSError(errno.ENOSPC, "No space left"), 1, "The disk is full."),
        (PermissionError(errno.EACCES, "no", "a/b"), 1, "Permission denied: a/b"),
        (FileNotFoundError(errno.ENOENT, "no", "a/b"), 1, "There is no such file or folder: a/b"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a"), 1, "Not a directory: a"),
        (ConnectionRefusedError(), 1, "No PostgreSQL answers at CARNET_DATABASE_URL."),
        (TimeoutError(), 1, "No PostgreSQL answers at CARNET_DATABASE_URL."),
        (
            asyncpg.InvalidPasswordError("for user x"),
            1,
            "PostgreSQL refuses the password in CARNET_DATABASE_URL.",
        ),
        (
            ValueError("Dominique PAT-TROIS"),
            1,
            "Something unforeseen went wrong (ValueError); CARNET_DEBUG=1 shows where.",
        ),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CARNET_DEBUG", raising=False)
    assert run(failing(error), []) == code
    assert capsys.readouterr() == ("", f"carnet: {line}\n")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), asyncio.CancelledError(), click.Abort()], ids=repr
)
def test_an_interruption_is_silent(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error), []) == 130
    out, err = capsys.readouterr()
    assert (out, err.strip()) == ("", "")  # at most the end of the line that holds ^C


def test_a_wrong_option_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(AssertionError()), ["--count", "x"]) == 2
    assert capsys.readouterr().err == (
        "carnet: Invalid value for '--count': 'x' is not a valid integer. See `carnet --help`.\n"
    )


def test_the_cause_inside_a_wrapped_error_is_found() -> None:
    inner = asyncpg.UndefinedTableError('relation "persons" does not exist')
    wrapped = ProgrammingError("SELECT secret", {}, inner)
    assert explain(wrapped) == "The database has no tables of Carnet yet; run `carnet migrate`."
    assert explain(ExceptionGroup("g", [wrapped])) == explain(wrapped)


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(failing(ZeroDivisionError()), [])


def test_the_number_that_a_command_returns_is_its_exit_code() -> None:
    @click.command
    def three() -> int:
        return 3

    assert run(three, []) == 3
    assert run(three, ["--help"]) == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        "import click, sys; from carnet.cli.faults import run\n"
        "@click.command\n"
        "def talk():\n"
        "    for _ in range(100000): click.echo('x' * 100)\n"
        "sys.exit(run(talk, []))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as talker:
        assert talker.stdout is not None and talker.stderr is not None
        talker.stdout.readline()
        talker.stdout.close()
        assert talker.wait(30) == 1
        assert talker.stderr.read() == b""
