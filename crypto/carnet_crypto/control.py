"""The entries of a thread's control log: who is in it, and under which keys.

An entry is ``"CRNC" ‖ u8 1 ‖ u8 type ‖ thread id ‖ u32 number ‖ link ‖ author's account ‖ device ‖
u32 number of the author's chain ‖ u64 checkpoint size ‖ checkpoint root ‖ u64 time ‖ opaque body ‖
signature``. CREATE bears a zero id, number and link; the thread's id is its digest. Here is what
entries look like; what they say is in `carnet_crypto.control_bodies`, and what they may say after
one another in `carnet_crypto.thread`.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.control_bodies import ControlBody, ControlType, read_body
from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.rotation import Rotation
from carnet_crypto.values import AccountId, DeviceId, Digest, Signature, ThreadId
from carnet_crypto.wire import Reader, opaque, u8, u32, u64

MAGIC = b"CRNC\x01"
MOST_ENTRY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """An entry as it was received: ``data`` is what is hashed and verified, never made anew."""

    data: bytes
    thread: ThreadId  # zero in CREATE
    number: int
    link: Digest
    author: AccountId
    device: DeviceId
    chain_number: int  # of the author's chain, as the author knew it
    checkpoint_size: int
    checkpoint_root: Digest
    at: int  # milliseconds since 1970
    body: ControlBody
    signature: Signature

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.data[: -Signature.SIZE]

    @property
    def digest(self) -> Digest:
        """What the next entry links to, and what messages name as the log's head."""
        return digest(Label.CONTROL_ENTRY, self.data)

    @property
    def rotation(self) -> Rotation | None:
        """The epoch that begins with this entry."""
        return getattr(self.body, "rotation", None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands, and who wrote it knowing what."""

    thread: ThreadId
    number: int
    link: Digest
    author: AccountId
    device: DeviceId
    chain_number: int
    checkpoint_size: int
    checkpoint_root: Digest
    at: int


def unsigned_control(place: Place, body: ControlBody) -> bytes:
    """Return an entry up to its signature."""
    return (
        MAGIC
        + u8(body.TYPE)
        + place.thread
        + u32(place.number)
        + place.link
        + place.author
        + place.device
        + u32(place.chain_number)
        + u64(place.checkpoint_size)
        + place.checkpoint_root
        + u64(place.at)
        + opaque(body.encode())
    )


def read_control(data: bytes) -> ControlEntry:
    """Read an entry. Nothing is verified yet.

    Raises:
        Malformed: it is none, or not in its one form.
    """
    if len(data) > MOST_ENTRY_BYTES:
        raise Malformed("an entry is too long")
    reader = Reader(data)
    reader.magic(MAGIC)
    kind = reader.enum(ControlType)
    thread, number, link = reader.fixed(ThreadId), reader.u32(), reader.fixed(Digest)
    author, device, chain_number = reader.fixed(AccountId), reader.fixed(DeviceId), reader.u32()
    size, root, at = reader.u64(), reader.fixed(Digest), reader.u64()
    inner = Reader(reader.opaque(MOST_ENTRY_BYTES))
    body = read_body(kind, inner)
    inner.end()
    signature = reader.fixed(Signature)
    reader.end()
    return ControlEntry(
        data, thread, number, link, author, device, chain_number, size, root, at, body, signature
    )


def thread_id(create: bytes) -> ThreadId:
    """Return the id of the thread that a CREATE entry makes."""
    return ThreadId(digest(Label.THREAD, create))


def thread_context(creator: AccountId, nonce: bytes) -> Digest:
    """Return what a thread's epochs are bound to.

    It is not the thread's id, for that is the digest of an entry that holds a commitment already.
    """
    return digest(Label.THREAD_CONTEXT, creator, nonce)
