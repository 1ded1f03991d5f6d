"""``/graphql``: one operation, answered with JSON, or with a stream of events where it is wanted.

GraphQL over HTTP: POST takes any operation, GET takes queries and, for a stream, subscriptions. No
batches, no multipart. Whatever comes, the answer has GraphQL's shape and a status that fits; only a
fault of ours is a 500. Sockets are `carnet.http.operations.graphql_socket`'.

Source: the GraphQL over HTTP specification.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response

from carnet.errors import PayloadTooLarge, Refusal, UnsupportedMediaType, ValidationFailed
from carnet.http.answers import OF_CODES, error_response, refusal_response
from carnet.http.ide import ide_page
from carnet.http.operations.execution import Admitted, WrongTransport
from carnet.http.operations.live import Live
from carnet.http.operations.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, preferred_type
from carnet.http.operations.requests import GraphQLRequest, read_json
from carnet.http.operations.sse import EventStream
from carnet.http.services import actor_of, services_of
from carnet.settings import Mode
from carnet_graphql.context import Context
from carnet_graphql.masking import MESSAGE, log_failure

BODY_TIMEOUT = 30  # seconds for the whole body; the server itself sets none


async def graphql(request: Request) -> Response:
    """Answer ``/graphql``: the IDE page for a browser, else one operation."""
    correlation_id: str = request.state.correlation_id
    if _wants_page(request):
        return ide_page()
    media_type = preferred_type(",".join(request.headers.getlist("accept")))
    if media_type is None:
        return error_response(
            406,
            "NOT_ACCEPTABLE",
            f"Accept {GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}.",
            correlation_id,
        )
    refused_type = JSON if media_type == EVENT_STREAM else media_type
    try:
        asked = await _read(request)
        services = services_of(request)
        actor = await actor_of(request)
        context = services.context(actor, request.state.address, correlation_id)
        live: Live = request.app.state.live
        admitted = live.execution.admit(
            asked, actor, context.address, correlation_id, _carried(request, media_type)
        )
        if media_type == EVENT_STREAM:
            return _event_stream(live, admitted, context)
        if isinstance(admitted, list):
            return _answer({"errors": [error.formatted for error in admitted]}, media_type)
    except WrongTransport as wrong:
        return _wrong_transport(wrong.type, correlation_id, refused_type)
    except Refusal as error:
        return refusal_response(error, correlation_id, refused_type)
    try:
        return _answer(await live.execution.run(admitted, context), media_type)
    except Exception as error:
        log_failure(error, correlation_id)
        return error_response(500, "INTERNAL", MESSAGE, correlation_id, media_type=media_type)


def _event_stream(
    live: Live, admitted: Admitted | Sequence[GraphQLError], context: Context
) -> Response:
    live.connections.check(context.address, context.actor)
    counted = live.connections.counted(context.address, context.actor)
    return EventStream(admitted, context, live.hub, live.execution, counted)


def _wants_page(request: Request) -> bool:
    """Tell whether a browser opens the address: a query would be in it."""
    return (
        request.method != "POST"
        and services_of(request).settings.mode is Mode.DEVELOPMENT
        and "text/html" in request.headers.get("accept", "")
        and "query" not in request.query_params
    )


def _carried(request: Request, media_type: str) -> set[OperationType]:
    """Return the types of operations that may come this way."""
    types = {OperationType.QUERY}
    if request.method == "POST":
        types.add(OperationType.MUTATION)
    if media_type == EVENT_STREAM:
        types.add(OperationType.SUBSCRIPTION)
    return types


def _wrong_transport(type_: OperationType, correlation_id: str, media_type: str) -> Response:
    if type_ is OperationType.MUTATION:
        message, headers = "Send mutations with POST.", {"Allow": "POST"}
        return error_response(
            405,
            "METHOD_NOT_ALLOWED",
            message,
            correlation_id,
            headers=headers,
            media_type=media_type,
        )
    message = f"Subscriptions are served over WebSocket, or with Accept: {EVENT_STREAM}."
    return error_response(400, "BAD_REQUEST", message, correlation_id, media_type=media_type)


async def _read(request: Request) -> GraphQLRequest:
    """Read the request strictly.

    Raises:
        UnsupportedMediaType: its body is not declared as JSON in UTF-8.
        PayloadTooLarge: it is larger than ``request_limit_bytes``.
        ValidationFailed: it is not a GraphQL request, or took too long to arrive.
    """
    if request.method != "POST":
        return GraphQLRequest.of_parameters(request.query_params.multi_items())
    content_type = ",".join(request.headers.getlist("content-type")).lower().replace(" ", "")
    name, _, parameters = content_type.partition(";")
    if name != JSON or parameters.replace('"', "") not in {"", "charset=utf-8"}:
        raise UnsupportedMediaType(f"Send {JSON} in UTF-8.")
    body = await _read_body(request, services_of(request).settings.request_limit_bytes)
    try:
        shape = read_json(body)
    except ValueError:
        raise ValidationFailed("The body is not JSON, or has too many lists.") from None
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


def _answer(body: Mapping[str, Any], media_type: str) -> Response:
    """Return the answer; what did not run has a status of its own where the client reads it."""
    status = 200
    if "data" not in body and media_type == GRAPHQL_JSON:
        status = OF_CODES.get(body["errors"][0]["extensions"]["code"], 400)
    return Response(orjson.dumps(body), status, media_type=media_type)
