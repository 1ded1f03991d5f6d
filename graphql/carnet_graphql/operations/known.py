"""What was found out about documents, by their text: a front end sends the same some dozens."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

TEXT_LIMIT = 16 * 1024  # characters of a document that is remembered
ALL_TEXTS = 512 * 1024  # characters of all of them: a parsed one takes about a hundred times that

V = TypeVar("V")


class Known(Generic[V]):
    """Remembers a value for each text; the least recently used are forgotten first."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, str | None], V] = OrderedDict()
        self._size = 0

    def get(self, text: str, name: str | None = None) -> V | None:
        """Return what is remembered of a text, and of one of its operations where that differs."""
        value = self._values.get((text, name))
        if value is not None:
            self._values.move_to_end((text, name))
        return value

    def keep(self, value: V, text: str, name: str | None = None) -> None:
        """Remember the value, unless the text is too long."""
        if len(text) > TEXT_LIMIT or (text, name) in self._values:
            return
        self._values[text, name] = value
        self._size += len(text)
        while self._size > ALL_TEXTS:
            (forgotten, _), _ = self._values.popitem(last=False)
            self._size -= len(forgotten)
