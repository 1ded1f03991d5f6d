"""Messages of the graphql-transport-ws protocol and the codes that its sockets close with.

Source: the protocol's specification, PROTOCOL.md of graphql-ws; RFC 6455, 7.4.1, for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import orjson

SUBPROTOCOL = "graphql-transport-ws"
CONNECTION_ACK = b'{"type":"connection_ack"}'


class CloseCode(IntEnum):
    """Why a socket is closed."""

    NORMAL = 1000  # the client closed
    SERVICE_RESTART = 1012  # come back, to this or another server
    TRY_AGAIN_LATER = 1013  # the database does not answer
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401  # no session, or none any more
    FORBIDDEN = 4403  # connection_init was refused
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY = 4429
    INTERNAL = 4500


def next_prefix(operation_id: str) -> bytes:
    """Return what comes before the result in a ``next`` message; a brace ends it."""
    return b'{"type":"next","id":' + orjson.dumps(operation_id) + b',"payload":'


def error(operation_id: str, errors: Sequence[Mapping[str, Any]]) -> bytes:
    """Return an ``error`` message, of errors as GraphQL writes them: the operation ends with it."""
    return orjson.dumps({"type": "error", "id": operation_id, "payload": errors})


def complete(operation_id: str) -> bytes:
    """Return a ``complete`` message."""
    return orjson.dumps({"type": "complete", "id": operation_id})


def pong(payload: dict[str, Any] | None) -> bytes:
    """Return the answer to a ``ping``."""
    return orjson.dumps({"type": "pong"} | ({"payload": payload} if payload is not None else {}))


def frame_head(length: int) -> bytes:
    """Return the head of a text frame that a server sends (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 2**16:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def token_of(payload: object) -> str | None:
    """Return the bearer token in the payload of ``connection_init``, however a client names it.

    Raises:
        ValueError: there is something else in its place.
    """
    if not isinstance(payload, dict):
        return None
    headers = payload.get("headers")
    for shape in (payload, headers if isinstance(headers, dict) else {}):
        for name, value in shape.items():
            if name.lower() == "authorization" and value is not None:
                scheme, _, token = value.partition(" ") if isinstance(value, str) else ("", "", "")
                token = token.strip()
                if scheme.lower() != "bearer" or not token:
                    raise ValueError
                return token
    return None
