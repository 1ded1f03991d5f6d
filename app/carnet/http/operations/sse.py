"""GraphQL over server-sent events: graphql-sse's distinct connections mode.

One POST is one operation; its results are ``next`` events and ``complete`` ends them. Where the
server stops, the answer ends without ``complete``, and clients come back by themselves.

Source: the protocol's specification, PROTOCOL.md of graphql-sse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial

import orjson
from graphql import GraphQLError, OperationType
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from carnet.errors import RateLimited
from carnet.http.answers import refusal_response
from carnet.http.operations.execution import Admitted, Execution
from carnet.http.operations.negotiation import EVENT_STREAM
from carnet.people.actor import Actor
from carnet_graphql.context import Context
from carnet_graphql.subscriptions.hub import Hub
from carnet_graphql.subscriptions.member import Member

SEND_TIMEOUT = 30  # seconds that a client may take nothing
KEEP_ALIVE = 12  # seconds of silence after which a comment is sent
WAITING_LIMIT = 64 * 1024  # bytes that wait for a slow client before it has to catch up by itself
COMPLETE = b"event: complete\ndata:\n\n"
COMMENT = b":\n\n"


class EventStream(Response):
    """The answer to one operation as a stream of events; the sink of its subscription."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        admitted: Admitted | Sequence[GraphQLError],
        context: Context,
        hub: Hub,
        execution: Execution,
        counted: AbstractContextManager[None],
    ) -> None:
        super().__init__(None, 200, {"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._admitted = admitted
        self._context = context
        self._hub = hub
        self._execution = execution
        self._counted = counted
        self._waiting: list[bytes] = []
        self._size = 0
        self._is_over = False
        self._more = asyncio.Event()
        self._taken = asyncio.Event()
        self._taken.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the operation is over or the client goes, or takes nothing for too long."""
        with ExitStack() as counted:
            try:
                counted.enter_context(self._counted)
            except RateLimited as error:  # others came since the last look
                refusal = refusal_response(error, self._context.correlation_id)
                await refusal(scope, receive, send)
                return
            with suppress(TimeoutError):
                await self._stream(receive, partial(_send_in_time, send))

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": COMMENT, "more_body": True})
        member: Member | None = None
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            member = await self._begin(self._context.actor)
            while not leaving.done():
                chunk, self._waiting, self._size = b"".join(self._waiting), [], 0
                is_last = self._is_over
                if chunk or is_last:
                    await send(
                        {"type": "http.response.body", "body": chunk, "more_body": not is_last}
                    )
                if is_last:
                    return
                self._taken.set()
                if not self._waiting and not self._is_over:
                    await self._silence(leaving, send)
        finally:
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            if member is not None and not self._is_over:
                member.leave()

    def send(self, payloads: Sequence[bytes]) -> bool:
        """Hand on results; see `carnet_graphql.subscriptions.member.Sink`."""
        for payload in payloads:
            self._put(b"event: next\ndata: " + payload + b"\n\n")
        if self._size > WAITING_LIMIT:
            self._taken.clear()
            return False
        return True

    async def ready(self) -> None:
        """Wait until the client has taken what waits."""
        await self._taken.wait()

    def end(self, errors: Sequence[GraphQLError]) -> None:
        """Say why it ends, but where the client is to come back."""
        codes = {(error.extensions or {}).get("code") for error in errors}
        if not codes & {"SERVER_STOPPING", "UNAVAILABLE"}:
            if errors:
                body = {"errors": [error.formatted for error in errors]}
                self._put(b"event: next\ndata: " + orjson.dumps(body) + b"\n\n")
            self._put(COMPLETE)
        self._is_over = True
        self._more.set()

    def _put(self, event: bytes) -> None:
        self._waiting.append(event)
        self._size += len(event)
        self._more.set()

    async def _silence(self, leaving: asyncio.Task[None], send: Send) -> None:
        """Wait for more, or until the client goes; say something now and then."""
        self._more.clear()
        more = asyncio.create_task(self._more.wait())
        try:
            done, _ = await asyncio.wait(
                {more, leaving}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            more.cancel()
        if not done:
            await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

    async def _begin(self, actor: Actor) -> Member | None:
        admitted = self._admitted
        if not isinstance(admitted, Admitted):
            self.end(admitted)
        elif admitted.operation.type is OperationType.SUBSCRIPTION:
            operation, variables = admitted.operation, admitted.variables
            correlation_id = self._context.correlation_id
            member = await self._hub.subscribe(operation, variables, actor, self, correlation_id)
            if isinstance(member, Member):
                return member
            self.end(member)
        else:
            body = await self._execution.run(admitted, self._context)
            self.send([orjson.dumps(body)])
            self.end([])
        return None


async def _send_in_time(send: Send, message: Message) -> None:
    """Send; a client that takes nothing would keep its place and its subscription for good.

    Raises:
        TimeoutError: it takes nothing.
    """
    async with asyncio.timeout(SEND_TIMEOUT):
        await send(message)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
