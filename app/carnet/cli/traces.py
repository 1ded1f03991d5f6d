"""Traces in OpenTelemetry's terms, where ``CARNET_TRACES_URL`` names who takes them.

A trace holds routes, statuses, durations, the correlation id and kinds of statements: no path, no
query, no parameter, no text of an error, no address. A trace that a client says it belongs to is
believed only of a trusted proxy: others could have everything of theirs recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from starlette.datastructures import Headers
from starlette.types import Scope

from carnet.cli.faults import installed_version
from carnet.errors import UserMistake
from carnet.http.guards import trusted_networks
from carnet.http.observing import Span, Tracing
from carnet.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span as Recorded
    from opentelemetry.trace import Tracer
    from sqlalchemy import Engine

STATEMENTS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "LOCK"})
FAULT = 500  # the first status that is a fault of ours


@contextmanager
def tracing(settings: Settings, engine: Engine) -> Iterator[Tracing | None]:
    """Yield what traces requests while the block runs, or None where nobody takes traces.

    Args:
        settings: say who takes them.
        engine: its statements are traced too.

    Raises:
        UserMistake: the packages are not installed.
    """
    if settings.traces_url is None:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise UserMistake(
            "CARNET_TRACES_URL needs more packages: pip install 'carnet[traces]'."
        ) from None
    about = {"service.name": "carnet", "service.version": installed_version()}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces_url)))
    tracer = provider.get_tracer("carnet")
    statements = _Statements(tracer)
    statements.listen(engine)
    try:
        yield _Requests(tracer, settings).request
    finally:
        statements.ignore(engine)
        provider.shutdown()


class _Requests:
    def __init__(self, tracer: Tracer, settings: Settings) -> None:
        self._tracer = tracer
        self._trusted = trusted_networks(settings.trusted_proxies)

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span | None]:
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            "request",
            context=self._parent(scope),
            kind=SpanKind.SERVER,
            record_exception=False,  # its text may hold what people said
            set_status_on_exception=False,
        ) as span:
            yield _Request(span)

    def _parent(self, scope: Scope) -> Any:
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        peer = scope.get("client")
        try:
            address = ip_address(peer[0]) if peer else None
        except ValueError:
            address = None
        if address is None or not any(address in network for network in self._trusted):
            return Context()
        carrier = {"traceparent": Headers(scope=scope).get("traceparent", "")}
        return TraceContextTextMapPropagator().extract(carrier, Context())


class _Request:
    def __init__(self, span: Recorded) -> None:
        self._span = span

    def ended(self, method: str, route: str, status: int, correlation_id: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "carnet.correlation_id": correlation_id,
            }
        )
        if status >= FAULT:
            self._span.set_status(StatusCode.ERROR)


class _Statements:
    """Makes a span of each statement, under the request that it serves."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)

    def ignore(self, engine: Engine) -> None:
        event.remove(engine, "before_cursor_execute", self._begin)
        event.remove(engine, "after_cursor_execute", self._end)
        event.remove(engine, "handle_error", self._fail)

    def _begin(self, _connection: Any, _cursor: Any, statement: str, *rest: Any) -> None:
        from opentelemetry.trace import SpanKind, get_current_span

        context = rest[1]
        if context is None or not get_current_span().is_recording():
            return
        word = statement.split(None, 1)[0].upper() if statement.strip() else ""
        kind = word if word in STATEMENTS else "OTHER"
        context._carnet_span = self._tracer.start_span(
            f"postgresql {kind}",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.operation.name": kind},
        )

    def _end(self, _connection: Any, _cursor: Any, _statement: str, *rest: Any) -> None:
        span = getattr(rest[1], "_carnet_span", None)
        if span is not None:
            span.end()

    def _fail(self, failed: Any) -> None:
        from opentelemetry.trace import StatusCode

        span = getattr(failed.execution_context, "_carnet_span", None)
        if span is not None:
            span.set_status(StatusCode.ERROR)
            span.end()
