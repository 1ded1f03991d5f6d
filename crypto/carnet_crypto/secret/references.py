"""What messages say of one another: changes, receipts, acknowledgements, and what has to wait.

An edit or a retraction holds for words of its own account only. What is said of a message that has
not come is kept until it comes, so much of each account and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from carnet_crypto.errors import Reason
from carnet_crypto.secret.content import (
    Acknowledgement,
    Attachments,
    Complaint,
    Edit,
    Receipt,
    Retraction,
    System,
    Text,
)
from carnet_crypto.secret.happenings import (
    Acknowledged,
    Complained,
    Edited,
    Erased,
    Happening,
    Read,
    Rejected,
    Retracted,
    Said,
    Shown,
)
from carnet_crypto.secret.header import Kind
from carnet_crypto.secret.messages import Opened
from carnet_crypto.secret.order import DeviceLine, ordered
from carnet_crypto.values import AccountId, DeviceId, MessageId

MOST_WAITING = 100  # of an account: edits and the like whose message has not come, kept at most
_WORDS = (Kind.TEXT, Kind.ATTACHMENTS)


class References:
    """See the module.

    Args:
        shown: the messages of a transcript. Words that are no more are dropped from it.
        lines: what each device has written, as far as it came.
    """

    def __init__(self, shown: dict[MessageId, Shown], lines: Mapping[DeviceId, DeviceLine]) -> None:
        self._shown, self._lines = shown, lines
        self._waiting: dict[MessageId, list[Opened]] = {}
        self._waits_of: dict[AccountId, int] = {}
        self._receipts: dict[DeviceId, Opened] = {}  # for what has not come
        self._edits: dict[MessageId, list[MessageId]] = {}
        self._retracted: set[MessageId] = set()

    def take(self, opened: Opened) -> list[Happening]:
        """Take what a message that is shown now says of others, and what was said of it before."""
        told = self._apply(opened)
        for waiting in self._waiting.pop(opened.id, ()):
            self._waits_of[waiting.header.account] -= 1
            told.extend(self._apply(waiting))
        for receipt in list(self._receipts.values()):
            told.extend(self._apply(receipt))
        return told

    def text(self, id_: MessageId) -> str | None:
        """Return the words of a message as they stand; None where it has none, or no more."""
        shown = self._shown.get(id_)
        if shown is None or not isinstance(shown.content, Text | Attachments):
            return None
        edit = self._last_edit(id_)
        content = shown.content if edit is None else self._shown[edit].content
        return content.text if isinstance(content, Text | Attachments | Edit) else None

    def expire(self, at: int) -> list[Happening]:
        """Drop the words of what its author wanted gone by this time (milliseconds since 1970)."""
        over = [
            shown.id
            for shown in self._shown.values()
            if shown.content is not None and 0 < shown.header.expires_at <= at
        ]
        for id_ in over:
            self.forget(id_)
        return [Erased(id_) for id_ in over]

    def forget(self, id_: MessageId) -> None:
        """Drop the words of a message, and all that they were changed to."""
        for each in (id_, *self._edits.get(id_, ())):
            self._shown[each] = replace(self._shown[each], content=None)

    def _apply(self, opened: Opened) -> list[Happening]:
        account, content = opened.header.account, opened.content
        match content:
            case Edit(message=target) | Retraction(message=target):
                return self._change(opened, target, content)
            case Receipt():
                return self._read(opened, content)
            case Acknowledgement(message=target):
                if target not in self._shown:
                    return self._wait(target, opened)
                return [Acknowledged(account, content, opened.id)]
            case System():
                return [Said(account, content)]
            case Complaint():
                return [Complained(account, content)]
            case _:
                return []

    def _change(
        self, opened: Opened, target: MessageId, content: Edit | Retraction
    ) -> list[Happening]:
        changed = self._shown.get(target)
        if changed is None:
            return self._wait(target, opened)
        is_own = changed.header.account == opened.header.account
        if not is_own or changed.header.kind not in _WORDS:
            number = self._shown[opened.id].number
            return [Rejected(number, opened.id, Reason.NOT_AUTHORIZED)]
        if isinstance(content, Retraction):
            self._retracted.add(target)
            self.forget(target)
            return [Retracted(target, opened.id)]
        edits = self._edits.setdefault(target, [])
        edits.append(opened.id)
        if target in self._retracted:
            self.forget(opened.id)
            return []
        if self._last_edit(target) != opened.id:
            return []
        return [Edited(target, content.text, opened.id)]

    def _last_edit(self, target: MessageId) -> MessageId | None:
        """Return the edit that holds: the last in the order of all, whatever came last."""
        edits = self._edits.get(target, [])
        if len(edits) < 2:
            return edits[0] if edits else None
        places = {shown.id: place for place, shown in enumerate(ordered(self._shown))}
        return max(edits, key=lambda id_: places[id_])

    def _read(self, opened: Opened, receipt: Receipt) -> list[Happening]:
        """Take a receipt once all it is for has come; of what was never sent, never."""
        device = opened.header.device
        waiting = self._receipts.get(device)
        for seen in receipt.seen:
            line = self._lines.get(seen.device)
            if line is None or seen.sequence > line.newest:
                if waiting is None or waiting.header.sequence < opened.header.sequence:
                    self._receipts[device] = opened
                return []
        if waiting is not None and waiting.header.sequence <= opened.header.sequence:
            del self._receipts[device]
        return [Read(opened.header.account, receipt)] if receipt.seen else []

    def _wait(self, target: MessageId, opened: Opened) -> list[Happening]:
        count = self._waits_of.get(opened.header.account, 0)
        if count < MOST_WAITING:
            self._waits_of[opened.header.account] = count + 1
            self._waiting.setdefault(target, []).append(opened)
        return []
