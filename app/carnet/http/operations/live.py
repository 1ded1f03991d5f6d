"""What stays open: the hub of subscriptions, and the sockets and event streams it speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID

from carnet.http.operations.connections import Connections
from carnet.http.operations.execution import Execution
from carnet.http.operations.graphql_socket import GraphQLSocket
from carnet.http.operations.sockets import Sockets
from carnet.http.protocol import HttpProtocol
from carnet.http.services import Services
from carnet.store.tails import Tails
from carnet.store.wakeups import Wakeups
from carnet_graphql.subscriptions.hub import Hub


class Live:
    """One for each process."""

    def __init__(self, services: Services, broker: str) -> None:
        self._database = services.database
        self.tails = Tails(services.database)
        self.wakeups = Wakeups(broker, self.tails.grown, self.tails.look_at_all)
        self.connections = Connections(services.settings)
        self.execution = Execution(services.schema, services.settings, services.documents)
        self.hub = Hub(services.schema, services.database, services.context, self.tails)
        self.sockets = Sockets(services, self.hub, self.execution, self.connections)
        self.http_protocol = partial(HttpProtocol, peers=self.connections.peers)
        self.socket_protocol = partial(GraphQLSocket, self.sockets)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow, and look after what is open, while the block runs."""
        async with AsyncExitStack() as running:
            await running.enter_async_context(self.wakeups.running())
            await running.enter_async_context(self.hub.running())
            await running.enter_async_context(self.sockets.running())
            self._database.on_grown = self._grown
            yield

    def drain(self) -> None:
        """Send everybody away, to come back to another server."""
        self.hub.drain()
        for socket in list(self.sockets.open):
            socket.stop()

    def _grown(self, ends: Mapping[UUID, int]) -> None:
        self.tails.grown(ends)
        self.wakeups.announce(ends)
