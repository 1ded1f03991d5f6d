"""How a blob's bytes are encrypted at rest, and where each byte of it lies. Pure: no input, output.

The construction is STREAM, as age has it: the plain bytes are cut into chunks, and each chunk is
sealed under the blob's own key with the nonce ``counter (11 bytes, big-endian) ‖ is last (1
byte)``. The key is random and used for this one blob, so no nonce ever repeats. The associated
data of each chunk is the header and the blob's id. So a chunk that was altered, moved, left out,
added or taken from another blob does not open, and neither does one that was cut off the end.

The AEAD is ChaCha20-Poly1305: constant in time on every processor, while AES-GCM is so only where
the processor has instructions for it. It seals and opens 1,900 MB/s per core where AES-256-GCM
does 2,200 to 3,500; SHA-256, which every upload needs, does 1,500, so the gain would be small.

Sealed chunks are grouped into *segments*, each stored as one object, beginning with the header.
Object stores keep the parts of an upload that was killed, hidden and paid for, until somebody
aborts it; a segment is a whole object from the start, so whatever is left over can be found.

It does not hide how long the content is, nor that somebody put an older object of the same blob
back: there is none, for a blob's bytes never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from carnet.errors import ContentCorrupted

HEADER = b"carnet\x00\x01"  # the last two bytes are the version, which fixes all sizes below
KEY_BYTES = 32
TAG_BYTES = 16
# Every size from 64 KiB to 1 MiB seals as fast; this one wastes little when a range is read.
CHUNK_BYTES = 256 * 1024
CHUNKS_PER_SEGMENT = 32
SEGMENT_BYTES = CHUNKS_PER_SEGMENT * CHUNK_BYTES  # of plain bytes: 8 MiB
CHUNKS_PER_READ = 4  # 1 MiB: long enough to be fast, short enough to hold a few in memory

_SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
SEALED_SEGMENT_BYTES = len(HEADER) + CHUNKS_PER_SEGMENT * _SEALED_CHUNK_BYTES


class Sealer:
    """Counts, hashes and seals a stream, chunk by chunk, into buffers that its user keeps."""

    def __init__(self, key: bytes, blob_id: UUID) -> None:
        self.size_bytes = 0
        self._hash = sha256()
        self._aead = ChaCha20Poly1305(key)
        self._associated = HEADER + blob_id.bytes
        self._next = 0
        self._is_done = False

    def seal(self, plain: memoryview, segment: bytearray, *, is_last: bool) -> int:
        """Seal the next bytes into their place in the segment's buffer.

        A megabyte takes about a millisecond, without the interpreter's lock: call it in a thread.

        Args:
            plain: whole chunks, which must fit into the segment; the last bytes of all may be
                any number, and must be sealed as such, even if they are none.
            segment: of `SEALED_SEGMENT_BYTES`, or just long enough; reused, it costs no memory.

        Returns:
            How long the segment is by now; `is_segment_full` tells that it is whole.
        """
        if self._is_done or (not is_last and len(plain) % CHUNK_BYTES):
            raise ValueError("only the last bytes may be no whole chunks")
        self._is_done = is_last
        self.size_bytes += len(plain)
        self._hash.update(plain)
        place = self._next % CHUNKS_PER_SEGMENT
        at = len(HEADER) + place * _SEALED_CHUNK_BYTES
        if not place:
            segment[: len(HEADER)] = HEADER
        with memoryview(segment) as target:
            count = chunk_count(len(plain)) if len(plain) or is_last else 0
            for index in range(count):
                chunk = plain[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
                nonce = _nonce(self._next, is_last=is_last and index == count - 1)
                until = at + len(chunk) + TAG_BYTES
                self._aead.encrypt_into(nonce, chunk, self._associated, target[at:until])
                self._next += 1
                at = until
        return at

    @property
    def is_segment_full(self) -> bool:
        """Whether what follows belongs into another segment."""
        return self._next > 0 and self._next % CHUNKS_PER_SEGMENT == 0

    def sha256(self) -> bytes:
        """Return the SHA-256 of the plain bytes so far."""
        return self._hash.digest()


def seal_whole(sealer: Sealer, data: bytes) -> Iterator[bytearray]:
    """Yield the segments of content that is all there."""
    count = segment_count(len(data))
    with memoryview(data) as view:
        for index in range(count):
            plain = view[index * SEGMENT_BYTES : (index + 1) * SEGMENT_BYTES]
            segment = bytearray(sealed_size(len(plain)))
            sealer.seal(plain, segment, is_last=index == count - 1)
            yield segment


@dataclass(frozen=True, slots=True)
class Read:
    """One run of chunks inside one segment, and what of it was asked for.

    ``start`` and ``end`` are bytes of the segment's object; ``skip`` and ``take`` are plain bytes
    of the run. ``is_last`` tells that the content ends with it.
    """

    segment: int
    start: int
    end: int
    first_chunk: int
    chunk_count: int
    skip: int
    take: int
    is_last: bool

    @property
    def has_header(self) -> bool:
        """Whether the run begins with the segment's header."""
        return self.start == 0


