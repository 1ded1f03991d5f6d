"""Tells a database that is away for a while, or a statement that was stopped, from a fault."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, TimeoutError

# PostgreSQL's classes and codes of errors, its manual's appendix A.
_CLASSES = ("08", "57P")  # connections; sessions that were ended, servers that start or stop
_STATES = {
    "25006",  # read-only: a standby that is not yet, or a server that is no longer, the primary
    "25P03",  # a transaction that stood idle for too long
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53300",  # too many connections
}


def is_outage(error: BaseException) -> bool:
    """Tell whether the database was away when this failed, so that trying again may help."""
    for cause in _causes(error):
        if isinstance(cause, OSError | TimeoutError):
            return True
        if isinstance(cause, DBAPIError) and cause.connection_invalidated:
            return True
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str) and (state.startswith(_CLASSES) or state in _STATES):
            return True
    return False


def was_cut(error: BaseException) -> bool:
    """Tell whether the database stopped a statement that took too long."""
    return any(getattr(cause, "sqlstate", None) == "57014" for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        original = getattr(current, "orig", None) or getattr(current, "original_error", None)
        current = original if isinstance(original, BaseException) else current.__cause__
