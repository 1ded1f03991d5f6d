"""``/graphql``: one POST of JSON, one answer of JSON, or a stream of events where it is wanted.

No GET queries, no batches, no multipart. Whatever the body is, the answer is JSON with a status
that fits; only a fault of ours is a 500. Sockets are `carnet.http.sockets`'.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from carnet.errors import PayloadTooLarge, Refusal, UnsupportedMediaType, ValidationFailed
from carnet.http.answers import error_response, refusal_response
from carnet.http.ide import ide_page
from carnet.http.live import Live
from carnet.http.requests import GraphQLRequest
from carnet.http.services import actor_of, services_of
from carnet.http.sse import EVENT_STREAM, EventStream
from carnet.settings import Mode
from carnet_graphql.context import Context
from carnet_graphql.masking import MESSAGE, log_failure, mask_all

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
BODY_TIMEOUT = 30  # seconds for the whole body; the server itself sets none
OPERATIONS = (OperationType.QUERY, OperationType.MUTATION)


async def graphql(request: Request) -> Response:
    """Answer ``/graphql``: the IDE page for a browser, else one operation."""
    correlation_id: str = request.state.correlation_id
    if request.method != "POST":
        return _page_or_refusal(request, correlation_id)
    media_type = preferred_type(request.headers.get("accept", ""))
    if media_type is None:
        return error_response(
            406,
            "NOT_ACCEPTABLE",
            f"Accept {GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}.",
            correlation_id,
        )
    try:
        operation = await read_operation(request)
        services = services_of(request)
        actor = await actor_of(request)
        context = services.context(actor, request.state.address, correlation_id)
        if media_type == EVENT_STREAM:
            return _event_stream(request, operation, context)
    except Refusal as error:
        return refusal_response(error, correlation_id)
    try:
        result = await services.schema.execute(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            allowed_operation_types=OPERATIONS,
        )
        return _answer(result, media_type, correlation_id)
    except MissingQueryError:
        message = "query is empty."
    except CannotGetOperationTypeError as error:
        message = error.as_http_error_reason()
    except InvalidOperationTypeError:
        message = f"Subscriptions are served over WebSocket, or with Accept: {EVENT_STREAM}."
    except Exception as error:
        log_failure(error, correlation_id)
        return error_response(500, "INTERNAL", MESSAGE, correlation_id, media_type=media_type)
    return error_response(400, "BAD_REQUEST", message, correlation_id, media_type=media_type)


def _event_stream(request: Request, operation: GraphQLRequest, context: Context) -> Response:
    live: Live = request.app.state.live
    live.connections.check(context.address, context.actor)
    counted = live.connections.counted(context.address, context.actor)
    return EventStream(operation, context, live.hub, live.operations, counted)


def _page_or_refusal(request: Request, correlation_id: str) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if services_of(request).settings.mode is Mode.DEVELOPMENT and wants_page:
        return ide_page()
    if wants_page:
        return error_response(406, "NOT_ACCEPTABLE", "There is no page here.", correlation_id)
    return error_response(
        405,
        "METHOD_NOT_ALLOWED",
        "Send operations with POST.",
        correlation_id,
        headers={"Allow": "POST"},
    )


def preferred_type(accept: str) -> str | None:
    """Return the media type of the answer, or None when the client takes neither.

    Of two equally wanted, the one named first; for a wildcard or no header, ``application/json``.
    """
    if not accept.strip():
        return JSON
    best: tuple[float, str] | None = None
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        chosen = JSON if name in {"*/*", "application/*"} else name
        weight = _weight(parameters)
        if chosen in {JSON, GRAPHQL_JSON, EVENT_STREAM} and weight > (best[0] if best else 0.0):
            best = weight, chosen
    return best[1] if best else None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(float(value), 1.0)
            except ValueError:
                return 0.0
    return 1.0


async def read_operation(request: Request) -> GraphQLRequest:
    """Read the body strictly.

    Raises:
        UnsupportedMediaType: it is not declared as JSON in UTF-8.
        PayloadTooLarge: it is larger than ``request_limit_bytes``.
        ValidationFailed: it is not a GraphQL request, or took too long to arrive.
    """
    content_type = request.headers.get("content-type", "").lower().replace(" ", "")
    name, _, parameters = content_type.partition(";")
    if name != JSON or parameters.replace('"', "") not in {"", "charset=utf-8"}:
        raise UnsupportedMediaType(f"Send {JSON} in UTF-8.")
    body = await _read_body(request, services_of(request).settings.request_limit_bytes)
    try:
        shape = orjson.loads(body)
    except ValueError:
        raise ValidationFailed("The body is not JSON.") from None
    return GraphQLRequest.of(shape)


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > limit:
        raise PayloadTooLarge(f"A GraphQL request is at most {limit} bytes.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise PayloadTooLarge(f"A GraphQL request is at most {limit} bytes.")
    except TimeoutError:
        raise ValidationFailed(f"The body took more than {BODY_TIMEOUT} seconds.") from None
    return bytes(body)


def _answer(result: ExecutionResult, media_type: str, correlation_id: str) -> Response:
    body: dict[str, Any] = {}
    # Masked already, unless an extension itself failed; masking twice changes nothing.
    errors: list[GraphQLError] | None = mask_all(result.errors, correlation_id)
    if errors:
        body["errors"] = [error.formatted for error in errors]
    did_run = not isinstance(result, PreExecutionError)
    if did_run:
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    status = 200 if did_run or media_type == JSON else 400
    return Response(orjson.dumps(body), status, media_type=media_type)
