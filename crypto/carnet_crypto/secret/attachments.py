"""Files: sealed and opened as they pass, a chunk at a time, in memory that does not grow.

A blob is ``"CRNF" ‖ u8 1 ‖ 3 zero bytes ‖ file id ‖ commitment ‖ stream header ‖ chunks``. What is
sealed is the file, 0x80 and zeros up to its Padmé size, in chunks of 65,536 bytes, each bound to
the file and its place; the last one, and no other, bears TAG_FINAL. The commitment says which key
it is: secretstream alone would open under two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from carnet_crypto import sodium
from carnet_crypto.errors import Malformed, OpenFailed
from carnet_crypto.hashing import derive
from carnet_crypto.labels import Label
from carnet_crypto.padding import MARK, padded_length
from carnet_crypto.secret.content import Manifest
from carnet_crypto.secret.keys import Entropy
from carnet_crypto.values import Digest, FileId, Key
from carnet_crypto.wire import LARGEST, u64

MAGIC = b"CRNF\x01\x00\x00\x00"
CHUNK = 65_536  # bytes of the file, with its padding
SEALED_CHUNK = CHUNK + sodium.CHUNK_OVERHEAD
PREFIX = len(MAGIC) + FileId.SIZE + Digest.SIZE + sodium.STREAM_HEADER  # bytes before the chunks


class Hasher(Protocol):
    """Takes the blob's bytes as they pass; `hashlib.blake2b`, or one that works beside."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all of them."""
        ...


def new_hasher() -> Hasher:
    """Return what digests a blob: BLAKE2b-256, unlabelled, as for any file."""
    return blake2b(digest_size=32)


