"""The server's log: an object of JSON on a line of its own, on stderr, without personal data.

What our own code logs holds no values by rule. Libraries keep no such rule: an exception's text may
hold SQL parameters, and asyncio logs exceptions that nobody caught. So of a library's record only
the unfilled text is written, and of any exception its type and where it arose.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from carnet.correlation import correlation_id

OURS = "carnet"
ACCESS = "carnet.access"  # its messages are JSON already
LENGTH_LIMIT = 2000  # characters of a message
FRAMES = 30  # innermost


class JsonLines(logging.Formatter):
    """Formats a record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: ``at``, ``level``, ``logger``, ``process``, and what happened."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": os.getpid(),
        }
        named = correlation_id()
        if named is not None:
            line["correlation"] = named
        if record.name == ACCESS:
            line |= {"message": "request", **json.loads(record.getMessage())}
        elif record.name == OURS or record.name.startswith(OURS + "."):
            line["message"] = record.getMessage()[:LENGTH_LIMIT]
        else:
            line["message"] = str(record.msg).split("\n", 1)[0][:LENGTH_LIMIT]
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = f"{record.exc_info[0].__module__}.{record.exc_info[0].__qualname__}"
            line["where"] = _where(record.exc_info[2])
        return json.dumps(line, ensure_ascii=True)


class _Counting(logging.Handler):
    """Counts lines for the metrics, so that failures can raise an alarm."""

    def __init__(self) -> None:
        super().__init__()
        from carnet.http.metrics import LOG_LINES

        self._lines = LOG_LINES

    def emit(self, record: logging.LogRecord) -> None:
        is_ours = record.name.startswith(OURS + ".")
        self._lines.labels(record.levelname, record.name if is_ours else "library").inc()


def log_to_stderr(has_access_log: bool, *, is_for_people: bool = False) -> None:
    """Write warnings to stderr, and on request a line for each request.

    Does nothing where a log is set up already, as `logging.basicConfig` does.

    Args:
        has_access_log: whether requests are told.
        is_for_people: write plain text, as the demonstration does.
    """
    access = logging.getLogger(ACCESS)
    access.setLevel(logging.INFO if has_access_log else logging.WARNING)
    root = logging.getLogger()
    if root.handlers:
        return
    lines = logging.StreamHandler()
    if is_for_people:
        lines.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    else:
        lines.setFormatter(JsonLines())
    root.setLevel(logging.WARNING)
    root.addHandler(lines)
    root.addHandler(_Counting())


def _where(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-FRAMES:]
    return " > ".join(
        f"{'/'.join(frame.filename.rsplit('/', 3)[1:])}:{frame.lineno} {frame.name}"
        for frame in frames
    )
