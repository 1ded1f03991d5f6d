"""What happens in our threads, told to whoever listens, and the receipts that are due meanwhile.

A server's event is a hint: the thread is read on by its own cursor, and verified, before anything
is told. After each reconnect everything that was open is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from carnet_client.answers import relayed, thread_of
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import ClientError, NotFound, NotReadable, Unreachable
from carnet_client.events import Connected, Disconnected, Event
from carnet_client.following import Lost, Told
from carnet_client.threads import Threads
from carnet_crypto.values import ThreadId

BEAT = 3600.0  # seconds between two looks at what has long not been answered


class Inbox:
    """See the module."""

    def __init__(self, core: Core, directory: Directory, threads: Threads) -> None:
        self._core, self._directory, self._threads = core, directory, threads

    async def beat(self) -> None:
        """Answer, by an empty receipt, what was read a day ago and not answered."""
        async with self._core.lock:
            await self._threads.beat()

    async def follow(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, for as long as somebody asks."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._core.listeners.add(queue)
        task = asyncio.create_task(self._pump(queue))
        beating = asyncio.create_task(self._beat_on())
        try:
            while True:
                getting = asyncio.ensure_future(queue.get())
                done, _ = await asyncio.wait({getting, task}, return_when=asyncio.FIRST_COMPLETED)
                if getting in done:
                    yield getting.result()
                    continue
                getting.cancel()
                task.result()
                return
        finally:
            self._core.listeners.discard(queue)
            for each in (task, beating):
                each.cancel()
                with suppress(asyncio.CancelledError, ClientError):
                    await each

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await self.beat()

    async def _pump(self, queue: asyncio.Queue[Event]) -> None:
        async with aclosing(self._core.relay.follow()) as told:
            async for each in told:
                if isinstance(each, Lost):
                    queue.put_nowait(Disconnected())
                    continue
                with suppress(Unreachable):
                    await self._take(each, queue)

    async def _take(self, told: Told, queue: asyncio.Queue[Event]) -> None:
        kind = told.shape.get("__typename")
        if kind == "CaughtUp":
            await self._read_again()
            await self.beat()
            queue.put_nowait(Connected())
        elif kind in ("MessageReceived", "MessageErased", "ThreadLogGrown"):
            id_, _ = thread_of(told.shape)
            async with self._core.lock:
                await self._hint(id_, told if kind == "MessageErased" else None)
                await self._core.save()

    async def _hint(self, id_: ThreadId, erased: Told | None) -> None:
        try:
            room = await self._threads.room(id_)
            await room.read()
            if erased is not None:
                await room.take(relayed(erased.shape["message"]))
        except (NotReadable, NotFound):
            return  # of an account that this device does not act as
        except ClientError:
            pass  # its alarm was told
        room.changed()

    async def _read_again(self) -> None:
        async with self._core.lock:
            with suppress(ClientError):  # its alarm was told
                await self._directory.look([])  # our own devices, whatever is open
            for room in self._threads.open_rooms:
                with suppress(ClientError):
                    if await room.read():
                        room.changed()
            await self._core.save()
