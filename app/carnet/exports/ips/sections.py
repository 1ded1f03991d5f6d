"""The sections of a summary: their codes, and which part of the profile each is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from carnet.documents.tables import DocumentCategory
from carnet.exports.ips import care, observations, problems
from carnet.exports.ips.elements import Element
from carnet.records.tables import EntryStatus, ProfileEntry, Section

Write = Callable[[ProfileEntry, UUID], Element]


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the summary.

    ``is_required``: it stands there even when nothing is known. ``declares``: it is where a
    «nothing to declare» of the profile's section is said.
    """

    title: str
    code: str  # LOINC
    display: str | None
    section: Section
    write: Write | None = None
    wanted: Callable[[ProfileEntry], bool] = lambda _: True
    is_required: bool = False
    declares: bool = True
    folder: DocumentCategory | None = None


def _is_past(row: ProfileEntry) -> bool:
    is_over = row.status in (EntryStatus.INACTIVE, EntryStatus.RESOLVED)
    return is_over or (row.status is EntryStatus.UNKNOWN and row.ended_on is not None)


PARTS = (
    Part(
        "Medication Summary",
        "10160-0",
        "History of Medication use Narrative",
        Section.TREATMENTS,
        care.treatment,
        is_required=True,
    ),
    Part(
        "Allergies and Intolerances",
        "48765-2",
        "Allergies and adverse reactions Document",
        Section.ALLERGIES,
        problems.allergy,
        is_required=True,
    ),
    Part(
        "Problem List",
        "11450-4",
        "Problem list - Reported",
        Section.CONDITIONS,
        problems.condition,
        lambda row: not _is_past(row),
        is_required=True,
    ),
    Part(
        "Immunizations",
        "11369-6",
        "History of Immunization note",
        Section.IMMUNIZATIONS,
    ),
    Part(
        "History of Procedures",
        "47519-4",
        "History of Procedures Document",
        Section.PROCEDURES,
        care.procedure,
    ),
    Part(
        "Results",
        "30954-2",
        "Relevant diagnostic tests/laboratory data note",
        Section.MEASUREMENTS,
        observations.observation,
        lambda row: not observations.is_vital_sign(row),
    ),
    Part(
        "Vital Signs",
        "8716-3",
        "Vital signs note",
        Section.MEASUREMENTS,
        observations.observation,
        observations.is_vital_sign,
        declares=False,
    ),
    Part(
        "History of Past Problems",
        "11348-0",
        "History of Past illness note",
        Section.CONDITIONS,
        problems.condition,
        _is_past,
        declares=False,
    ),
    Part(
        "Social History",
        "29762-2",
        "Social history note",
        Section.LIFESTYLE,
        observations.observation,
    ),
    Part(
        "Functional Status",
        "47420-5",
        "Functional status assessment note",
        Section.DISABILITIES,
        problems.condition,
    ),
    Part(
        "Advance Directives",
        "42348-3",
        "Advance healthcare directives",
        Section.ADVANCE_DIRECTIVES,
        care.directive,
        folder=DocumentCategory.ADVANCE_DIRECTIVE,
    ),
    Part(
        "Family History",
        "10157-6",
        None,
        Section.FAMILY_HISTORY,
        problems.relative,
    ),
    Part(
        "Stays and Visits",
        "46240-8",
        None,
        Section.STAYS,
        care.stay,
    ),
)
PLAN = "Plan of Care", "18776-5", "Plan of care note"
