"""Every error that a user can cause becomes one line on stderr and an exit code; no traceback.

Codes: 0 done, 1 failed, 2 wrong usage, 3 unsafe: an alarm. 130 interrupted. ``CARNET_DEBUG=1``
shows tracebacks. A fault that nobody foresaw is named by its type only: its text may hold secrets.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

import click

from carnet_client.errors import ClientError, NotAllowedToOpen, NotSignedIn, Unsafe

FAILED = 1
WRONG_USAGE = 2
UNSAFE = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def run(command: click.Command, args: Sequence[str]) -> int:
    """Run a command and return its exit code; an error is told in one line."""
    try:
        result = command.main(args=list(args), prog_name="carnet-client", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG_USAGE
    except click.UsageError as error:
        hint = "" if error.ctx is None else f" See: {error.ctx.command_path} --help"
        tell(f"{error.format_message().rstrip('.')}.{hint}")
        return WRONG_USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except click.ClickException as error:
        tell(error.format_message())
        return FAILED
    except BrokenPipeError:
        # The reader went away (`carnet-client read … | head`): say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Unsafe as error:
        tell(f"Not safe: {error}")
        return UNSAFE
    except Exception as error:
        if os.environ.get("CARNET_DEBUG", "") not in ("", "0"):
            raise
        tell(explain(error))
        return FAILED
    return result if isinstance(result, int) else 0


def tell(line: str) -> None:
    """Print an error in one line."""
    click.echo("Error: " + " ".join(line.split()), err=True)


def explain(error: Exception) -> str:
    """Return what went wrong, for people."""
    if isinstance(error, NotSignedIn):
        return f"{error} Use: carnet-client login"
    if isinstance(error, NotAllowedToOpen):
        return (
            "You may not begin this conversation: professionals begin one with their patients and"
            " colleagues, patients with whoever wrote to them before."
        )
    if isinstance(error, ClientError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        return f"{error.strerror}{where}."
    return f"Something went wrong ({type(error).__name__}); CARNET_DEBUG=1 shows where."
