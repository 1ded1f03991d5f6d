"""All sockets of one process: what they share, and what is done to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

from carnet.http.guards import trusted_networks
from carnet.http.hosts import Hosts
from carnet.http.operations.connections import Connections
from carnet.http.operations.execution import Execution
from carnet.http.operations.messages import CloseCode
from carnet.http.services import Services
from carnet.store.tasks import end
from carnet_graphql.subscriptions.hub import Hub

if TYPE_CHECKING:
    from carnet.http.operations.graphql_socket import GraphQLSocket


class Sockets:
    """See the module. `running` pings them and drops who never began."""

    def __init__(
        self,
        services: Services,
        hub: Hub,
        execution: Execution,
        connections: Connections,
        *,
        init_timeout: float = 5,
        keep_alive: float = 15,
        close_timeout: float = 2,
    ) -> None:
        self.services = services
        self.hub = hub
        self.execution = execution
        self.connections = connections
        self.trusted = trusted_networks(services.settings.trusted_proxies)
        self.hosts = Hosts(services.settings)
        self.init_timeout = init_timeout  # seconds from the handshake to connection_init
        self.keep_alive = keep_alive  # seconds between pings; who answers none of two is gone
        self.close_timeout = close_timeout  # seconds that a client has to answer a close
        self.open: set[GraphQLSocket] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after the sockets while the block runs."""
        tasks = [asyncio.create_task(self._ping()), asyncio.create_task(self._time_out())]
        try:
            yield
        finally:
            await end(*tasks)

    async def _ping(self) -> None:
        """Ping every socket once in an interval, spread over it, and drop the silent."""
        while True:
            due = list(self.open)
            slices = max(1, min(len(due), 50))
            for start in range(slices):
                for socket in due[start::slices]:
                    socket.ping()
                await asyncio.sleep(self.keep_alive / slices)

    async def _time_out(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self.init_timeout / 4))
            latest = monotonic() - self.init_timeout
            for socket in [each for each in self.open if not each.is_initialised]:
                if socket.opened_at < latest:
                    socket.close(
                        CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout"
                    )
