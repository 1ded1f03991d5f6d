"""What only members see of a message beside its body: who wrote it, and after what.

``u8 1 ‖ account ‖ device ‖ u64 sequence ‖ previous own message ‖ control head ‖ u8 count ‖ heads ‖
u64 checkpoint size ‖ checkpoint root ‖ u64 time ‖ u8 kind ‖ u64 expiry ‖ body's digest ‖
signature``, padded to 512 bytes. The signature is over the envelope's prefix too, so a member
cannot move what another wrote to another thread, epoch or key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from carnet_crypto.envelope import HEADER_BYTES
from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad_to, strip
from carnet_crypto.values import AccountId, DeviceId, Digest, MessageId, Signature
from carnet_crypto.wire import LARGEST, Reader, check_ascending

VERSION = 1
MOST_HEADS = 4
_START = Struct(">B32s16sQ32s32sB")  # up to the heads
_END = Struct(">Q32sQBQ32s")  # from the heads to the signature


class Kind(IntEnum):
    """What a message is."""

    TEXT = 1
    ATTACHMENTS = 2
    RECEIPT = 3
    ACKNOWLEDGEMENT = 4
    EDIT = 5
    RETRACTION = 6
    SYSTEM = 7
    COMPLAINT = 8


@dataclass(frozen=True, slots=True)
class Header:
    """A message's header; ``signature`` is over the envelope's prefix and `unsigned`."""

    account: AccountId
    device: DeviceId
    sequence: int  # of the device in the thread, from 1, each one more
    previous: MessageId  # the device's message before; zero for the first
    control_head: Digest  # the newest entry of the control log that the author knew
    heads: tuple[MessageId, ...]  # messages that the author had seen and nobody had answered
    checkpoint_size: int
    checkpoint_root: Digest
    sent_at: int  # milliseconds since 1970; never orders anything
    kind: Kind
    expires_at: int  # milliseconds since 1970, or 0 for never
    body: Digest  # of the body's salt and what is sealed
    signature: Signature

    @property
    def unsigned(self) -> bytes:
        """The header up to its signature, encoded anew each time."""
        if max(self.sequence, self.checkpoint_size, self.sent_at, self.expires_at) > LARGEST:
            raise Malformed("a number is too large")
        start = _START.pack(
            VERSION,
            self.account,
            self.device,
            self.sequence,
            self.previous,
            self.control_head,
            len(self.heads),
        )
        end = _END.pack(
            self.checkpoint_size,
            self.checkpoint_root,
            self.sent_at,
            self.kind,
            self.expires_at,
            self.body,
        )
        return b"".join((start, *self.heads, end))


def sealed_header(unsigned: bytes, signature: Signature) -> bytes:
    """Return a header as it is sealed: signed and padded."""
    return pad_to(unsigned + signature, HEADER_BYTES)


def message_id(prefix: bytes, unsigned: bytes, signature: Signature) -> MessageId:
    """Return a message's id: of the envelope's prefix and the header, so it outlives the body."""
    return MessageId(digest(Label.MESSAGE_ID, prefix, unsigned, signature))


def read_header(data: bytes) -> tuple[Header, bytes]:
    """Read a padded header; return it, and the bytes that its signature is over.

    Raises:
        Malformed: it is none.
    """
    if len(data) != HEADER_BYTES:
        raise Malformed("a header has one length")
    reader = Reader(strip(data))
    if reader.u8() != VERSION:
        raise Malformed("it is something else, or of another version")
    account, device = reader.fixed(AccountId), reader.fixed(DeviceId)
    sequence, previous = reader.u64(), reader.fixed(MessageId)
    control_head = reader.fixed(Digest)
    count = reader.u8()
    if count > MOST_HEADS:
        raise Malformed("a list is too long")
    heads = tuple(reader.fixed(MessageId) for _ in range(count))
    check_ascending(heads)
    size, root, sent_at = reader.u64(), reader.fixed(Digest), reader.u64()
    kind, expires_at, body = reader.enum(Kind), reader.u64(), reader.fixed(Digest)
    end = reader.at
    signature = reader.fixed(Signature)
    reader.end()
    if sequence < 1 or previous.is_zero != (sequence == 1):
        raise Malformed("only the first message has none before it")
    header = Header(
        account,
        device,
        sequence,
        previous,
        control_head,
        heads,
        size,
        root,
        sent_at,
        kind,
        expires_at,
        body,
        signature,
    )
    return header, data[:end]