class Opener:
    """Opens what a `Sealer` sealed, in any order."""

    def __init__(self, key: bytes, blob_id: UUID, size_bytes: int) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._associated = HEADER + blob_id.bytes
        self._last = chunk_count(size_bytes) - 1

    def open(self, read: Read, sealed: memoryview) -> list[bytes]:
        """Return the plain bytes that the read asked for, in pieces of a chunk or less.

        Raises:
            ContentCorrupted: they are not the bytes that were sealed here; none is given out.
        """
        if len(sealed) != read.end - read.start:
            raise ContentCorrupted()
        at = 0
        if read.has_header:
            at = len(HEADER)
            if sealed[:at] != HEADER:
                raise ContentCorrupted()
        plain: list[bytes] = []
        skip, left = read.skip, read.take
        for index in range(read.first_chunk, read.first_chunk + read.chunk_count):
            nonce = _nonce(index, is_last=index == self._last)
            try:
                chunk = self._aead.decrypt(
                    nonce, sealed[at : at + _SEALED_CHUNK_BYTES], self._associated
                )
            except InvalidTag:
                raise ContentCorrupted() from None
            at += _SEALED_CHUNK_BYTES
            piece = chunk[skip : skip + left]
            skip, left = 0, left - len(piece)
            plain.append(piece)
        return plain


def chunk_count(size_bytes: int) -> int:
    """Return how many chunks content of this size has; empty content has one, to be verified."""
    return max(1, -(-size_bytes // CHUNK_BYTES))


def segment_count(size_bytes: int) -> int:
    """Return how many segments content of this size has."""
    return max(1, -(-size_bytes // SEGMENT_BYTES))


def sealed_size(size_bytes: int) -> int:
    """Return the size of all segments together of content of this size, in bytes."""
    return (
        size_bytes + chunk_count(size_bytes) * TAG_BYTES + segment_count(size_bytes) * len(HEADER)
    )


def reads(size_bytes: int, start: int, end: int) -> Iterator[Read]:
    """Yield the reads that give the plain bytes from ``start`` up to ``end``, in order.

    Args:
        size_bytes: of the whole content.
        start: the first byte, counted from 0.
        end: the byte after the last, at most ``size_bytes``.
    """
    chunks = chunk_count(size_bytes)
    index = min(start // CHUNK_BYTES, chunks - 1)
    stop = min(-(-end // CHUNK_BYTES), chunks) if end > start else index + 1
    while index < stop:
        segment, place = divmod(index, CHUNKS_PER_SEGMENT)
        run = min(CHUNKS_PER_READ, CHUNKS_PER_SEGMENT - place, stop - index)
        run_start = index * CHUNK_BYTES
        run_end = min(run_start + run * CHUNK_BYTES, size_bytes)
        offset = len(HEADER) + place * _SEALED_CHUNK_BYTES
        skip = max(start - run_start, 0)
        yield Read(
            segment=segment,
            start=offset if place else 0,
            end=offset + (run_end - run_start) + run * TAG_BYTES,
            first_chunk=index,
            chunk_count=run,
            skip=skip,
            take=max(min(end, run_end) - run_start - skip, 0),
            is_last=index + run == chunks,
        )
        index += run


def _nonce(index: int, *, is_last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([is_last])
