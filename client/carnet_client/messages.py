"""Messages as they are shown: verified, in everybody's order, with what became of them since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from carnet_crypto.secret.content import Acknowledgement, Attachments, Manifest, Text, Verdict
from carnet_crypto.secret.happenings import Shown
from carnet_crypto.secret.header import Kind
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.values import AccountId, DeviceId, MessageId, ThreadId

WORDS = (Kind.TEXT, Kind.ATTACHMENTS)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of somebody, with its words and files. Its repr shows none of them."""

    thread: ThreadId
    id: MessageId
    number: int  # the relay's
    author: AccountId
    device: DeviceId
    sent_at: int  # milliseconds since 1970, by the author's clock
    text: str | None = field(repr=False)  # None once it was taken back, erased or has expired
    files: tuple[Manifest, ...] = field(default=(), repr=False)
    expires_at: int = 0  # milliseconds since 1970, or 0 for never
    is_edited: bool = False
    is_retracted: bool = False
    missing: int = 0  # messages of the same device that should have come before
    missing_heads: int = 0  # messages that the author had seen, and we have not
    read_by: frozenset[AccountId] = frozenset()
    acknowledged: tuple[tuple[AccountId, Verdict, str], ...] = field(default=(), repr=False)

    @property
    def is_gone(self) -> bool:
        """Whether it has no words any more."""
        return self.text is None


@dataclass
class Marks:
    """What later messages said of earlier ones."""

    edited: set[MessageId] = field(default_factory=set)
    retracted: set[MessageId] = field(default_factory=set)
    seen: dict[AccountId, dict[DeviceId, int]] = field(default_factory=dict)
    acknowledged: dict[MessageId, list[tuple[AccountId, Acknowledgement]]] = field(
        default_factory=dict
    )

    def read(self, account: AccountId, seen: Mapping[DeviceId, int]) -> None:
        """Take note of what somebody has read; never back."""
        known = self.seen.setdefault(account, {})
        for device, number in seen.items():
            known[device] = max(number, known.get(device, 0))

    def read_by(self, shown: Shown) -> frozenset[AccountId]:
        """Return who has said that they read a message."""
        header = shown.header
        return frozenset(
            account
            for account, seen in self.seen.items()
            if account != header.account and seen.get(header.device, 0) >= header.sequence
        )


def messages_of(view: Transcript, thread: ThreadId, marks: Marks) -> list[Message]:
    """Return what a thread says, in its order."""
    return [
        _message(view, thread, marks, shown)
        for shown in view.in_order()
        if shown.header.kind in WORDS
    ]


def _message(view: Transcript, thread: ThreadId, marks: Marks, shown: Shown) -> Message:
    header, content = shown.header, shown.content
    is_retracted = shown.id in marks.retracted
    is_there = isinstance(content, Text | Attachments) and not is_retracted
    return Message(
        thread=thread,
        id=shown.id,
        number=shown.number,
        author=header.account,
        device=header.device,
        sent_at=header.sent_at,
        text=view.text(shown.id) if is_there else None,
        files=content.files if isinstance(content, Attachments) and is_there else (),
        expires_at=header.expires_at,
        is_edited=shown.id in marks.edited,
        is_retracted=is_retracted,
        missing=shown.missing,
        missing_heads=shown.missing_heads,
        read_by=marks.read_by(shown),
        acknowledged=tuple(
            (account, each.verdict, each.note)
            for account, each in marks.acknowledged.get(shown.id, ())
        ),
    )
