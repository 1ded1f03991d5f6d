"""Wake-ups between processes: streams have grown, come and read.

They are hints. What they tell of is committed and stays in the database, and who waits looks there
by itself now and then, so a wake-up that is lost costs a moment. `Wakeups` still knows when one may
have been lost: senders number their messages, and one heartbeat a moment shows gaps and silence.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from random import uniform
from struct import Struct
from uuid import UUID

from carnet.store.brokers import Link, scheme_of
from carnet.store.tasks import end

TOGETHER = 0.005  # seconds between two messages: commits in between go into one
HELLO = 0.05  # seconds between heartbeats until the first of them has come back
CONNECTING = 1.0  # seconds
LAST_WORD = 0.2  # seconds to send what waits when the process stops
LONGEST_BACKOFF = 0.5  # seconds between two attempts to reach the broker
KEPT = 2000  # streams that wait to be announced; more become «look at everything»
SENDERS = 1000  # whose numbers are remembered
TICKS = 10  # parts of the silence that is put up with
PATIENCE = 3  # times the silence until our own heartbeat must have come back past other messages

VERSION = 1
GROWN, EVERYTHING = 0, 1
MESSAGE_BYTES = 7999  # PostgreSQL's limit for a NOTIFY
_HEAD = Struct("!BB6x8sQ")  # version, kind, sender, number: as long as an entry
_ENTRY = Struct("!16sQ")  # stream, its last number
ENTRIES = MESSAGE_BYTES // 4 * 3 // _ENTRY.size - 1  # Base64 makes four characters of three bytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What one process says to all.

    ``number`` counts the sender's messages. Without ``grown`` and ``is_everything`` it is only a
    heartbeat.
    """

    sender: bytes
    number: int
    grown: Mapping[UUID, int] = field(default_factory=dict)
    is_everything: bool = False

    def encode(self) -> str:
        """Return it as printable text under PostgreSQL's limit."""
        kind = EVERYTHING if self.is_everything else GROWN
        parts = [_HEAD.pack(VERSION, kind, self.sender, self.number)]
        parts += [_ENTRY.pack(stream.bytes, number) for stream, number in self.grown.items()]
        return b64encode(b"".join(parts)).decode()

    @classmethod
    def decode(cls, text: str) -> Message | None:
        """Return the message, or None where it is none of this version."""
        if len(text) > MESSAGE_BYTES:
            return None
        try:
            raw = b64decode(text, validate=True)
        except ValueError:
            return None
        if not raw or len(raw) % _ENTRY.size:
            return None
        version, kind, sender, number = _HEAD.unpack_from(raw)
        if version != VERSION or kind not in (GROWN, EVERYTHING):
            return None
        entries = _ENTRY.iter_unpack(raw[_HEAD.size :])
        return cls(sender, number, {UUID(bytes=id_): at for id_, at in entries}, kind == EVERYTHING)


class _Unanswered(Exception):
    """The broker does not pass on what is said."""


class _State:
    """What is known of one link. Time is counted in ticks: a stalled process learns nothing."""

    def __init__(self) -> None:
        self.is_up = False  # a message of ours came back
        self.ticks = 0
        self.quiet = 0  # ticks since anything was heard
        self.unanswered = 0  # ticks since one of our own messages was heard

    @property
    def is_silent(self) -> bool:
        return self.quiet > TICKS or self.unanswered > TICKS * PATIENCE

    def tick(self) -> None:
        self.ticks += 1
        self.quiet += 1
        self.unanswered += 1


