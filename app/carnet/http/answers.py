"""One shape for every error over HTTP, and one table of statuses.

The body is that of a GraphQL error, on every route, so that a client has one thing to read::

    {"errors": [{"message": "…", "extensions": {"code": "NOT_FOUND", "correlationId": "…"}}]}
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from carnet import errors

STATUSES: dict[type[errors.CarnetError], int] = {
    errors.Unauthenticated: 401,
    errors.SignInFailed: 401,
    errors.RateLimited: 429,
    errors.NotFound: 404,
    errors.AccessDenied: 403,
    errors.ValidationFailed: 400,
    errors.CertificateRefused: 400,
    errors.Conflict: 409,
    errors.RightsChanged: 409,
    errors.CursorExpired: 410,
    errors.AccessEnded: 403,
    errors.ServerStopping: 503,
    errors.Unavailable: 503,
    errors.TookTooLong: 503,
    errors.RecordClosed: 409,
    errors.RecordNotOpen: 409,
    errors.StaleChain: 409,
    errors.StaleControlHead: 409,
    errors.StaleSequence: 409,
    errors.RotationDue: 409,
    errors.ThreadClosed: 409,
    errors.NotAllowedToOpen: 403,
    errors.EnrolmentFailed: 401,
    errors.QuotaExceeded: 403,
    errors.OperationTooCostly: 400,
    errors.OperationNotTrusted: 403,
    errors.PersistedQueryNotFound: 400,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Refusal: 400,
    errors.ContentCorrupted: 500,
    errors.StorageFull: 507,
    errors.ContentUnavailable: 503,
}
OF_CODES = {kind.code: status for kind, status in reversed(STATUSES.items())} | {"INTERNAL": 500}
AGAIN_IN = 2  # seconds: a database that was restarted is back by then
CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 406: "NOT_ACCEPTABLE"}
MESSAGES = {
    404: "There is nothing at this path; GraphQL is at /graphql.",
    405: "This path takes other methods: those in the header Allow.",
}


def error_response(
    status: int,
    code: str,
    message: str,
    correlation_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """Return one error as the answer."""
    body = {
        "errors": [
            {"message": message, "extensions": {"code": code, "correlationId": correlation_id}}
        ]
    }
    return Response(orjson.dumps(body), status, headers, media_type)


def status_of(error: errors.CarnetError) -> int:
    """Return the HTTP status of the error."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def refusal_response(
    error: errors.CarnetError, correlation_id: str, media_type: str = "application/json"
) -> Response:
    """Return a refusal as the answer, with the headers that its status asks for."""
    headers: dict[str, str] = {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(AGAIN_IN)
    return error_response(
        status_of(error),
        error.code,
        error.message,
        correlation_id,
        headers=headers,
        media_type=media_type,
    )


async def on_refusal(request: Request, error: Exception) -> Response:
    """Answer a `carnet.errors.CarnetError` that a route raised."""
    if not isinstance(error, errors.Refusal | errors.ContentUnavailable):
        raise error
    return refusal_response(error, request.state.correlation_id)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    code = CODES.get(error.status_code, "BAD_REQUEST")
    return error_response(
        error.status_code,
        code,
        MESSAGES.get(error.status_code, error.detail),
        request.state.correlation_id,
        headers=error.headers,
    )
