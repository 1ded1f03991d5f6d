"""Every error a user can cause becomes one line on stderr and an exit code; no traceback.

Codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. ``CARNET_DEBUG=1`` shows tracebacks. A
fault that nobody foresaw is named by its type only, because its text may hold personal data.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Coroutine, Iterator, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

import click

from carnet.errors import CarnetError

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

T = TypeVar("T")

_SQLSTATES = {
    "28P01": "PostgreSQL refuses the password in CARNET_DATABASE_URL.",
    "28000": "PostgreSQL refuses the user in CARNET_DATABASE_URL.",
    "3D000": "PostgreSQL has no such database; create it, or correct CARNET_DATABASE_URL.",
    "42501": "The database user lacks a right; run `carnet migrate` as the owner of the database.",
    "42P01": "The database has no tables of Carnet yet; run `carnet migrate`.",
    "22023": "The database is not prepared for Carnet yet; run `carnet migrate`.",
    "53100": "The disk of the database is full.",
    "53300": "PostgreSQL has no connection left; raise its max_connections.",
    "57P03": "PostgreSQL is starting up or shutting down; try again in a moment.",
}
_ERRNOS = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EMFILE: "Too many open files; raise the limit with `ulimit -n`.",
    errno.EROFS: "The disk is read-only.",
}


def installed_version() -> str:
    """Return Carnet's version."""
    return version("carnet")


def run(command: click.Command, args: Sequence[str]) -> int:
    """Run a command and return its exit code; an error is told in one line."""
    try:
        result = command.main(args=list(args), prog_name="carnet", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_USAGE
    except click.UsageError as error:
        tell(f"{error.format_message()}{_hint(error)}")
        return WRONG_USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except click.ClickException as error:
        tell(error.format_message())
        return FAILED
    except BrokenPipeError:
        # The reader went away (`carnet schema | head`): say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if os.environ.get("CARNET_DEBUG", "") not in ("", "0"):
            raise
        tell(explain(error))
        return FAILED
    return result if isinstance(result, int) else 0


def tell(line: str) -> None:
    """Write one line to stderr, as ``carnet: …``."""
    click.echo(f"carnet: {' '.join(line.split())}", err=True)


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)


def explain(error: BaseException) -> str:
    """Return what to tell the user about an error, in one sentence or two."""
    for cause in _causes(error):
        known = _known(cause)
        if known is not None:
            return known
    name = type(error).__name__
    return f"Something unforeseen went wrong ({name}); CARNET_DEBUG=1 shows where."


def _known(error: BaseException) -> str | None:
    if isinstance(error, CarnetError):
        return error.message
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str) and state in _SQLSTATES:
        return _SQLSTATES[state]
    if isinstance(error, OSError):
        return _known_os_error(error)
    return None


def _known_os_error(error: OSError) -> str | None:
    if error.errno in _ERRNOS:
        return _ERRNOS[error.errno]
    where = f": {error.filename}" if error.filename else "."
    if isinstance(error, PermissionError):
        return f"Permission denied{where}"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"There is no such file or folder{where}"
    if isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return f"{error.strerror}{where}"
    if isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ == "gaierror":
        return "No PostgreSQL answers at CARNET_DATABASE_URL."
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps, outermost first; an exception group's parts as well."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        for inner in (getattr(current, "orig", None), current.__cause__):
            if isinstance(inner, BaseException):
                waiting.append(inner)


def _hint(error: click.UsageError) -> str:
    if error.ctx is None:
        return ""
    return f" See `{error.ctx.command_path} --help`."
