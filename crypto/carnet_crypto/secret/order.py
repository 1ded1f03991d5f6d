"""In which order messages are, and what of a device is missing: the same for everybody."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from carnet_crypto.secret.happenings import Shown
from carnet_crypto.secret.header import Header
from carnet_crypto.values import DeviceId, MessageId


@dataclass(slots=True)
class DeviceLine:
    """What a device has written, by its numbers."""

    ids: dict[int, MessageId] = field(default_factory=dict)
    headers: dict[int, Header] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)  # ascending
    _contiguous: int = 0

    @property
    def newest(self) -> int:
        """The highest number seen; 0 for none."""
        return self.numbers[-1] if self.numbers else 0

    @property
    def contiguous(self) -> int:
        """The number up to which all are there."""
        while self._contiguous + 1 in self.ids:
            self._contiguous += 1
        return self._contiguous

    def add(self, id_: MessageId, header: Header) -> None:
        """Keep the first message under its number."""
        if header.sequence not in self.ids:
            self.ids[header.sequence] = id_
            self.headers[header.sequence] = header
            insort(self.numbers, header.sequence)

    def before(self, sequence: int) -> Header | None:
        """Return what comes next before a number."""
        at = bisect_left(self.numbers, sequence)
        return self.headers[self.numbers[at - 1]] if at else None

    def after(self, sequence: int) -> Header | None:
        """Return what comes next after a number."""
        at = bisect_right(self.numbers, sequence)
        return self.headers[self.numbers[at]] if at < len(self.numbers) else None

    def missing_before(self, sequence: int) -> int:
        """Return how many are missing between a number and what comes next before it."""
        earlier = self.before(sequence)
        return sequence - 1 - (0 if earlier is None else earlier.sequence)


def parents(header: Header) -> Iterator[MessageId]:
    """Yield the messages that one stands upon."""
    if not header.previous.is_zero:
        yield header.previous
    yield from header.heads


def ordered(shown: Mapping[MessageId, Shown]) -> list[Shown]:
    """Return messages, each after all that its author had seen.

    The same messages come in the same order for everybody, in whatever order they arrived.
    """
    depths = dict[MessageId, int]()
    for each in shown.values():
        _find_depth(each, shown, depths)
    return sorted(shown.values(), key=lambda each: (depths[each.id], each.id))


def marked(
    each: Shown, lines: Mapping[DeviceId, DeviceLine], shown: Mapping[MessageId, Shown]
) -> Shown:
    """Return a message with what is missing before it now."""
    line = lines[each.header.device]
    missing = line.missing_before(each.header.sequence)
    absent = sum(head not in shown for head in each.header.heads)
    if (missing, absent) == (each.missing, each.missing_heads):
        return each
    return replace(each, missing=missing, missing_heads=absent)


def _find_depth(
    first: Shown, shown: Mapping[MessageId, Shown], depths: dict[MessageId, int]
) -> None:
    stack = [first]
    while stack:
        top = stack[-1]
        below = [shown[id_] for id_ in parents(top.header) if id_ in shown]
        unknown = [each for each in below if each.id not in depths]
        if unknown:
            stack += unknown
            continue
        depths[top.id] = 1 + max((depths[each.id] for each in below), default=0)
        stack.pop()