def sealed_length(length: int) -> int:
    """Return how long the blob of a file of this length is."""
    padded = padded_length(length)
    chunks = -(-padded // CHUNK)
    return PREFIX + padded + chunks * sodium.CHUNK_OVERHEAD


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is said of a file beside its bytes."""

    name: str = field(repr=False)
    mime: str
    created_at: int  # milliseconds since 1970


class Sealer:
    """Seals one file of a length known from the start, under a key of its own.

    ``begin`` is the blob's first bytes; `push` takes the file in pieces of any size and returns
    more of the blob; `finish` returns the rest, and what the message says of the file.
    """

    def __init__(self, length: int, entropy: Entropy, hasher: Hasher | None = None) -> None:
        if not 0 <= length < LARGEST:
            raise Malformed("a file is too long")
        self._length, self._left = length, length
        self._padding = padded_length(length) - length
        self._file, self._key = FileId(entropy(FileId.SIZE)), Key(entropy(32))
        self._header = entropy(sodium.STREAM_HEADER)
        self._stream = sodium.PushStream(self._header, derive(self._key, Label.FILE, self._file))
        self._hasher = hasher or new_hasher()
        self._held = bytearray()
        self._index = 0
        self._chunks = -(-(length + self._padding) // CHUNK)
        self.begin = MAGIC + self._file + _commitment(self._key, self._file, self._header)
        self.begin += self._header
        self._hasher.update(self.begin)

    def push(self, data: bytes) -> bytes:
        """Return what of the blob is ready with these bytes more.

        Raises:
            Malformed: they are more than was said.
        """
        self._left -= len(data)
        if self._left < 0:
            raise Malformed("the file has grown")
        return self._seal(data)

    def finish(self, facts: FileFacts) -> tuple[bytes, Manifest]:
        """Return the blob's last bytes, and what the message says of the file.

        Raises:
            Malformed: fewer bytes came than was said.
        """
        if self._left:
            raise Malformed("the file has shrunk")
        rest = bytearray()
        for piece in _padding(self._padding):
            rest += self._seal(piece)
        manifest = Manifest(
            self._file,
            self._key,
            self._header,
            sealed_length(self._length),
            Digest(self._hasher.digest()),
            self._length,
            facts.name,
            facts.mime,
            facts.created_at,
        )
        return bytes(rest), manifest

    def _seal(self, data: bytes) -> bytes:
        sealed = []
        if self._held:
            missing = CHUNK - len(self._held)
            self._held += data[:missing]
            data = data[missing:]
            if len(self._held) == CHUNK or self._is_last(len(self._held)):
                sealed.append(self._chunk(bytes(self._held)))
                self._held.clear()
        at = 0
        while len(data) - at >= CHUNK or (len(data) > at and self._is_last(len(data) - at)):
            sealed.append(self._chunk(data[at : at + CHUNK]))
            at += CHUNK
        self._held += data[at:]
        whole = b"".join(sealed)
        self._hasher.update(whole)
        return whole

    def _is_last(self, length: int) -> bool:
        """Whether so many bytes are all of the last chunk."""
        size = self._length + self._padding - (self._chunks - 1) * CHUNK
        return self._index == self._chunks - 1 and length == size

    def _chunk(self, data: bytes) -> bytes:
        self._index += 1
        is_final = self._index == self._chunks
        return self._stream.push(data, _place(self._file, self._index - 1), is_final=is_final)


class Opener:
    """Opens one blob as it arrives. Nothing it gives out may be used before `finish` returned.

    Every method raises `OpenFailed` for whatever is wrong.
    """

    def __init__(self, manifest: Manifest, hasher: Hasher | None = None) -> None:
        if manifest.sealed_bytes != sealed_length(manifest.plain_bytes):
            raise OpenFailed
        self._manifest = manifest
        self._hasher = hasher or new_hasher()
        self._held = bytearray()
        self._stream: sodium.PullStream | None = None
        self._left = manifest.plain_bytes
        self._sealed_left = manifest.sealed_bytes
        self._index = 0
        self._is_over = False
        self._has_mark = False

    def push(self, data: bytes) -> bytes:
        """Return what of the file is opened with these bytes more."""
        self._sealed_left -= len(data)
        if self._sealed_left < 0 or self._is_over:
            raise OpenFailed
        self._hasher.update(data)
        self._held += data
        if self._stream is None:
            if len(self._held) < PREFIX:
                return b""
            self._begin()
        opened = []
        while len(self._held) >= SEALED_CHUNK or (self._held and not self._sealed_left):
            opened.append(self._next())
        return b"".join(opened)

    def finish(self) -> None:
        """Check that the file is whole, and the one that the message means."""
        is_whole = self._is_over and not self._left and self._has_mark
        if self._sealed_left or self._held or not is_whole:
            raise OpenFailed
        if not sodium.are_equal(self._hasher.digest(), self._manifest.sealed_digest):
            raise OpenFailed

    def _begin(self) -> None:
        manifest = self._manifest
        start = bytes(self._held[:PREFIX])
        del self._held[:PREFIX]
        committed = _commitment(manifest.key, manifest.file, manifest.stream_header)
        expected = MAGIC + manifest.file + committed + manifest.stream_header
        if not sodium.are_equal(start, expected):
            raise OpenFailed
        self._stream = sodium.PullStream(
            manifest.stream_header, derive(manifest.key, Label.FILE, manifest.file)
        )

    def _next(self) -> bytes:
        if self._stream is None or self._is_over:
            raise OpenFailed
        sealed = bytes(self._held[:SEALED_CHUNK])
        del self._held[:SEALED_CHUNK]
        is_last = not self._held and not self._sealed_left
        chunk, is_final = self._stream.pull(sealed, _place(self._manifest.file, self._index))
        if is_final != is_last or (not is_last and len(chunk) != CHUNK):
            raise OpenFailed
        self._index += 1
        self._is_over = is_final
        taken = min(self._left, len(chunk))
        self._left -= taken
        self._check_padding(chunk[taken:])
        return chunk[:taken]

    def _check_padding(self, padding: bytes) -> None:
        if not padding:
            return
        if not self._has_mark:
            if not padding.startswith(MARK):
                raise OpenFailed
            self._has_mark = True
            padding = padding[1:]
        if any(padding):
            raise OpenFailed


def _commitment(key: Key, file: FileId, header: bytes) -> bytes:
    return derive(key, Label.FILE_COMMITMENT, file + header)


def _place(file: FileId, index: int) -> bytes:
    return Label.CHUNK.prefix + file + u64(index)


def _padding(length: int) -> Iterator[bytes]:
    """Yield 0x80 and zeros, in pieces: the padding of a large file is large too."""
    yield MARK
    left = length - 1
    while left:
        taken = min(left, CHUNK)
        yield bytes(taken)
        left -= taken
