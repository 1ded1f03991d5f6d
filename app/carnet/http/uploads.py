"""``POST /blobs``: the body becomes a blob, which a mutation then refers to.

Nothing of the body is kept in memory. Whatever breaks off leaves nothing that anybody can see.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress

import orjson
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from carnet.errors import (
    AccessDenied,
    ContentUnavailable,
    PayloadTooLarge,
    Refusal,
    UnsupportedMediaType,
    ValidationFailed,
)
from carnet.http.answers import refusal_response
from carnet.http.services import actor_of, services_of
from carnet.people.actor import Actor, Operator, actor_key

MEDIA_TYPE_LIMIT = 200  # characters, parameters included
IDLE_TIMEOUT = 60  # seconds between two pieces of a body; uvicorn itself waits for ever
LINGERING_TIME = 10  # seconds in which the rest of a refused body is read and thrown away
LINGERING_IDLE_TIME = 2  # seconds between two pieces of it

# RFC 9110 section 8.3.1, without the optional white space inside parameters.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 — grammar
_MEDIA_TYPE = re.compile(
    rf'{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}=(?:{_TOKEN}|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*'
)


async def upload(request: Request) -> Response:
    """Store the body as a blob of the actor."""
    services = services_of(request)
    try:
        owner = actor_key(_uploader(await actor_of(request)))
        media_type = media_type_of(request)
        limit_bytes = services.settings.upload_limit_bytes
        expected_bytes = _expected(request, limit_bytes)
        blob = await services.blobs.receive(
            services.database,
            owner,
            _body(request),
            media_type=media_type,
            limit_bytes=limit_bytes,
            expected_bytes=expected_bytes,
        )
    except (Refusal, ContentUnavailable) as error:
        return LingeringResponse(refusal_response(error, request.state.correlation_id))
    answer = {
        "id": str(blob.id),
        "size": blob.size_bytes,
        "sha256": blob.sha256.hex(),
        "mediaType": blob.media_type,
        "expiresAt": blob.expires_at,
    }
    return Response(orjson.dumps(answer), 201, media_type="application/json")


ROUTES = [Route("/blobs", upload, methods=["POST"])]


def media_type_of(request: Request) -> str:
    """Return the body's media type as it was sent; without one, it is just bytes.

    Raises:
        ValidationFailed: the header is not a media type.
        UnsupportedMediaType: the body is a form, or compressed, so not the content itself.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the content itself, without Content-Encoding.")
    sent = request.headers.getlist("content-type")
    if not sent:
        return "application/octet-stream"
    media_type = sent[0].strip()
    if len(sent) > 1 or len(media_type) > MEDIA_TYPE_LIMIT or not _MEDIA_TYPE.fullmatch(media_type):
        raise ValidationFailed("Content-Type is not a media type.", path=("Content-Type",))
    if media_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType("Send the content itself as the body, not a form.")
    return media_type


def _uploader(actor: Actor) -> Actor:
    if isinstance(actor, Operator):
        raise AccessDenied("blobs.no-operators", "Operators handle no health data.")
    return actor


def _expected(request: Request, limit_bytes: int) -> int | None:
    """Return the length that the client announces; the server holds it to that."""
    claimed = request.headers.get("content-length")
    if claimed is None or not (claimed.isascii() and claimed.isdigit()):
        return None
    expected = int(claimed[:20])
    if expected > limit_bytes:
        raise PayloadTooLarge(f"Content has at most {limit_bytes} bytes here.")
    return expected


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body piece by piece.

    Raises:
        HTTPException: 408, the client stopped sending.
        ClientDisconnect: it went away before the end.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT):
                piece = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(
                408, "The upload stood still for too long.", {"Connection": "close"}
            ) from None
        if piece is None:
            return
        yield piece


class LingeringResponse(Response):
    """Refuses a body that is still coming: answers, reads on for a while, and then closes.

    Closing a connection on bytes that are under way resets it, and clients that send first and
    read afterwards would lose the answer. RFC 9112 section 9.6 asks servers to close in stages.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code, answer.headers)
        self.headers["Connection"] = "close"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer and discard the body."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        # Who asked whether to send at all has been told, and sends nothing.
        if "expect" not in Headers(scope=scope):
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGERING_TIME):
                    while await _more(receive):
                        pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _more(receive: Receive) -> bool:
    async with asyncio.timeout(LINGERING_IDLE_TIME):
        message = await receive()
    return bool(message["type"] == "http.request" and message.get("more_body", False))
