"""Following a subscription for as long as it takes: it reconnects, and goes on from its cursor.

An event is a hint and no more: whoever follows reads what is new by its own cursor, and verifies
it. So each connection begins with `CaughtUp`, after which everything is to be read once. The
socket pings every 20 seconds by itself, and gives up a server that was silent for 20 more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from carnet_client.connection import FIRST_PAUSE, LONGEST_PAUSE, Connection, _jitter
from carnet_client.errors import NotFound, NotSignedIn, ServerFault
from carnet_client.operations import Operation

ANEW = frozenset({"CURSOR_EXPIRED", "BAD_CURSOR"})


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the server, and where to go on from after it."""

    shape: Mapping[str, Any]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection broke; it is being made anew."""


async def follow(
    connection: Connection,
    operation: Operation,
    variables: Mapping[str, Any],
    after: str | None = None,
) -> AsyncGenerator[Told | Lost, None]:
    """Yield the events of a subscription, over as many connections as it takes.

    Args:
        connection: where.
        operation: a subscription with one field, that takes ``$after``.
        variables: its other variables.
        after: the cursor to go on from; None follows from now on.

    Raises:
        NotSignedIn: the session is over.
        NotFound: there is no such thing to follow, or no longer.
        ServerFault: the server does not take the subscription.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            async with aclosing(_one_connection(connection, operation, variables, after)) as told:
                async for event in told:
                    after = event.cursor or after
                    pause = FIRST_PAUSE
                    yield event
        except TransportQueryError as error:
            code = _code(error)
            if code == "UNAUTHENTICATED":
                raise NotSignedIn from None
            if code in ANEW:
                after = None
            elif code in {"NOT_FOUND", "ACCESS_ENDED"}:
                raise NotFound(code, "There is nothing to follow, or no longer.") from None
            elif code not in {"SERVER_STOPPING", "UNAVAILABLE", "RATE_LIMITED"}:
                raise ServerFault("The server does not let us follow.") from None
        except TransportError as error:
            if _close_code(error) in {4401, 4403}:
                raise NotSignedIn from None
        except (OSError, TimeoutError):
            pass  # the same as a connection that broke
        yield Lost()
        await asyncio.sleep(pause * _jitter())
        pause = min(pause * 2, LONGEST_PAUSE)


async def _one_connection(
    connection: Connection,
    operation: Operation,
    variables: Mapping[str, Any],
    after: str | None,
) -> AsyncGenerator[Told, None]:
    transport = WebsocketsTransport(
        url=connection.socket_url,
        init_payload={"Authorization": f"Bearer {connection.token}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    request = gql(operation.text)
    request.variable_values = {**variables, "after": after}
    async with Client(transport=transport) as session:
        told = session.subscribe(request)
        try:
            async for answer in told:
                shape = answer[operation.field]
                yield Told(shape, shape.get("cursor"))
        finally:
            with suppress(TransportError):
                await told.aclose()


def _code(error: TransportQueryError) -> str:
    try:
        return str((error.errors or [])[0]["extensions"]["code"])
    except (IndexError, KeyError, TypeError):
        return ""


def _close_code(error: BaseException | None) -> int | None:
    """Return the code that the server closed the socket with, wherever the library put it."""
    while error is not None:
        received = getattr(error, "rcvd", None)
        if received is not None:
            return int(received.code)
        error = error.__cause__ or error.__context__
    return None
