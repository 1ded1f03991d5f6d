"""What a client may know of an error: one function for queries, mutations and subscriptions.

Every top-level error carries ``extensions.code`` and ``extensions.correlationId``. Refusals and
GraphQL's own complaints keep their message; anything else becomes «Something went wrong.», and
the log gets its type and its stack under the correlation id. Neither the log nor the client gets
values: an exception's text may hold SQL parameters or a patient's name.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionResult, StreamExecutionResult

from carnet.errors import AccessDenied, ContentUnavailable, RateLimited, Refusal, Unavailable
from carnet.store.outages import is_outage
from carnet_graphql.errors import graphql_path

MESSAGE = "Something went wrong."
ERROR_LIMIT = 5  # errors of one request that did not run: more only helps to map the schema
FRAME_LIMIT = 30  # innermost stack frames in a log line
MESSAGE_LIMIT = 500  # characters of a complaint: names in a document may be of any length

# What graphql-core writes before a value, and what is left of it; each in linear time, although a
# value may hold the same words many times. A key within a variable is the sender's word as a value
# is; one that is written in the document is the front end's.
_QUOTED = (
    (
        re.compile(
            r"\A(Variable '\$\w+' has invalid value[^:]*: [^:']*'\w+' not to include unknown field)"
            r" '.*",
            re.DOTALL,
        ),
        r"\1s.",
    ),
    (re.compile(r"(, but encountered error |[,;.?]? [Ff]ound: ).*", re.DOTALL), "."),
    (re.compile(r"( cannot represent [\w -]{0,60}value): .*", re.DOTALL), r"\1."),
    (re.compile(r"\b(String|BlockString|Int|Float) ['\"].*", re.DOTALL), r"\1."),
)
_ENUM = ("Value ", " does not exist in ")  # around a value, in which both may stand again

logger = logging.getLogger("carnet.graphql")


def mask(error: GraphQLError, correlation_id: str) -> GraphQLError:
    """Return what the client may see of the error; log what it may not."""
    if error.extensions and "correlationId" in error.extensions:
        return error
    cause = error.original_error
    extensions: dict[str, Any]
    message = error.message
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    match cause:
        case Refusal() | ContentUnavailable():
            message = cause.message
            extensions = {"code": cause.code}
            if cause.path:
                extensions["input"] = graphql_path(cause.path)
            if isinstance(cause, RateLimited):
                extensions["retryAfter"] = cause.retry_after
            if isinstance(cause, AccessDenied):
                extensions["rule"] = cause.rule
            if isinstance(cause, ContentUnavailable):
                log_failure(cause, correlation_id)
        case Exception() if is_outage(cause):
            log_failure(cause, correlation_id)
            message = Unavailable().message
            extensions = {"code": Unavailable.code}
        case _ if isinstance(error, GraphQLSyntaxError) or _is_about_the_request(error, cause):
            message = without_values(message)
            extensions = {"code": _request_code(error)}
        case _:
            log_failure(cause or error, correlation_id)
            message = MESSAGE
            extensions = {"code": "INTERNAL"}
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions | {"correlationId": correlation_id},
    )


def without_values(message: str) -> str:
    """Return a complaint of GraphQL's own without the value or the key that it complains of.

    graphql-core 3.3 quotes them, whole objects included: a number, a name, a password.
    """
    before, after = message.find(_ENUM[0]), message.rfind(_ENUM[1])
    if 0 <= before < after:
        message = f"{message[:before]}That value{message[after:]}"
    for pattern, kept in _QUOTED:
        message = pattern.sub(kept, message)
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def _is_about_the_request(error: GraphQLError, cause: Exception | None) -> bool:
    """Tell a complaint about the document or the variables from a fault of a resolver.

    Before execution an error has no path. During it, graphql-core points complaints about
    arguments at the argument's own node, but a value that does not fit its output type at none.
    """
    if error.path is None:
        return cause is None or isinstance(cause, GraphQLError)
    return isinstance(cause, GraphQLError) and cause.nodes is not None


def _request_code(error: GraphQLError) -> str:
    return "GRAPHQL_PARSE_FAILED" if isinstance(error, GraphQLSyntaxError) else "BAD_REQUEST"


def mask_all(
    errors: Sequence[GraphQLError] | None, correlation_id: str
) -> list[GraphQLError] | None:
    """Mask every error of an answer, and keep at most 5 of those about the request itself."""
    if not errors:
        return None
    kept = errors if any(error.path for error in errors) else errors[:ERROR_LIMIT]
    return [mask(error, correlation_id) for error in kept]


def mask_exception(error: Exception, correlation_id: str) -> list[GraphQLError]:
    """Return the errors of an answer that an exception outside of any resolver has ended."""
    return [mask(GraphQLError(str(error), original_error=error), correlation_id)]


def log_failure(error: BaseException, correlation_id: str) -> None:
    """Log the types of the error and its causes, and where it arose, without any value."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < FRAME_LIMIT:
        kinds.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[-FRAME_LIMIT:]
    logger.error(
        "failure %s: %s at %s",
        correlation_id,
        " from ".join(kinds),
        " > ".join(f"{_tail(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames),
    )


def _tail(path: str) -> str:
    return "/".join(path.rsplit("/", 3)[1:]) or path


class Masking(SchemaExtension):
    """Masks the errors of every answer, each event of a subscription included."""

    def on_operation(self) -> Iterator[None]:
        """Mask the one answer of a query or mutation."""
        yield
        result = self.execution_context.result
        if isinstance(result, CoreResult | ExecutionResult):
            result.errors = mask_all(result.errors, self._correlation_id)

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Mask one event."""
        if isinstance(result, CoreResult | ExecutionResult):
            result.errors = mask_all(result.errors, self._correlation_id)
        yield

    @property
    def _correlation_id(self) -> str:
        return str(getattr(self.execution_context.context, "correlation_id", ""))
