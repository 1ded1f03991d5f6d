"""``POST /intake``: one body in, one outcome for each item out."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carnet.errors import PayloadTooLarge, UnsupportedMediaType
from carnet.http.services import actor_of, services_of
from carnet.intake.actions import publisher_of, take_in
from carnet.intake.receipt import ItemOutcome, Receipt
from carnet_graphql.documents import Document
from carnet_graphql.immunizations import Immunization
from carnet_graphql.node import Node, write_id
from carnet_graphql.records import Record

IDLE_TIMEOUT = 60  # seconds between two pieces of a body; uvicorn itself waits for ever

_TARGETS: dict[str, type[Node]] = {
    "Document": Document,
    "Immunization": Immunization,
    "Record": Record,
}


async def intake(request: Request) -> Response:
    """Take in the body of a publisher and answer item by item."""
    services = services_of(request)
    actor = publisher_of(await actor_of(request))
    body = await read_body(request, services.settings.intake_limit_bytes)
    media_type = request.headers.get("content-type", "")
    receipt = await take_in(actor, services.database, services.blobs, body, media_type)
    return Response(orjson.dumps(answer(receipt)), media_type="application/json")


ROUTES = [Route("/intake", intake, methods=["POST"])]


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body, read no further than the limit.

    Raises:
        PayloadTooLarge: it says or proves to be longer.
        UnsupportedMediaType: it is compressed.
        HTTPException: 408, the client stopped sending.
    """
    too_large = PayloadTooLarge(f"A submission has at most {limit_bytes} bytes.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the content itself, without Content-Encoding.")
    claimed = request.headers.get("content-length", "")
    if claimed.isascii() and claimed.isdigit() and int(claimed[:20]) > limit_bytes:
        raise too_large
    body = bytearray()
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(
                408, "The body stood still for too long.", {"Connection": "close"}
            ) from None
        if chunk is None:
            return bytes(body)
        body += chunk
        if len(body) > limit_bytes:
            raise too_large


def answer(receipt: Receipt) -> dict[str, Any]:
    """Return the receipt as the JSON that publishers read."""
    return {
        "submission": str(receipt.submission_id),
        "format": receipt.format,
        "items": [_item(item) for item in receipt.items],
        "counts": {outcome.value: count for outcome, count in receipt.counts.items()},
    }


def _item(item: ItemOutcome) -> dict[str, Any]:
    kind = _TARGETS.get(item.target_kind or "")
    return {
        "key": item.key,
        "kind": item.kind,
        "outcome": item.outcome.value,
        "reason": item.reason.value if item.reason else None,
        "message": item.message,
        "target": write_id(kind, item.target_id) if kind and item.target_id else None,
    }
