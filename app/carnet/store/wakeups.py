"""The link between processes: which streams have grown, over `broadcaster`.

It carries ids and numbers, never data, and nothing depends on it but speed: whoever hears nothing
finds out by looking (`carnet.store.tails`). One channel serves the whole deployment, in batches;
what `broadcaster` 0.3 does not do is done here. It stalls without a word when its connection dies,
so a heartbeat goes through the broker, and a link on which nothing is heard is replaced; its
queues have no bound, so they are emptied at once.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from urllib.parse import quote, urlencode
from uuid import UUID

from broadcaster import Broadcast
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from carnet.errors import UserMistake
from carnet.settings import Settings
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

CHANNEL = "carnet"
FIRST = "carnet_first"  # nothing is ever said on it
GATHERING = 0.005  # seconds in which announcements become one message
HEARTBEAT = 0.4  # seconds between two signs of life
SILENCE = 1.2  # seconds without any, after which the link counts as dead
SHORTEST_BACKOFF = 0.1
LONGEST_BACKOFF = 5.0  # seconds between two attempts at a new link
ENDING = 1.0  # seconds that a dead link has to close
WAITING_LIMIT = 20_000  # streams that wait to be announced; beyond, everybody looks at all
BATCH = 200  # streams in one message: PostgreSQL takes 8,000 bytes, this is 6,400

ALIVE = "."
LOOK = "*"
_FORM = struct.Struct(">16sQ")

_log = logging.getLogger(__name__)


class LinkSilent(Exception):
    """Nothing was heard for too long."""


class Wakeups:
    """Tells other processes that streams have grown, and hears it from them."""

    def __init__(
        self,
        url: str,
        heard: Callable[[Mapping[UUID, int]], None],
        lost: Callable[[], None],
        *,
        heartbeat: float = HEARTBEAT,
        silence: float = SILENCE,
    ) -> None:
        """Prepare a link; nothing is dialled before `running`.

        Args:
            url: of the broker; see `broker_url`.
            heard: told which streams have grown, and to which number; what is known may be in it.
            lost: told that something may have been missed.
            heartbeat: seconds between two signs of life.
            silence: seconds without any after which the link is replaced.
        """
        self._url = url
        self._heard = heard
        self._lost = lost
        self._heartbeat = heartbeat
        self._silence = silence
        self._waiting: dict[UUID, int] = {}
        self._must_look = False
        self._more = asyncio.Event()
        self._said = asyncio.Event()  # all that was announced
        self._heard_at = 0.0
        self._is_told = False  # that the broker is out of reach
        self.is_linked = False
        self.links = 0  # how many there have been

    def announce(self, grown: Mapping[UUID, int]) -> None:
        """Tell others; on the event loop, at once, whatever the broker does."""
        if len(self._waiting) + len(grown) > WAITING_LIMIT:
            self._waiting.clear()
            self._must_look = True
        else:
            self._waiting.update(grown)
        self._said.clear()
        self._more.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a link while the block runs; what was announced before the end is still sent."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
            if self.is_linked and (self._waiting or self._must_look):
                with suppress(TimeoutError):
                    async with asyncio.timeout(ENDING):
                        await self._said.wait()
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self) -> None:
        wait = SHORTEST_BACKOFF
        while True:
            links = self.links
            try:
                await self._link()
            except Exception as error:  # whatever the broker or its driver does
                if self.links == links and not self._is_told:
                    self._is_told = True
                    _log.warning(
                        "the broker is out of reach (%s); events are found by looking, within"
                        " half a second",
                        type(error).__name__,
                    )
            if self.links > links:
                wait = SHORTEST_BACKOFF
            self._lost()
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_BACKOFF)

    async def _link(self) -> None:
        """Hold one link until it dies, which raises."""
        link = Broadcast(self._url)
        try:
            async with asyncio.timeout(self._silence * 2):
                await link.connect()
            async with asyncio.timeout(None) as bound:
                # Over Redis, broadcaster's listener may look before the first subscription stands,
                # and then sleeps until there is another.
                async with link.subscribe(FIRST), link.subscribe(CHANNEL) as subscriber:
                    self.links += 1
                    if self._is_told:
                        self._is_told = False
                        _log.warning("the broker is back")
                    self._heard_at = monotonic()
                    self.is_linked = True
                    self._lost()  # what was said before the subscription stood
                    tasks = [
                        asyncio.create_task(self._listen(subscriber.get)),
                        asyncio.create_task(self._speak(link)),
                        asyncio.create_task(self._watch(link)),
                    ]
                    try:
                        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        self.is_linked = False
                        for task in tasks:
                            task.cancel()
                        ended = await asyncio.gather(*tasks, return_exceptions=True)
                        # Leaving the channel talks to the broker, which may be silent.
                        bound.reschedule(asyncio.get_running_loop().time() + ENDING)
                    for error in ended:
                        if isinstance(error, Exception):
                            raise error
        finally:
            await _end(link)

    async def _listen(self, get: Callable[[], object]) -> None:
        while True:
            event = await get()  # type: ignore[misc]
            self._heard_at = monotonic()
            self._take(event.message)

    def _take(self, message: object) -> None:
        if message == ALIVE:
            return
        try:
            grown = read_message(str(message))
        except ValueError:
            self._lost()
            return
        self._heard(grown)

    async def _speak(self, link: Broadcast) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._more.wait()
                await asyncio.sleep(GATHERING)
            self._more.clear()
            async with asyncio.timeout(self._silence):
                await self._say_what_waits(link)

    async def _say_what_waits(self, link: Broadcast) -> None:
        """Send it; what could not be sent is still there, for the next link."""
        if not self._waiting and not self._must_look:
            await link.publish(CHANNEL, ALIVE)
        if self._must_look:
            await link.publish(CHANNEL, LOOK)
            self._must_look = False
        while self._waiting:
            batch = dict(list(self._waiting.items())[:BATCH])
            await link.publish(CHANNEL, write_message(batch))
            for id_, number in batch.items():
                if self._waiting.get(id_) == number:  # it may have grown meanwhile
                    del self._waiting[id_]
        self._said.set()

    async def _watch(self, link: Broadcast) -> None:
        while True:
            await asyncio.sleep(self._heartbeat / 2)
            has_ended = any(task.done() for task in _tasks_of(link))
            if has_ended or monotonic() - self._heard_at > self._silence:
                raise LinkSilent


def _tasks_of(link: Broadcast) -> list[asyncio.Task[None]]:
    """Return broadcaster's own tasks, which end without a word when a connection dies."""
    named = (getattr(link, "_listener_task", None), getattr(link._backend, "_listener", None))
    return [task for task in named if isinstance(task, asyncio.Task)]


