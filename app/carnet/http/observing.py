"""Around the whole application: counts and times requests, and makes a trace of each if asked to.

Pure ASGI, and it changes nothing: what it learns, it learns from the scope and the status.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from carnet.correlation import KEY, request_state
from carnet.http.metrics import IN_PROGRESS, METHODS, OTHER, REQUESTS, SECONDS

DISCONNECTED = 499  # no answer had begun when the client left, as proxies log it


class Span(Protocol):
    """The trace of one request."""

    def ended(self, method: str, route: str, status: int, correlation_id: str) -> None:
        """Hear how the request ended."""


Tracing = Callable[[Scope], AbstractContextManager[Span | None]]
"""Opens the trace of a request."""


class Observer:
    """An application, observed."""

    def __init__(self, app: Starlette, tracing: Tracing | None = None) -> None:
        self.app = app
        self.tracing = tracing
        self._paths: dict[Any, str] = {
            route.endpoint: route.path for route in app.routes if isinstance(route, Route)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        token = request_state.set(state)
        method = scope["method"] if scope["method"] in METHODS else OTHER
        started_at, status = perf_counter(), DISCONNECTED

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        IN_PROGRESS.inc()
        try:
            with self.tracing(scope) if self.tracing else nullcontext() as span:
                try:
                    await self.app(scope, receive, watched_send)
                finally:
                    route = self._paths.get(scope.get("endpoint"), OTHER)
                    REQUESTS.labels(method, route, str(status)).inc()
                    SECONDS.labels(method, route).observe(perf_counter() - started_at)
                    if span is not None:
                        span.ended(method, route, status, str(state.get(KEY, "")))
        finally:
            IN_PROGRESS.dec()
            request_state.reset(token)
