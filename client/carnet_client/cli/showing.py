"""How messages are printed. What others wrote reaches no terminal as control characters."""

from __future__ import annotations

from datetime import datetime
from unicodedata import category

from carnet_client.conversation import Conversation
from carnet_client.messages import Message
from carnet_client.messenger import Messenger
from carnet_crypto.secret.filenames import safe_name

_VERDICTS = {1: "noted it", 2: "agreed", 3: "disagreed"}


def plain(text: str) -> str:
    """Return text without what could move the cursor, or turn the direction of reading."""
    return "".join(
        c if c in "\n\t" or not category(c).startswith("C") else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def when(milliseconds: int) -> str:
    """Return a moment in local time, to the minute."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):
        return "????-??-?? ??:??"  # an author's clock is an author's word


def words_of(message: Message) -> str:
    """Return what a message says, or what became of it."""
    if message.is_retracted:
        return "(taken back)"
    if message.text is None:
        return "(erased)"
    edited = " (edited)" if message.is_edited else ""
    return plain(message.text) + edited


def size_of(number: int) -> str:
    """Return a size for people."""
    size = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{number} B"


def marks_of(messenger: Messenger, conversation: Conversation, message: Message) -> list[str]:
    """Return what stands below a message: gaps, readers, verdicts."""
    found = []
    if message.missing or message.missing_heads:
        found.append("! messages are missing before this one")
    if message.expires_at:
        found.append(f"until {when(message.expires_at)}")
    readers = [messenger.name(r) for r in message.read_by if r != conversation.account]
    if message.author == conversation.account and readers:
        found.append("read by " + ", ".join(plain(name) for name in sorted(readers)))
    for account, verdict, note in message.acknowledged:
        who = "you" if account == conversation.account else plain(messenger.name(account))
        said = f"{who} {_VERDICTS[verdict]}"
        found.append(f"{said}: {plain(note)}" if note else said)
    return found


def author_of(messenger: Messenger, conversation: Conversation, message: Message) -> str:
    """Return who wrote a message."""
    if message.author == conversation.account:
        return "you"
    return plain(messenger.name(message.author))


def lines_of(messenger: Messenger, conversation: Conversation, message: Message) -> list[str]:
    """Return a message as lines."""
    author = author_of(messenger, conversation, message)
    head = f"#{message.number} {when(message.sent_at)} {author}:"
    lines = [head, *(f"    {line}" for line in words_of(message).splitlines())]
    for index, file in enumerate(message.files, 1):
        name = safe_name(file.name)
        lines.append(f"    [{index}] {name} ({size_of(file.plain_bytes)})")
    return [*lines, *(f"    {mark}" for mark in marks_of(messenger, conversation, message))]
