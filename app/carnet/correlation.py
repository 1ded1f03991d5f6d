"""Which request is being served: what every log line of it carries, so that they are found again.

The holder is shared with everything that the request starts, before the id itself is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

KEY = "correlation_id"
request_state: ContextVar[Mapping[str, Any] | None] = ContextVar("request_state", default=None)


def correlation_id() -> str | None:
    """Return the name of the request that is being served here, or None outside any."""
    state = request_state.get()
    found = state.get(KEY) if state is not None else None
    return found if isinstance(found, str) else None
