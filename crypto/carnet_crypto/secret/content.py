"""What a message says, by kind. A body is ``u8 1 ‖ u8 kind`` and the fields of its kind.

No repr shows what people wrote, or how they named a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from carnet_crypto.errors import Malformed
from carnet_crypto.secret.header import Kind
from carnet_crypto.values import (
    AccountId,
    DeviceId,
    Digest,
    FileId,
    Key,
    MessageId,
)
from carnet_crypto.wire import Reader, text, u8, u64, vector

VERSION = 1
MOST_TEXT = 48 * 1024  # bytes of UTF-8
MOST_NOTE = 4 * 1024  # bytes of UTF-8
MOST_NAME = 1024  # bytes of UTF-8
MOST_MIME = 256  # bytes
MOST_FILES = 16
MOST_SEEN = 512
NOBODY = AccountId.zero()
STREAM_HEADER = 24  # bytes


class Verdict(IntEnum):
    """What a professional says of something clinical, as an act of their own."""

    TAKEN_NOTE = 1
    AGREED = 2
    DISAGREED = 3


class RetractionReason(IntEnum):
    """Why something is taken back."""

    MISTAKE = 1
    WRONG_RECIPIENT = 2
    EXPIRED = 3


class SystemCode(IntEnum):
    """What a client says by itself, in its user's name."""

    HANDOVER = 1
    EMERGENCY_ACCESS = 2
    SUBSTITUTE = 3


class ComplaintAbout(IntEnum):
    """What did not hold."""

    WRAP = 1
    ATTACHMENT = 2
    FORK = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file: where it is, its key, and what it must turn out to be."""

    file: FileId
    key: Key
    stream_header: bytes
    sealed_bytes: int
    sealed_digest: Digest  # BLAKE2b-256 of the whole blob
    plain_bytes: int
    name: str = field(repr=False)
    mime: str
    created_at: int  # milliseconds since 1970

    def encode(self) -> bytes:
        """Return its bytes."""
        return (
            self.file
            + self.key
            + self.stream_header
            + u64(self.sealed_bytes)
            + self.sealed_digest
            + u64(self.plain_bytes)
            + text(self.name)
            + text(self.mime)
            + u64(self.created_at)
        )

    @staticmethod
    def read(reader: Reader) -> Manifest:
        """Read one."""
        return Manifest(
            reader.fixed(FileId),
            reader.fixed(Key),
            reader.take(STREAM_HEADER),
            reader.u64(),
            reader.fixed(Digest),
            reader.u64(),
            reader.text(MOST_NAME),
            reader.text(MOST_MIME),
            reader.u64(),
        )


@dataclass(frozen=True, slots=True)
class Text:
    """Words; ``on_behalf_of`` is the account that the author writes for, zero for their own."""

    KIND: ClassVar[Kind] = Kind.TEXT
    text: str = field(repr=False)
    on_behalf_of: AccountId = NOBODY

    def encode(self) -> bytes:
        """Return the fields."""
        return self.on_behalf_of + text(self.text)

    @staticmethod
    def read(reader: Reader) -> Text:
        """Read the fields."""
        on_behalf_of = reader.fixed(AccountId)
        return Text(reader.text(MOST_TEXT), on_behalf_of)


@dataclass(frozen=True, slots=True)
class Attachments:
    """Words with files."""

    KIND: ClassVar[Kind] = Kind.ATTACHMENTS
    text: str = field(repr=False)
    files: tuple[Manifest, ...]
    on_behalf_of: AccountId = NOBODY

    def encode(self) -> bytes:
        """Return the fields."""
        files = vector(file.encode() for file in self.files)
        return self.on_behalf_of + text(self.text) + files

    @staticmethod
    def read(reader: Reader) -> Attachments:
        """Read the fields."""
        on_behalf_of = reader.fixed(AccountId)
        words = reader.text(MOST_TEXT)
        files = tuple(reader.vector(Manifest.read, MOST_FILES))
        if not files or len({file.file for file in files}) != len(files):
            raise Malformed("files are there, and each once")
        return Attachments(words, files, on_behalf_of)


@dataclass(frozen=True, slots=True)
class Seen:
    """Up to where everything of a device has been read."""

    device: DeviceId
    sequence: int

    def encode(self) -> bytes:
        """Return its bytes."""
        return self.device + u64(self.sequence)

    @staticmethod
    def read(reader: Reader) -> Seen:
        """Read one."""
        return Seen(reader.fixed(DeviceId), reader.u64())


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the author's client has read. With none it only says that the thread's heads stand."""

    KIND: ClassVar[Kind] = Kind.RECEIPT
    seen: tuple[Seen, ...]

    def encode(self) -> bytes:
        """Return the fields."""
        return vector(seen.encode() for seen in self.seen)

    @staticmethod
    def read(reader: Reader) -> Receipt:
        """Read the fields."""
        return Receipt(tuple(reader.vector(Seen.read, MOST_SEEN)))


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A professional's explicit word on a message; signed, and not to be denied."""

    KIND: ClassVar[Kind] = Kind.ACKNOWLEDGEMENT
    message: MessageId
    verdict: Verdict
    note: str = field(repr=False)

    def encode(self) -> bytes:
        """Return the fields."""
        return self.message + u8(self.verdict) + text(self.note)

    @staticmethod
    def read(reader: Reader) -> Acknowledgement:
        """Read the fields."""
        message = reader.fixed(MessageId)
        return Acknowledgement(message, reader.enum(Verdict), reader.text(MOST_NOTE))


