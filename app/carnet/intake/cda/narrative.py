"""The readable text of a CDA document, which its entries refer to. Pure."""

from __future__ import annotations

from carnet.intake.cda.codes import DISPLAY_LIMIT, display_of
from carnet.intake.cda.xml import Element

PIECES_LIMIT = 200  # texts looked at for one reference: one reference costs little


class Narrative:
    """Looks up what ``<reference value="#id"/>`` points to, within one document only."""

    def __init__(self, root: Element) -> None:
        self._root = root
        self._by_id: dict[str, Element] | None = None

    def text_of(self, element: Element | None) -> str | None:
        """Return the text an element has or refers to, on one line of at most 500 characters.

        An address of anything outside the document is not followed.
        """
        if element is None:
            return None
        own = _line(element)
        if own:
            return own
        for reference in element.findall("reference"):
            target = self._find((reference.get("value") or "").strip().removeprefix("#"))
            found = _line(target) if target is not None else ""
            if found:
                return found
        return None

    def name_of(self, code: Element | None) -> str | None:
        """Return what a code is called: by its system, by its author, or by a translation."""
        if code is None:
            return None
        return (
            display_of(code)
            or self.text_of(code.find("originalText"))
            or next(filter(None, map(display_of, code.findall("translation"))), None)
        )

    def _find(self, name: str) -> Element | None:
        if self._by_id is None:
            self._by_id = {}
            for element in self._root.iter():
                key = element.get("ID")
                if key:
                    self._by_id.setdefault(key.strip(), element)
        return self._by_id.get(name) if name else None


def _line(element: Element) -> str:
    words: list[str] = []
    length = 0
    for count, piece in enumerate(element.itertext()):
        if count > PIECES_LIMIT or length > DISPLAY_LIMIT:
            break
        for word in piece[: 4 * DISPLAY_LIMIT].split():
            words.append(word)
            length += len(word) + 1
    return " ".join(words)[:DISPLAY_LIMIT]
