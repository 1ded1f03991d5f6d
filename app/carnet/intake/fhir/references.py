"""The resources of one body, and what references between them mean. Nothing outside is fetched.

A reference is looked for among the contained resources (``#id``), then among the entries of the
same Bundle: by fullUrl, then relative to the referring entry's own server, then by type and id
where that is unique. Two servers may both have a ``Patient/1``, so a relative reference never
reaches an entry of another server.
"""

from __future__ import annotations

import re
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
    """One resource of the body with its place in it.

    ``key`` is its source key, ``kind`` its type, ``path`` its type and id if it has one.
    """

    resource: Element = field(repr=False)
    key: str
    full_url: str | None = None
    kind: str = field(init=False)
    path: str | None = field(init=False)
    _contained: dict[str, Element] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.kind = kind_of(self.resource)
        self.path = local_path(self.resource)

    @property
    def base(self) -> str | None:
        """The server that the fullUrl names, with its last slash; None for another URL."""
        url, path = self.full_url, self.path
        if url and path and url.startswith(("http://", "https://")) and url.endswith(f"/{path}"):
            return url[: -len(path)]
        return None

    def contained(self, id_: str) -> Element | None:
        """Return the resource that is contained under an id."""
        if self._contained is None:
            self._contained = {}
            for item in children(self.resource, "contained"):
                if isinstance(name := item.get("id"), str):
                    self._contained.setdefault(name, item)
        return self._contained.get(id_)


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
    _by_path: dict[str, Entry | None] = field(default_factory=dict, repr=False)
    _by_path_nowhere: dict[str, Entry | None] = field(default_factory=dict, repr=False)
    _by_id: dict[str, Entry | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for entry in self.entries:
            if entry.full_url:
                self._by_url.setdefault(_without_version(entry.full_url), entry)
            path = entry.path
            if path is None:
                continue
            _put(self._by_path, path, entry)
            _put(self._by_id, path.partition("/")[2], entry)
            if not entry.base:
                _put(self._by_path_nowhere, path, entry)

    def find(self, reference: str, referrer: Entry) -> Entry | None:
        """Return the entry that a reference means, None when it is outside or in doubt."""
        reference = _without_version(reference)
        if reference.startswith("#"):  # not contained; French prescriptions mean an entry
            return self._by_id.get(reference[1:])
        if found := self._by_url.get(reference):
            return found
        if reference.lower().startswith("urn:uuid:"):
            uuid = reference[9:]
            same = self._by_url.get(f"urn:uuid:{uuid.lower()}")
            found = self._by_id.get(uuid) if _UUID.fullmatch(uuid) else None
            return same or (found if found and not found.full_url else None)
        if ":" in reference:
            return None
        base = referrer.base
        if base and (found := self._by_url.get(base + reference)):
            return found
        return (self._by_path_nowhere if base else self._by_path).get(reference)


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
            inside = self.entry.contained(reference[1:])
            if inside is not None:
                return Source(self.body, self.entry, inside)
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


def _put(index: dict[str, Entry | None], name: str, entry: Entry) -> None:
    """Put an entry under a name; a name that two entries have means neither."""
    index[name] = None if name in index else entry
