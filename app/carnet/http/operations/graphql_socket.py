"""GraphQL over WebSocket: graphql-transport-ws, one small protocol object for each socket.

Uvicorn hands a connection that asks for an upgrade to `GraphQLSocket`, past ASGI: an idle
subscriber then costs no task, no queue and no timer of its own, and an event is one write. What of
it is not GraphQL is in `carnet.http.operations.websocket`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import OperationType
from websockets.http11 import Request

from carnet.errors import RateLimited, Refusal, Unauthenticated, Unavailable, ValidationFailed
from carnet.http.guards import client_address
from carnet.http.operations import messages
from carnet.http.operations.messages import SUBPROTOCOL, CloseCode
from carnet.http.operations.requests import GraphQLRequest, read_json
from carnet.http.operations.socket_operation import SocketOperation
from carnet.http.operations.websocket import WebSocket
from carnet.http.services import TOKEN_LIMIT, bearer_in, new_correlation_id
from carnet.people.actor import Actor, Anonymous
from carnet.store.outages import is_outage
from carnet_graphql.masking import log_failure, mask_exception

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from carnet.http.operations.sockets import Sockets

PATH = "/graphql"
OPERATIONS_LIMIT = 100  # under way on one socket
FRESH = 60  # seconds for which a token that was looked at serves subscriptions
ID_LIMIT = 200  # characters of an operation's id


class GraphQLSocket(WebSocket):
    """One socket that speaks graphql-transport-ws."""

    __slots__ = (
        "_address",
        "_authenticated_at",
        "_is_counted",
        "_operations",
        "_sockets",
        "_token",
        "actor",
        "is_acknowledged",
        "is_initialised",
        "starting",
    )

    def __init__(
        self,
        sockets: Sockets,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__(
            cast("set[Any]", server_state.connections),
            max_size=sockets.services.settings.request_limit_bytes,
            close_timeout=sockets.close_timeout,
        )
        self._sockets = sockets
        self._address = ""
        self._token: str | None = None
        self._authenticated_at = 0.0
        self._is_counted = False
        self._operations: dict[str, SocketOperation] | None = None
        self.starting: asyncio.Task[None] | None = None
        self.actor: Actor = Anonymous()
        self.is_initialised = self.is_acknowledged = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything of this socket."""
        super().connection_lost(exc)
        self._sockets.connections.peers.leave(self._peer)
        self._sockets.open.discard(self)
        if self._is_counted:
            self._sockets.connections.leave(self._address)
            if self.is_acknowledged:
                self._sockets.connections.leave_as(self.actor)

    def end_all(self) -> None:
        """End all operations."""
        if self.starting is not None and self.is_lost:
            self.starting.cancel()
        for operation in list((self._operations or {}).values()):
            operation.cancel()
        self._operations = None

    # --- for operations and `Sockets`

    def write_results(self, prefix: bytes, payloads: Sequence[bytes]) -> bool:
        """Write results, in one write; false asks to wait for `writable` before the next."""
        if self.is_closing:
            return True
        frames: list[bytes] = []
        for payload in payloads:
            frames += messages.frame_head(len(prefix) + len(payload) + 1), prefix, payload, b"}"
        self._transport.write(b"".join(frames))
        return not self.is_paused

    def finish(self, operation: SocketOperation, message: bytes | None) -> None:
        """Drop an operation that is over, with a message about it or with ``complete``."""
        if self._operations is not None and self._operations.get(operation.id) is operation:
            del self._operations[operation.id]
            self.write(message or messages.complete(operation.id))

    # --- the handshake

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Refuse wrong paths, foreign pages and too many."""
        headers = [
            (name.lower().encode(), value.encode("latin-1", "replace"))
            for name, value in request.headers.raw_items()
        ]
        peer = self._peer if isinstance(self._peer, tuple) else None
        scope = {"client": peer, "headers": headers}
        self._address = client_address(scope, self._sockets.trusted)
        if request.path.partition("?")[0] != PATH:
            return 404, "GraphQL is at /graphql.\n"
        hosts, keys = (request.headers.get_all(name) for name in ("Host", "Sec-WebSocket-Key"))
        if len(hosts) > 1 or not all(key.isascii() for key in keys):
            return 400, "This is no handshake.\n"
        host = "".join(hosts)
        if not self._sockets.hosts.is_own(host):
            return 400, "This server has another name.\n"
        origins = request.headers.get_all("Origin")
        if not all(self._sockets.hosts.may_speak(origin, host) for origin in origins):
            return 403, "Pages of this origin may not connect.\n"
        try:
            self._sockets.connections.enter(self._address)
        except RateLimited:
            return 429, "Too many connections from this address.\n"
        self._is_counted = True
        return None

    def opened(self, request: Request) -> None:
        """Begin to wait for ``connection_init``."""
        self._sockets.open.add(self)
        if self.subprotocol != SUBPROTOCOL:
            self.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
        try:
            self._token = bearer_in(request.headers.get_all("Authorization"))
        except Unauthenticated as error:
            self.close(CloseCode.FORBIDDEN, error.message)

    # --- messages

    def take_message(self, text: bytes) -> None:
        """Take one message of the protocol.

        Raises:
            ValueError: it is none.
        """
        message = read_json(text)
        if not isinstance(message, dict):
            raise ValueError
        payload = message.get("payload")
        match message.get("type"):
            case "connection_init":
                self._initialise(payload)
            case "ping" if isinstance(payload, dict | None):
                try:
                    self.write(messages.pong(payload))
                except orjson.JSONEncodeError:  # orjson reads deeper than it writes
                    raise ValueError from None
            case "pong" if isinstance(payload, dict | None):
                pass
            case "subscribe":
                self._subscribe(message.get("id"), payload)
            case "complete" if isinstance(message.get("id"), str):
                found = (self._operations or {}).pop(message["id"], None)
                if found is not None:
                    found.cancel()
            case _:
                raise ValueError

    def _initialise(self, payload: object) -> None:
        if self.is_initialised:
            self.close(CloseCode.TOO_MANY, "Too many initialisation requests")
            return
        if not isinstance(payload, dict | None):
            raise ValueError
        self.is_initialised = True
        try:
            self._token = messages.token_of(payload) or self._token
        except ValueError:
            self.close(CloseCode.FORBIDDEN, "Send Authorization: Bearer and a token")
            return
        self.starting = asyncio.create_task(self._acknowledge())

    async def _acknowledge(self) -> None:
        try:
            self.actor = await self._authenticated()
            self._sockets.connections.enter_as(self.actor)
        except RateLimited as error:
            self.close(CloseCode.TOO_MANY, error.message)
        except Refusal as error:
            self.close(CloseCode.FORBIDDEN, error.message)
        except Exception as error:
            log_failure(error, new_correlation_id())
            if is_outage(error):
                self.close(CloseCode.TRY_AGAIN_LATER, "Come again soon")
            else:
                self.close(CloseCode.INTERNAL, "Something went wrong")
        else:
            self.is_acknowledged = True
            self.write(messages.CONNECTION_ACK)
        finally:
            self.starting = None

    async def _authenticated(self) -> Actor:
        """Return who the token stands for now."""
        if self._token is None:
            return Anonymous()
        if len(self._token) > TOKEN_LIMIT:
            raise Unauthenticated()
        services = self._sockets.services
        actor = await services.authenticate(services.database, self._token, self._address)
        self._authenticated_at = monotonic()
        return actor

    def _subscribe(self, operation_id: object, payload: object) -> None:
        if not isinstance(operation_id, str) or not 0 < len(operation_id) <= ID_LIMIT:
            raise ValueError
        if not self.is_acknowledged:
            self.close(CloseCode.UNAUTHORIZED, "Unauthorized")
            return
        if self._operations is None:
            self._operations = {}
        if operation_id in self._operations:
            self.close(CloseCode.SUBSCRIBER_EXISTS, "Subscriber for this id already exists")
            return
        try:
            request = GraphQLRequest.of(payload)
            if len(self._operations) >= OPERATIONS_LIMIT:
                raise RateLimited(f"At most {OPERATIONS_LIMIT} at once.", retry_after=1)
        except ValidationFailed as error:
            self.close(CloseCode.BAD_REQUEST, error.message)
            return
        except RateLimited as error:
            refused = mask_exception(error, new_correlation_id())
            self.write(messages.error(operation_id, [each.formatted for each in refused]))
            return
        operation = self._operations[operation_id] = SocketOperation(self, operation_id)
        operation.task = asyncio.create_task(self._run(operation, request))

    async def _run(self, operation: SocketOperation, request: GraphQLRequest) -> None:
        sockets = self._sockets
        try:
            # The hub sees to it that the session of a subscription lives. Now and then the token
            # is looked at all the same, so that subscribing counts as use.
            is_fresh = monotonic() < self._authenticated_at + FRESH
            correlation_id = new_correlation_id()
            admitted = sockets.execution.admit(request, self.actor, self._address, correlation_id)
            if isinstance(admitted, list):
                operation.end(admitted)
                return
            found = admitted.operation
            if found.type is not OperationType.SUBSCRIPTION or not is_fresh:
                self.actor = await self._authenticated()
            if found.type is OperationType.SUBSCRIPTION:
                member = await sockets.hub.subscribe(
                    found, request.variables, self.actor, operation, correlation_id
                )
                if isinstance(member, list):
                    operation.end(member)
                else:
                    operation.member = member
            else:
                context = sockets.services.context(self.actor, self._address, correlation_id)
                body = await sockets.execution.run(admitted, context)
                if "data" in body:
                    operation.send([orjson.dumps(body)])
                    self.finish(operation, None)
                else:  # it did not run: the protocol has an ``error`` for that
                    self.finish(operation, messages.error(operation.id, body["errors"]))
        except Exception as error:
            reason = Unavailable() if is_outage(error) else error
            operation.end(mask_exception(reason, new_correlation_id()))
        finally:
            operation.task = None
