"""The body as a whole: one resource alone, or a Bundle of any type, and Bundles inside it.

Every resource of the body gets at least one item of the reading, in the order of the body.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from carnet.errors import ValidationFailed
from carnet.intake.fhir.datatypes import Element, SetAside, child, children, text, token
from carnet.intake.fhir.documents import hidden_by, hidden_for, read_composition
from carnet.intake.fhir.kinds import DOCUMENTS, READERS, why_not
from carnet.intake.fhir.references import (
    REFERENCE_LIMIT,
    Body,
    Entry,
    Source,
    canonical,
    kind_of,
    local_path,
    source_key,
)
from carnet.intake.fhir.visibility import meta_labels, visibility
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    PatientClaim,
    Reading,
    Reason,
    Skipped,
)

FORMAT = "FHIR R4"
ENTRIES_LIMIT = 200_000  # entries of a body, its inner Bundles included; Synthea has under 10,000
DEPTH_LIMIT = 3  # Bundles inside Bundles: a transaction that brings a document has 2
SHARED_CONTENT = 4  # documents may take so many times the body's size from its Binaries

CONTENT_KINDS = frozenset({"Binary", "Bundle"})  # read last: they may be a document's content

NOT_JSON = "The body is not JSON."
NOT_FHIR = "The body is not a FHIR resource: it has no «resourceType»."
NO_RESOURCE = "The entry holds no resource; nothing is fetched or deleted for it."
TWICE = "It stands twice in the body and is taken once."
OLDER = "It is an older version of a resource of this history."
MODIFIED = "A «modifierExtension» changes what it means in a way that is not known here."
HIDDEN_FACT = "A fact without a document cannot be hidden; send it in a document."
CONTENT = "It is the content of a document of the body."
TOO_DEEP = "Bundles are nested too deeply."

Fact = EntryItem | ImmunizationItem | NothingToDeclareItem


def read(body: bytes) -> Reading:
    """Read a FHIR R4 body in JSON.

    Raises:
        ValidationFailed: it is not JSON or not FHIR, or has more entries than are read at once.
    """
    try:
        resource: Any = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise ValidationFailed(NOT_JSON) from None
    if not isinstance(resource, dict) or kind_of(resource) == "?":
        raise ValidationFailed(NOT_FHIR)
    return _Reader(len(body)).read(resource, body)


@dataclass(slots=True)
class _Slot:
    """One place of a body: an entry to read, or what is said of it without reading."""

    entry: Entry | None = None
    items: list[Item] = field(default_factory=list)


class _Reader:
    def __init__(self, size: int) -> None:
        self.content_left = SHARED_CONTENT * size  # bytes
        self.keys: dict[str, int] = {}  # how often each was wanted, so that none stands twice
        self.count = 0  # entries
        self.patients: dict[str, PatientClaim] = {}

    def read(self, resource: Element, original: bytes) -> Reading:
        if kind_of(resource) == "Bundle":
            items = self._bundle(resource, original, frozenset(), depth=1)
        else:
            slot = _Slot(Entry(resource, self._key(source_key(resource, None, 0))))
            items = self._slots([slot], frozenset(), None, depth=0)
        used = {item.patient for item in items if not isinstance(item, Skipped)}
        patients = {key: claim for key, claim in self.patients.items() if key in used}
        return Reading(FORMAT, patients, tuple(items))

    def _key(self, key: str) -> str:
        """Return the key, told apart from an equal one before it."""
        number = self.keys.get(key, 0) + 1
        self.keys[key] = number
        return key if number == 1 else self._key(f"{key}~{number}")

    def _bundle(
        self, bundle: Element, original: bytes, visible: frozenset[str], depth: int
    ) -> list[Item]:
        try:
            raw = children(bundle, "entry")
            visible |= visibility(meta_labels(bundle))
            kind = token(bundle, "type")
        except SetAside as aside:
            if depth == 1:
                raise ValidationFailed(aside.message) from None
            return [self._aside(self._key("Bundle"), "Bundle", aside)]
        self.count += len(raw)
        if self.count > ENTRIES_LIMIT:
            raise ValidationFailed(f"A body holds at most {ENTRIES_LIMIT} entries.")
        slots = list(self._lay_out(raw, is_history=kind == "history"))
        document = (bundle, original) if kind == "document" else None
        return self._slots(slots, visible, document, depth)

    def _lay_out(self, raw: list[Element], *, is_history: bool) -> Iterator[_Slot]:
        seen: dict[str, Element] = {}
        former: set[str] = set()
        for position, element in enumerate(raw):
            slot = _Slot()
            try:
                resource = child(element, "resource")
                full_url = token(element, "fullUrl", REFERENCE_LIMIT)
                version = _version(element, resource, full_url) if is_history else None
            except SetAside as aside:
                key = self._key(f"entry:{position}")
                slot.items.append(self._aside(key, "Bundle.entry", aside))
                yield slot
                continue
            is_older = version in former
            if version:
                former.add(version)
            if resource is None:
                key = self._key(f"entry:{position}")
                slot.items.append(Skipped(key, "Bundle.entry", Reason.NOT_SUPPORTED, NO_RESOURCE))
                yield slot
                continue
            plain = source_key(resource, full_url, position)
            key = self._key(plain)
            if is_older:
                slot.items.append(Skipped(key, kind_of(resource), Reason.NOT_SUPPORTED, OLDER))
            elif key != plain and plain in seen and _same(seen[plain], resource):
                slot.items.append(Skipped(key, kind_of(resource), Reason.NOT_SUPPORTED, TWICE))
            else:
                seen.setdefault(plain, resource)
                slot.entry = Entry(resource, key, full_url)
            yield slot

    def _slots(
        self,
        slots: list[_Slot],
        visible: frozenset[str],
        document: tuple[Element, bytes] | None,
        depth: int,
    ) -> list[Item]:
        """Read the entries: the Composition first, and last what others have as content."""
        entries = [slot.entry for slot in slots if slot.entry is not None]
        body = Body(entries, self.content_left, visible)
        composition = None
        if document is not None:
            composition = next((entry for entry in entries if entry.kind == "Composition"), None)
        whole = self._composition(body, composition, document)
        found = whole if isinstance(whole, DocumentItem) else None
        for slot in slots:
            entry = slot.entry
            if entry is None or entry.kind in CONTENT_KINDS:
                continue
            if isinstance(whole, SetAside) and (
                entry is composition or whole.reason is Reason.ENTERED_IN_ERROR
            ):
                slot.items = [self._aside(entry.key, entry.kind, whole)]
            elif entry is composition and found is not None:
                slot.items = [found]
            else:
                slot.items = self._entry(body, entry, found)
        self.content_left = body.content_left
        for slot in slots:
            if slot.entry is not None and slot.entry.kind in CONTENT_KINDS:
                slot.items = self._content(body, slot.entry, visible, depth)
        self.patients |= body.claims
        return [item for slot in slots for item in slot.items]

    def _composition(
        self, body: Body, entry: Entry | None, document: tuple[Element, bytes] | None
    ) -> DocumentItem | SetAside | None:
        if entry is None or document is None:
            return None
        try:
            _refuse_modified(entry.resource)
            return read_composition(Source(body, entry, entry.resource), *document)
        except SetAside as aside:
            body.visibility |= hidden_by(entry.resource)  # for the facts that it cannot hide now
            return aside

    def _entry(self, body: Body, entry: Entry, document: DocumentItem | None) -> list[Item]:
        reader = READERS.get(entry.kind)
        if reader is None:
            if entry.kind == "?":
                message = "«resourceType» is not as FHIR has it."
                return [Skipped(entry.key, "?", Reason.MALFORMED, message, is_refused=True)]
            return [Skipped(entry.key, entry.kind, *why_not(entry.kind))]
        try:
            _refuse_modified(entry.resource)
            items = list(reader(Source(body, entry, entry.resource)))
            if entry.kind not in DOCUMENTS:
                items = self._facts(body, entry, items, document)
        except SetAside as aside:
            return [self._aside(entry.key, entry.kind, aside)]
        return items

    def _facts(
        self, body: Body, entry: Entry, items: list[Item], document: DocumentItem | None
    ) -> list[Item]:
        """Tie facts to the document they were read from; refuse those that it cannot hide.

        A fact on somebody else than the document is not tied to it.
        """
        hidden = body.visibility | visibility(meta_labels(entry.resource))
        found: list[Item] = []
        for item in items:
            if isinstance(item, Fact):
                owner = document if document and document.patient == item.patient else None
                if hidden - (hidden_for(owner) if owner else frozenset()):
                    raise SetAside(Reason.NOT_SUPPORTED, HIDDEN_FACT, is_refused=True)
                key = (
                    item.source_key if item.source_key == entry.key else self._key(item.source_key)
                )
                tie = owner.source_key if owner else None
                if key != item.source_key or tie is not None:
                    item = replace(item, source_key=key, document=tie)
            found.append(item)
        return found

    def _content(self, body: Body, entry: Entry, visible: frozenset[str], depth: int) -> list[Item]:
        """Say what became of a Binary, or of a Bundle in the body."""
        if entry.key in body.contents:
            return [Skipped(entry.key, entry.kind, Reason.REFERENCE_DATA, CONTENT)]
        if entry.kind == "Binary":
            return [Skipped(entry.key, entry.kind, *why_not(entry.kind))]
        if depth >= DEPTH_LIMIT:
            aside = SetAside(Reason.MALFORMED, TOO_DEEP, is_refused=True)
            return [self._aside(entry.key, entry.kind, aside)]
        original = canonical(entry.resource)
        if original is None:
            aside = SetAside(Reason.MALFORMED, TOO_DEEP, is_refused=True)
            return [self._aside(entry.key, entry.kind, aside)]
        items = self._bundle(entry.resource, original, visible, depth + 1)
        return items or [Skipped(entry.key, entry.kind, Reason.NOT_SUPPORTED, NO_RESOURCE)]

    @staticmethod
    def _aside(key: str, kind: str, aside: SetAside) -> Skipped:
        return Skipped(key, kind, aside.reason, aside.message, is_refused=aside.is_refused)


def _refuse_modified(resource: Element) -> None:
    """Raise `SetAside` where the meaning is changed: FHIR forbids to read on without knowing."""
    if resource.get("modifierExtension"):
        raise SetAside(Reason.NOT_SUPPORTED, MODIFIED, is_refused=True)


def _version(element: Element, resource: Element | None, full_url: str | None) -> str | None:
    """Return what all versions of one resource have in common in a history."""
    request = child(element, "request") or {}
    path = local_path(resource) if resource else text(request, "url")
    return full_url.partition("/_history/")[0] if full_url else path


def _same(one: Element, other: Element) -> bool:
    shape = canonical(one)
    return shape is not None and shape == canonical(other)
