"""What everybody sees of a message: an envelope's outer layout. Nothing here opens one.

``"CRN1" ‖ u8 type 1 ‖ u8 suite 1 ‖ u16 flags 0 ‖ thread id ‖ u32 epoch ‖ salt ‖ commitment ‖
opaque sealed header (528 bytes) ‖ u32 length ‖ [body salt ‖ sealed body]``. The length of the last
part is 0 once the body has been erased; the rest stays, and stays verifiable.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import padded_length
from carnet_crypto.values import Digest, Salt, ThreadId
from carnet_crypto.wire import Reader, opaque, u8, u16, u32

MAGIC = b"CRN1"
TYPE_MESSAGE = 1
SUITE = 1
PREFIX_BYTES = 108
KEYED_BYTES = 76  # of the prefix, before the commitment
HEADER_BYTES = 512
SEALED_HEADER_BYTES = HEADER_BYTES + 16
LEAST_BODY = 256  # bytes, padded
MOST_BODY = 64 * 1024  # bytes, padded: what is longer is an attachment
SALT_AND_TAG = Salt.SIZE + 16
MOST_ENVELOPE_BYTES = PREFIX_BYTES + 4 + SEALED_HEADER_BYTES + 4 + SALT_AND_TAG + MOST_BODY


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as it was received."""

    data: bytes
    suite: int
    thread: ThreadId
    epoch: int
    salt: Salt
    commitment: Digest
    sealed_header: bytes
    body: bytes  # its salt and what is sealed; empty once erased

    @property
    def prefix(self) -> bytes:
        """What all keys, both sealed parts and the signature are bound to."""
        return self.data[:PREFIX_BYTES]

    @property
    def keyed(self) -> bytes:
        """What the message's key is derived from, beside the epoch's secret."""
        return self.data[8:KEYED_BYTES]

    @property
    def is_erased(self) -> bool:
        """Whether its body is gone."""
        return not self.body

    @property
    def name(self) -> Digest:
        """How a relay names the envelope: the same before and after its body is erased."""
        return digest(Label.ENVELOPE, self.prefix, self.sealed_header)

    def erased(self) -> bytes:
        """Return the envelope without its body."""
        return self.prefix + opaque(self.sealed_header) + u32(0)


def prefix(thread: ThreadId, epoch: int, salt: Salt) -> bytes:
    """Return the beginning of an envelope, up to its commitment."""
    return MAGIC + u8(TYPE_MESSAGE) + u8(SUITE) + u16(0) + thread + u32(epoch) + salt


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope. Nothing is opened or verified.

    Raises:
        Malformed: it is none, of another version, or not of a length that a message has.
    """
    if len(data) > MOST_ENVELOPE_BYTES:
        raise Malformed("a message is too long")
    reader = Reader(data)
    reader.magic(MAGIC)
    kind, suite, flags = reader.u8(), reader.u8(), reader.u16()
    if kind != TYPE_MESSAGE or suite != SUITE or flags:
        raise Malformed("it is something else, or of another version")
    thread, epoch = reader.fixed(ThreadId), reader.u32()
    salt, commitment = reader.fixed(Salt), reader.fixed(Digest)
    sealed_header = reader.opaque(SEALED_HEADER_BYTES)
    body = reader.opaque(SALT_AND_TAG + MOST_BODY)
    reader.end()
    if len(sealed_header) != SEALED_HEADER_BYTES or epoch < 1:
        raise Malformed("it is something else, or of another version")
    if body and not _is_body_length(len(body) - SALT_AND_TAG):
        raise Malformed("the padding is not canonical")
    return Envelope(data, suite, thread, epoch, salt, commitment, sealed_header, body)


def _is_body_length(length: int) -> bool:
    """Whether bodies are padded to this length."""
    return length >= LEAST_BODY and padded_length(length - 1, LEAST_BODY) == length
