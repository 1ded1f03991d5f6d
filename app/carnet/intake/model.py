"""What a reader makes of a body, in Carnet's own terms, whatever format it came in.

A reader is a pure function ``read(body: bytes) -> Reading``. It never touches the database, the
network or the file system, never fetches what a body refers to, and never raises for one bad
item: that item becomes a `Skipped` and the rest goes on. It raises `carnet.errors.ValidationFailed`
only when the body as a whole is not of its format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from carnet.people.claims import Claim
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding, Identifier, PartialDate


class Reason(StrEnum):
    """Why an item was refused or not interpreted; each is documented for publishers."""

    UNKNOWN_PATIENT = "UNKNOWN_PATIENT"  # no person has this identifier; may pass
    NO_PATIENT = "NO_PATIENT"  # nothing in the body says whose it is
    IDENTITY_CONFLICT = "IDENTITY_CONFLICT"  # the national number belongs to other traits
    RECORD_CLOSED = "RECORD_CLOSED"  # the record takes nothing in this state; may pass
    MALFORMED = "MALFORMED"  # the item breaks its format
    NOT_SUPPORTED = "NOT_SUPPORTED"  # a kind of item that Carnet does not keep
    NOT_DONE = "NOT_DONE"  # negated, refused or not done: not a fact of the record
    ENTERED_IN_ERROR = "ENTERED_IN_ERROR"  # withdrawn by its author
    ADMINISTRATIVE = "ADMINISTRATIVE"  # claims, schedules and the like
    NOT_ADMINISTERED = "NOT_ADMINISTERED"  # reimbursed or dispensed is not administered
    REFERENCE_DATA = "REFERENCE_DATA"  # organizations, practitioners: used by the items around it
    UNKNOWN_DOCUMENT = "UNKNOWN_DOCUMENT"  # a change to a document that is not here; may pass


class Flag(StrEnum):
    """What was accepted although it is not as claimed; kept with the document."""

    HASH_MISMATCH = "HASH_MISMATCH"
    SIZE_MISMATCH = "SIZE_MISMATCH"
    BASE64_REPAIRED = "BASE64_REPAIRED"
    ORPHAN_REPLACEMENT = "ORPHAN_REPLACEMENT"
    NATIONAL_ID_KEY_INVALID = "NATIONAL_ID_KEY_INVALID"
    CONTENT_NOT_ATTACHED = "CONTENT_NOT_ATTACHED"  # only a reference, which is never fetched
    SAME_ID_NEW_CONTENT = "SAME_ID_NEW_CONTENT"
    DATE_UNREADABLE = "DATE_UNREADABLE"


PatientClaim = Claim
"""Who the body says the patient is."""


@dataclass(frozen=True, slots=True)
class Author:
    """Person or device that wrote a document, with the organization (XDS author)."""

    family_name: str | None = None
    given_name: str | None = None
    identifier: Identifier | None = None
    role: Coding | None = None
    speciality: Coding | None = None
    organization_name: str | None = None
    organization_identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class ContentPart:
    """Bytes of a document, or of something embedded in it."""

    data: bytes = field(repr=False)
    media_type: str
    file_name: str | None = None
    claimed_size_bytes: int | None = None
    claimed_sha1: bytes | None = None


@dataclass(frozen=True, slots=True)
class DocumentItem:
    """A document with its metadata in XDS terms.

    ``original`` None means that the body only refers to the content.
    ``source_key`` names the item in the publisher's own terms and is stable across submissions.
    """

    source_key: str
    patient: str  # key into Reading.patients
    unique_id: str
    title: str
    original: ContentPart | None = field(repr=False)
    embedded: tuple[ContentPart, ...] = field(default=(), repr=False)
    set_id: str | None = None
    type: Coding | None = None
    class_code: Coding | None = None  # XDS classCode, when given
    format_code: str | None = None
    language: str | None = None
    confidentiality_codes: tuple[str, ...] = ()
    practice_setting: Coding | None = None
    facility_type: Coding | None = None
    source_created_at: datetime | None = None
    service_started_at: datetime | None = None
    service_ended_at: datetime | None = None
    authors: tuple[Author, ...] = ()
    replaces_unique_id: str | None = None
    is_superseded: bool = False  # the source itself says that it is no longer current
    is_masked: bool = False
    is_hidden_from_holder: bool = False
    is_hidden_from_representatives: bool = False
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryItem:
    """A profile entry. ``document`` is the source_key of the document it was read from."""

    source_key: str
    patient: str
    section: Section
    label: str
    codings: tuple[Coding, ...] = ()
    status: EntryStatus = EntryStatus.UNKNOWN
    started_on: PartialDate | None = None
    ended_on: PartialDate | None = None
    value: Decimal | None = None
    unit: str | None = None
    note: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    document: str | None = None


@dataclass(frozen=True, slots=True)
class ImmunizationItem:
    """A dose that was given. ``given_on`` None: done, date unknown."""

    source_key: str
    patient: str
    vaccine_label: str
    codings: tuple[Coding, ...] = ()
    target_diseases: tuple[Coding, ...] = ()
    given_on: PartialDate | None = None
    lot_number: str | None = None
    dose_rank: int | None = None
    is_subpotent: bool = False
    document: str | None = None


@dataclass(frozen=True, slots=True)
class NothingToDeclareItem:
    """«Nothing to declare» for a section, such as «no known allergies»."""

    source_key: str
    patient: str
    section: Section
    document: str | None = None


@dataclass(frozen=True, slots=True)
class PatientItem:
    """The patient's own resource: it registers or confirms a person."""

    source_key: str
    patient: str


@dataclass(frozen=True, slots=True)
class WithdrawalItem:
    """The author deletes a document."""

    source_key: str
    patient: str
    unique_id: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that does not land. ``is_refused`` tells a refusal from «not interpreted»."""

    source_key: str
    kind: str  # FHIR resource type, CDA template or HL7 segment
    reason: Reason
    message: str
    is_refused: bool = False


Item = (
    PatientItem
    | DocumentItem
    | EntryItem
    | ImmunizationItem
    | NothingToDeclareItem
    | WithdrawalItem
    | Skipped
)


def kind_of(item: Item) -> str:
    """Return what kind of item it is, as the answer names it."""
    return item.kind if isinstance(item, Skipped) else type(item).__name__.removesuffix("Item")


def targets_of(item: Item) -> tuple[Coding, ...]:
    """Return the diseases that a vaccination names itself."""
    return item.target_diseases if isinstance(item, ImmunizationItem) else ()


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a reader found, in the order of the body."""

    format: str  # «FHIR R4», «CDA R2», «HL7 v2»
    patients: dict[str, PatientClaim] = field(repr=False)
    items: tuple[Item, ...]