async def _end(link: Broadcast) -> None:
    """Close a link, however dead it is."""
    with suppress(Exception):
        async with asyncio.timeout(ENDING):
            await link.disconnect()
    # asyncpg's close waits for a server that may be gone; and nobody else looks at these tasks.
    terminate = getattr(getattr(link._backend, "_conn", None), "terminate", None)
    if terminate is not None:
        with suppress(Exception):
            terminate()
    tasks = _tasks_of(link)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def write_message(grown: Mapping[UUID, int]) -> str:
    """Return ids and numbers as the text that goes over the channel."""
    return to_base64url(b"".join(_FORM.pack(id_.bytes, end) for id_, end in grown.items()))


def read_message(text: str) -> dict[UUID, int]:
    """Return the ids and numbers of a message.

    Raises:
        ValueError: it is none, or the one that says to look at everything.
    """
    try:
        packed = from_base64url(text)
    except DecodeError:
        raise ValueError from None
    if not packed or len(packed) % _FORM.size:
        raise ValueError
    return {UUID(bytes=id_): end for id_, end in _FORM.iter_unpack(packed)}


def broker_url(settings: Settings, database_url: str | URL) -> str:
    """Return where the broker is: the database itself unless a setting names another.

    Raises:
        UserMistake: the setting is no broker that is known.
    """
    try:
        url = make_url(settings.broadcast_url or database_url)
    except (ArgumentError, ValueError):  # their texts may hold the password
        url = None
    if (settings.broadcast_url or "").startswith(("memory://", "redis://", "rediss://")):
        return str(settings.broadcast_url)
    if url is None or url.get_backend_name() not in {"postgresql", "postgres"}:
        raise UserMistake(
            "CARNET_BROADCAST_URL starts with postgresql://, redis://, rediss:// or memory://."
        )
    return _dsn(url)


def _dsn(url: URL) -> str:
    """Return the URL as asyncpg reads it, a directory of a Unix socket included."""
    user = quote(url.username or "", safe="")
    password = f":{quote(str(url.password), safe='')}" if url.password else ""
    port = f":{url.port}" if url.port else ""
    query = urlencode(dict(url.query), doseq=True)
    return (
        f"postgresql://{user}{password}{'@' if user else ''}{url.host or ''}{port}"
        f"/{quote(url.database or '', safe='')}{'?' + query if query else ''}"
    )