class Wakeups:
    """Tells other processes that streams have grown, and hears it from them.

    Args:
        url: the broker's, from `carnet.store.brokers.broker_url`.
        heard: takes ``{stream: last number}`` as some process announced it, this one included, in
            any order and perhaps twice.
        lost: called when something may have been missed: all streams are to be looked at.
        heartbeat: seconds between two messages when there is nothing to announce.
        silence: seconds without any message after which the link is replaced.

    Both callables run on the event loop and must not block.

    Raises:
        UserMistake: there is no such kind of broker.
    """

    def __init__(
        self,
        url: str,
        heard: Callable[[Mapping[UUID, int]], None],
        lost: Callable[[], None],
        *,
        heartbeat: float = 0.4,
        silence: float = 1.0,
    ) -> None:
        self._url = url
        self._scheme = scheme_of(url)
        self._heard = heard
        self._lost = lost
        self._heartbeat = heartbeat
        self._silence = silence
        self._me = secrets.token_bytes(8)
        self._sent = 0
        self._pending: dict[UUID, int] = {}
        self._is_everything = False  # too much is pending to name it
        self._wake = asyncio.Event()
        self._numbers: dict[bytes, int] = {}  # the last that each sender used
        self._is_away = False  # and it was said
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<Wakeups {self._scheme}>"

    def announce(self, grown: Mapping[UUID, int]) -> None:
        """Tell the others, soon; called on the event loop after a commit. Never raises."""
        self._keep(grown)
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear and tell while the block runs. Does not wait until the broker is reached."""
        task = asyncio.create_task(self._stay_linked())
        try:
            yield
        finally:
            self._is_stopping = True  # a library may turn the cancellation into an error
            await end(task)

    def _keep(self, grown: Mapping[UUID, int]) -> None:
        if self._is_everything:
            return
        pending = self._pending
        for stream, number in grown.items():
            if number > pending.get(stream, -1):
                pending[stream] = number
        if len(pending) > KEPT:
            self._pending = {}
            self._is_everything = True

    async def _stay_linked(self) -> None:
        failures = 0
        while not self._is_stopping:
            state = _State()
            await self._use_one_link(state)
            if state.is_up and state.ticks > TICKS:
                failures = 0
                continue
            backoff = min(LONGEST_BACKOFF, 0.05 * 2 ** min(failures, 10))
            failures += 1
            await asyncio.sleep(backoff * uniform(0.5, 1))  # noqa: S311 — no secret

    async def _use_one_link(self, state: _State) -> None:
        """Return when the link has failed."""
        link = Link(self._url)
        is_stopping = False
        try:
            async with asyncio.timeout(CONNECTING):
                await link.open()
            await self._until_it_fails(link, state)
        except asyncio.CancelledError:
            is_stopping = True
            if state.is_up and (self._pending or self._is_everything):
                with suppress(Exception):
                    async with asyncio.timeout(LAST_WORD):
                        await self._tell(link)
            raise
        except Exception as error:  # each library has its own; none of their texts may be shown
            if not state.is_up and not self._is_away:
                self._is_away = True
                _log.warning(
                    "the broker of wake-ups (%s) is out of reach: %s; streams are polled meanwhile",
                    self._scheme,
                    type(error).__name__.lstrip("_"),
                )
        finally:
            await link.close(politely=is_stopping)

    async def _until_it_fails(self, link: Link, state: _State) -> None:
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._listen(link, state),
                self._speak(link, state),
                self._watch(link, state),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception:
            # Before the others are canceled: a statement that is given up would make asyncpg open
            # another connection to say so.
            await link.close(politely=False)
            raise
        finally:
            await end(*tasks)

    async def _watch(self, link: Link, state: _State) -> None:
        while link.is_alive and not state.is_silent:
            await asyncio.sleep(self._silence / TICKS)
            state.tick()
        raise _Unanswered

    async def _speak(self, link: Link, state: _State) -> None:
        while True:
            await self._tell(link)
            await asyncio.sleep(TOGETHER)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat if state.is_up else HELLO):
                    await self._wake.wait()

    async def _tell(self, link: Link) -> None:
        """Send what is pending, or a heartbeat; what could not be sent stays pending."""
        self._wake.clear()
        grown, self._pending = self._pending, {}
        is_everything, self._is_everything = self._is_everything, False
        try:
            for part in _parts(grown):
                self._sent += 1
                await link.say(Message(self._me, self._sent, part, is_everything).encode())
        except BaseException:  # canceled, too
            self._keep(grown)
            self._is_everything |= is_everything
            raise

    async def _listen(self, link: Link, state: _State) -> None:
        while True:
            self._take(await link.hear(), state)

    def _take(self, text: str, state: _State) -> None:
        state.quiet = 0
        message = Message.decode(text)
        if message is None:
            self._lost()
            return
        if message.sender == self._me:
            state.unanswered = 0
            if not state.is_up:
                self._come_up(state)
        elif self._is_gap(message):
            self._lost()
        if message.is_everything:
            self._lost()
        elif message.grown:
            self._heard(message.grown)

    def _come_up(self, state: _State) -> None:
        state.is_up = True
        self._lost()  # what was said before it was up
        if self._is_away:
            self._is_away = False
            _log.warning("the broker of wake-ups (%s) is back", self._scheme)

    def _is_gap(self, message: Message) -> bool:
        last = self._numbers.get(message.sender, 0)
        if not last and len(self._numbers) >= SENDERS:
            self._numbers.clear()
        self._numbers[message.sender] = max(last, message.number)
        return message.number > last + 1


def _parts(grown: Mapping[UUID, int]) -> Iterator[dict[UUID, int]]:
    """Yield as many entries as a message holds; once nothing, where there are none."""
    entries = iter(grown.items())
    part = dict(islice(entries, ENTRIES))
    yield part
    while part := dict(islice(entries, ENTRIES)):
        yield part
