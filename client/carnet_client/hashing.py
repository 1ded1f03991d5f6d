"""Digesting a file in a thread of its own, while its next chunk is sealed or opened."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from types import TracebackType
from typing import Self

MOST_WAITING = 8  # pieces not yet digested, at most


class ThreadedHasher:
    """BLAKE2b-256 beside other work: `hashlib` lets go of the interpreter for large pieces.

    Used as a context manager; nothing is digested after it is left.
    """

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=32)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def update(self, data: bytes, /) -> None:
        """Take the next bytes; wait where too many are under way."""
        if not data:
            return
        self._waiting.append(self._pool.submit(self._hash.update, data))
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._hash.digest()
