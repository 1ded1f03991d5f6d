"""A ZIP file as a stream: its bytes are given away as they are made, and nothing is kept of them.

The standard library writes it. Sizes and checksums follow each content, as the format has it for
streams (APPNOTE 4.3.9), and 64-bit fields are used where a content or the whole needs them.
Contents that are compressed already are deflated at level 0 instead of «stored»: readers that do
not seek find the end of a deflated content, and not that of a stored one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from io import BytesIO
from typing import IO, Any, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

BATCH_BYTES = 2**20  # compressed at a time, in a thread
UNIX = 3  # APPNOTE 4.4.2: what the mode below belongs to
MODE = 0o100644 << 16  # an ordinary file that its owner may change
FIRST_DAY, LAST_DAY = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)  # of the format


class _Outlet:
    """What the ZIP is written to: it cannot be sought, and forgets what was taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is there."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class ZipStream:
    """One ZIP file in the making. Leave it with `contextlib.closing`."""

    def __init__(self) -> None:
        self._outlet = _Outlet()
        self._zip = ZipFile(cast("IO[bytes]", self._outlet), "w", ZIP_DEFLATED, allowZip64=True)
        self._file: IO[bytes] = BytesIO()  # the one being added

    async def add(
        self,
        name: str,
        content: AsyncGenerator[bytes, None],
        at: datetime,
        *,
        size_bytes: int = 0,
        is_compressed: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Add a file and yield the bytes that the ZIP has grown by.

        One file is added at a time, to its end.

        Args:
            name: its path in the ZIP; no other file has it.
            content: its bytes; closed in any case.
            at: its time.
            size_bytes: as far as known beforehand; from 2 GiB on it decides on 64-bit fields.
            is_compressed: False where compressing would gain nothing.
        """
        info = ZipInfo(name, min(max(at.astimezone(UTC).timetuple()[:6], FIRST_DAY), LAST_DAY))
        info.compress_type = ZIP_DEFLATED
        info.create_system = UNIX
        info.external_attr = MODE
        info.file_size = size_bytes
        if not is_compressed:
            cast(Any, info)._compresslevel = 0  # has no public name before Python 3.13
        batch = bytearray()
        async with aclosing(content):
            with self._zip.open(info, "w") as self._file:
                async for piece in content:
                    batch += piece
                    if len(batch) >= BATCH_BYTES:
                        yield await asyncio.to_thread(self._write, bytes(batch))
                        batch.clear()
                self._file.write(batch)
        yield self._outlet.take()

    def end(self) -> bytes:
        """Return the list of files with which a ZIP ends."""
        self._zip.close()
        return self._outlet.take()

    def close(self) -> None:
        """Let it go, finished or not."""
        self._file.close()
        self._zip.close()

    def _write(self, batch: bytes) -> bytes:
        self._file.write(batch)
        return self._outlet.take()
