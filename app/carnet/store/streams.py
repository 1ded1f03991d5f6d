"""Streams of bytes into sealed segments and back, with bounded memory.

Sealing, hashing and the disk or network run in threads, each a stage ahead of or behind the
others, so that the stream goes at the speed of the slowest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, TypeVar, TypeVarTuple
from uuid import UUID

from carnet.errors import PayloadTooLarge
from carnet.store.objects import Objects, path_of, prefix_of
from carnet.store.sealing import SEALED_SEGMENT_BYTES, Opener, Read, Sealer, reads

BATCH_BYTES = 2**20  # of plain bytes, sealed at a time
PUTS_AT_ONCE = 2  # segments under way to the store: 8 MiB each
READS_AHEAD = 3  # reads under way from the store: 1 MiB each

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Streams:
    """Moves bytes between callers and `Objects`, in threads of its own."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        # Threads wait for a network most of the time; a disk is no faster for many at once.
        count = 8 if objects.folder is not None else 32
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="blobs")

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call a blocking function in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *args)

    async def send(
        self,
        blob_id: UUID,
        sealer: Sealer,
        chunks: AsyncIterable[bytes],
        *,
        limit_bytes: int,
        on_progress: Callable[[], Awaitable[None]],
    ) -> None:
        """Seal the stream to its end and store it.

        When this raises, nothing of it is under way any more, but segments may be in the store.

        Args:
            limit_bytes: the longest stream that is taken.
            on_progress: called after about each megabyte.

        Raises:
            PayloadTooLarge: the stream is longer.
            StorageFull, ContentUnavailable: the store does not take it.
        """
        sending = _Sending(self, blob_id, sealer)
        filling, spare = bytearray(BATCH_BYTES), bytearray(BATCH_BYTES)
        filled = received = 0
        try:
            async for chunk in chunks:
                received += len(chunk)
                if received > limit_bytes:
                    raise PayloadTooLarge(f"Content has at most {limit_bytes} bytes here.")
                rest = memoryview(chunk)
                while rest:
                    if filled == BATCH_BYTES:  # and more follows, so these are not the last
                        await sending.seal(memoryview(filling), is_last=False)
                        filling, spare, filled = spare, filling, 0
                        await on_progress()
                    taken = rest[: BATCH_BYTES - filled]
                    filling[filled : filled + len(taken)] = taken
                    filled += len(taken)
                    rest = rest[len(taken) :]
            await sending.seal(memoryview(filling)[:filled], is_last=True)
            await sending.drain()
        except BaseException:
            await _ended(sending.tasks())
            raise
        await self.run(self.objects.settle, prefix_of(blob_id))

    async def fetch(
        self, blob_id: UUID, opener: Opener, size_bytes: int, start: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield the plain bytes from ``start`` up to ``end``, verified, in pieces of a chunk.

        Raises:
            ContentCorrupted: what is stored is not what was sealed; nothing of it is yielded.
            ContentUnavailable: the store does not answer.
        """
        plan = reads(size_bytes, start, end)
        ahead: deque[asyncio.Future[list[bytes]]] = deque()
        loop = asyncio.get_running_loop()

        def begin(count: int) -> None:
            for read in islice(plan, count):
                ahead.append(
                    loop.run_in_executor(self._pool, _open, self.objects, blob_id, opener, read)
                )

        try:
            begin(READS_AHEAD)
            while ahead:
                pieces = await ahead.popleft()
                begin(1)
                for piece in pieces:
                    yield piece
        finally:
            for future in ahead:
                if not future.cancel():
                    future.exception()  # it was seen: nobody waits for this read any more


class _Sending:
    """The stages of one upload: one batch being sealed, and a few segments being stored."""

    def __init__(self, streams: Streams, blob_id: UUID, sealer: Sealer) -> None:
        self._streams = streams
        self._blob_id = blob_id
        self._sealer = sealer
        self._number = 0
        self._segment = bytearray()
        self._free: list[bytearray] = []  # new memory costs as much as sealing, so it is reused
        self._sealing: asyncio.Task[int] | None = None
        self._puts: deque[asyncio.Task[bytearray]] = deque()

    async def seal(self, plain: memoryview, *, is_last: bool) -> None:
        """Begin to seal a batch, once the one before is sealed and on its way.

        The batch must stay as it is until the next call returns.
        """
        await self._forward(is_last=False)
        if not self._segment:
            self._segment = self._free.pop() if self._free else bytearray(SEALED_SEGMENT_BYTES)
        seal = partial(self._sealer.seal, plain, self._segment, is_last=is_last)
        self._sealing = asyncio.create_task(self._streams.run(seal))

    async def drain(self) -> None:
        """Wait until everything is stored; the last batch is being sealed."""
        await self._forward(is_last=True)
        while self._puts:
            await self._put_ended()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return what is still under way."""
        return [*self._puts, *([self._sealing] if self._sealing else [])]

    async def _forward(self, *, is_last: bool) -> None:
        if self._sealing is None:
            return
        # Shielded: when we are cancelled, the thread goes on, and has to be waited for.
        length = await asyncio.shield(self._sealing)
        self._sealing = None
        if not (is_last or self._sealer.is_segment_full):
            return
        while len(self._puts) >= PUTS_AT_ONCE:
            await self._put_ended()
        put = partial(self._put, self._number, self._segment, length)
        self._puts.append(asyncio.create_task(self._streams.run(put)))
        self._number += 1
        self._segment = bytearray()

    async def _put_ended(self) -> None:
        self._free.append(await asyncio.shield(self._puts[0]))
        self._puts.popleft()

    def _put(self, number: int, segment: bytearray, length: int) -> bytearray:
        with memoryview(segment) as whole:
            self._streams.objects.put(path_of(self._blob_id, number), whole[:length])
        return segment


def _open(objects: Objects, blob_id: UUID, opener: Opener, read: Read) -> list[bytes]:
    # One byte more than there should be: an object that was made longer is not what was sealed.
    end = read.end + read.is_last
    return opener.open(read, objects.get(path_of(blob_id, read.segment), read.start, end))


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for all, whatever comes of them."""
    if tasks:
        done, _ = await asyncio.wait(tasks)
        for task in done:
            if not task.cancelled():
                task.exception()
