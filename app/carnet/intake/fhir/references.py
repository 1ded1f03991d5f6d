"""The resources of one body, and what references between them mean. Nothing outside is fetched.

A reference is looked for among the contained resources (``#id``), then among the entries of the
same Bundle: by fullUrl, then relative to the referring entry's own server, then by type and id
where that is unique. Two servers may both have a ``Patient/1``, so a relative reference never
reaches an entry of another server.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from carnet.intake.base64 import Decoded
from carnet.intake.fhir.datatypes import Element, SetAside, children, token
from carnet.intake.model import PatientClaim, Reason

KEY_LIMIT = 200  # characters of a source key; keys are indexed
REFERENCE_LIMIT = 2000  # characters; a conditional reference holds a whole query

_TYPE = re.compile(r"[A-Z][A-Za-z]{0,63}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-._]{1,64}", re.ASCII)
_LASTING = re.compile(r"(?:https?://|urn:)[!-~]+", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(eq=False, slots=True)
class Entry:
    """One resource of the body with its place in it. ``key`` is its source key."""

    resource: Element = field(repr=False)
    key: str
    full_url: str | None = None

    @property
    def kind(self) -> str:
        """The type of the resource."""
        return kind_of(self.resource)

    @property
    def base(self) -> str | None:
        """The server that the fullUrl names, with its last slash; None for another URL."""
        url, path = self.full_url, local_path(self.resource)
        if url and path and url.startswith(("http://", "https://")) and url.endswith(f"/{path}"):
            return url[: -len(path)]
        return None


@dataclass(slots=True)
class Body:
    """The resources that may refer to each other, and what reading them found on the way.

    ``content_left`` bounds the bytes that documents take from elsewhere in the body: a thousand
    documents may not refer to one large Binary.
    """

    entries: list[Entry]
    content_left: int  # bytes
    visibility: frozenset[str] = frozenset()  # labels that hold for all entries
    claims: dict[str, PatientClaim] = field(default_factory=dict, repr=False)
    claim_keys: dict[PatientClaim, str] = field(default_factory=dict, repr=False)
    decoded: dict[str, Decoded] = field(default_factory=dict, repr=False)  # Binaries by key
    contents: set[str] = field(default_factory=set)  # keys of entries that are documents' content
    _by_url: dict[str, Entry] = field(default_factory=dict, repr=False)
    _by_path: dict[str, list[Entry]] = field(default_factory=dict, repr=False)
    _by_id: dict[str, list[Entry]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        paths: dict[str, list[Entry]] = defaultdict(list)
        ids: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.full_url:
                self._by_url.setdefault(_without_version(entry.full_url), entry)
            if path := local_path(entry.resource):
                paths[path].append(entry)
                ids[path.partition("/")[2]].append(entry)
        self._by_path, self._by_id = dict(paths), dict(ids)

    def find(self, reference: str, referrer: Entry) -> Entry | None:
        """Return the entry that a reference means, None when it is outside or in doubt."""
        reference = _without_version(reference)
        if reference.startswith("#"):  # not contained; French prescriptions mean an entry
            return _only(self._by_id.get(reference[1:], ()))
        if found := self._by_url.get(reference):
            return found
        if reference.lower().startswith("urn:uuid:"):
            uuid = reference[9:]
            same = self._by_url.get(f"urn:uuid:{uuid.lower()}")
            nameless = [e for e in self._by_id.get(uuid, ()) if not e.full_url]
            return same or (_only(nameless) if _UUID.fullmatch(uuid) else None)
        if ":" in reference:
            return None
        base = referrer.base
        if base and (found := self._by_url.get(base + reference)):
            return found
        return _only(e for e in self._by_path.get(reference, ()) if not base or not e.base)


@dataclass(frozen=True, slots=True)
class Source:
    """A resource that is being read: an entry's own, or one contained in it."""

    body: Body = field(repr=False)
    entry: Entry
    resource: Element = field(repr=False)

    @property
    def key(self) -> str:
        """The source key of the entry."""
        return self.entry.key

    @property
    def kind(self) -> str:
        """The type of the resource."""
        return kind_of(self.resource)

    @property
    def is_contained(self) -> bool:
        """Whether it has no place of its own in the body."""
        return self.resource is not self.entry.resource

    def find(self, element: Element | None) -> Source | None:
        """Return what a Reference means, None when it is outside the body or in doubt."""
        reference = token(element, "reference", REFERENCE_LIMIT) if element else None
        return self.find_url(reference) if reference else None

    def find_url(self, reference: str) -> Source | None:
        """Return what the text of a reference means, None when it is outside or in doubt."""
        if reference == "#":
            return Source(self.body, self.entry, self.entry.resource)
        if reference.startswith("#"):
            for item in children(self.entry.resource, "contained"):
                if item.get("id") == reference[1:]:
                    return Source(self.body, self.entry, item)
        found = self.body.find(reference, self.entry)
        return Source(self.body, found, found.resource) if found else None

    def take_content(self, size: int) -> None:
        """Account for bytes that a document takes from elsewhere in the body.

        Raises:
            SetAside: documents share the same content too many times.
        """
        self.body.content_left -= size
        if self.body.content_left < 0:
            message = "Too many documents in the body share the same content."
            raise SetAside(Reason.MALFORMED, message, is_refused=True)


def kind_of(resource: Element) -> str:
    """Return the type of a resource, ``?`` when it names none."""
    kind = resource.get("resourceType")
    return kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "?"


def local_path(resource: Element) -> str | None:
    """Return ``Type/id``, None for a resource without an id."""
    id_ = resource.get("id")
    if isinstance(id_, str) and _ID.fullmatch(id_):
        return f"{kind_of(resource)}/{id_}"
    return None


def source_key(resource: Element, full_url: str | None, position: int) -> str:
    """Return the name of a resource in the publisher's own terms.

    It is the fullUrl where that lasts (not the ``resource:0`` of health cards, which means
    another resource in every body), else the type and id, else a digest of the resource.
    """
    if full_url and _LASTING.fullmatch(full_url):
        url = _without_version(full_url)
        return url if len(url) <= KEY_LIMIT else f"sha256:{sha256(url.encode()).hexdigest()}"
    path = local_path(resource)
    if path:
        return path
    shape = canonical(resource)
    return f"sha256:{sha256(shape).hexdigest()}" if shape else f"entry:{position}"


def canonical(resource: Element) -> bytes | None:
    """Return the resource as bytes that its order of keys does not change.

    None when it is nested more deeply than any resource is.
    """
    try:
        return orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None


def _without_version(reference: str) -> str:
    return reference.partition("/_history/")[0]


def _only(entries: Iterable[Entry]) -> Entry | None:
    found = list(entries)
    return found[0] if len(found) == 1 else None