@dataclass(frozen=True, slots=True)
class Edit:
    """Other words for a message of the same account."""

    KIND: ClassVar[Kind] = Kind.EDIT
    message: MessageId
    text: str = field(repr=False)

    def encode(self) -> bytes:
        """Return the fields."""
        return self.message + text(self.text)

    @staticmethod
    def read(reader: Reader) -> Edit:
        """Read the fields."""
        message = reader.fixed(MessageId)
        return Edit(message, reader.text(MOST_TEXT))


@dataclass(frozen=True, slots=True)
class Retraction:
    """A message of the same account is taken back."""

    KIND: ClassVar[Kind] = Kind.RETRACTION
    message: MessageId
    reason: RetractionReason

    def encode(self) -> bytes:
        """Return the fields."""
        return self.message + u8(self.reason)

    @staticmethod
    def read(reader: Reader) -> Retraction:
        """Read the fields."""
        message = reader.fixed(MessageId)
        return Retraction(message, reader.enum(RetractionReason))


@dataclass(frozen=True, slots=True)
class System:
    """What a client says by itself: a handover, an emergency access."""

    KIND: ClassVar[Kind] = Kind.SYSTEM
    code: SystemCode
    about: AccountId
    note: str = field(repr=False)

    def encode(self) -> bytes:
        """Return the fields."""
        return u8(self.code) + self.about + text(self.note)

    @staticmethod
    def read(reader: Reader) -> System:
        """Read the fields."""
        code, about = reader.enum(SystemCode), reader.fixed(AccountId)
        return System(code, about, reader.text(MOST_NOTE))


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that another member signed did not hold; all see it."""

    KIND: ClassVar[Kind] = Kind.COMPLAINT
    about: ComplaintAbout
    reference: Digest  # of the entry, or the message's id

    def encode(self) -> bytes:
        """Return the fields."""
        return u8(self.about) + self.reference

    @staticmethod
    def read(reader: Reader) -> Complaint:
        """Read the fields."""
        about = reader.enum(ComplaintAbout)
        return Complaint(about, reader.fixed(Digest))


Content = Text | Attachments | Receipt | Acknowledgement | Edit | Retraction | System | Complaint

_READERS = {
    content.KIND: content.read
    for content in (
        Text,
        Attachments,
        Receipt,
        Acknowledgement,
        Edit,
        Retraction,
        System,
        Complaint,
    )
}


def encode_content(content: Content) -> bytes:
    """Return a body's bytes, before its padding."""
    return u8(VERSION) + u8(content.KIND) + content.encode()


def read_content(data: bytes, kind: Kind) -> Content:
    """Read a body of the kind that its header names.

    Raises:
        Malformed: it is none, or of another kind.
    """
    reader = Reader(data)
    if reader.u8() != VERSION or reader.enum(Kind) is not kind:
        raise Malformed("it is something else, or of another version")
    content: Content = _READERS[kind](reader)
    reader.end()
    return content
