"""Redis as the message broker; `carnet.store.brokers` loads it where it is named.

With what it needs it takes as long to load as the web framework, and most servers have no Redis.
"""

from __future__ import annotations

from contextlib import suppress

from broadcaster._backends.redis import RedisBackend
from redis.asyncio.connection import parse_url

from carnet.store.tasks import end


def check_url(url: str) -> None:
    """Read the URL as the library does.

    Raises:
        ValueError: it cannot be read.
    """
    parse_url(url)


class Redis(RedisBackend):
    """A connection that is subscribed to the channel, and another that publishes."""

    @property
    def is_alive(self) -> bool:
        """False when it is certain that nothing will come any more."""
        return self._listener is not None and not self._listener.done()

    async def subscribe(self, channel: str) -> None:
        """Subscribe, then let the reader read."""
        # The library lets the reader go first, which finds no channel yet and gives up for good.
        await self._pubsub.subscribe(channel)
        self._ready.set()

    async def disconnect(self) -> None:
        """Close politely; may hang."""
        # First the reader: it would make a new connection when the one it reads is closed.
        await end(self._listener)
        await super().disconnect()

    async def abort(self) -> None:
        """Close at once."""
        await end(self._listener)
        with suppress(Exception):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
        await self._conn.connection_pool.disconnect()
