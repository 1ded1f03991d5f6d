"""One operation under way on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphql import GraphQLError

from carnet.http.operations import messages
from carnet.http.operations.messages import CloseCode
from carnet.people.actor import Anonymous
from carnet_graphql.subscriptions.member import Member

if TYPE_CHECKING:
    from carnet.http.operations.graphql_socket import GraphQLSocket


class SocketOperation:
    """See the module. It is the sink of its subscription."""

    __slots__ = ("id", "member", "prefix", "socket", "task")

    def __init__(self, socket: GraphQLSocket, operation_id: str) -> None:
        self.socket = socket
        self.id = operation_id
        self.prefix = messages.next_prefix(operation_id)
        self.member: Member | None = None
        self.task: asyncio.Task[None] | None = None

    def send(self, payloads: Sequence[bytes]) -> bool:
        """Write results; see `carnet_graphql.subscriptions.member.Sink`."""
        return self.socket.write_results(self.prefix, payloads)

    async def ready(self) -> None:
        """Wait until the client takes more."""
        await self.socket.writable()

    def end(self, errors: Sequence[GraphQLError]) -> None:
        """Tell the client that this is over, or, where the session is, that all is."""
        self.member = None
        codes = {(error.extensions or {}).get("code") for error in errors}
        # Neither is an end of the subscription: clients come back and take it up again.
        if "SERVER_STOPPING" in codes:
            self.socket.stop()
            return
        if "UNAVAILABLE" in codes:
            self.socket.close(CloseCode.TRY_AGAIN_LATER, "Come again soon")
            return
        formatted = [error.formatted for error in errors]
        self.socket.finish(self, messages.error(self.id, formatted) if errors else None)
        if "UNAUTHENTICATED" in codes and not isinstance(self.socket.actor, Anonymous):
            self.socket.close(CloseCode.UNAUTHORIZED, "The session is over")

    def cancel(self) -> None:
        """End from the client's side."""
        if self.task is not None:
            self.task.cancel()
        if self.member is not None:
            self.member.leave()
            self.member = None
