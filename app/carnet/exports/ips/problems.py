"""Allergies, conditions, disabilities, diseases in the family."""

from __future__ import annotations

from uuid import UUID

from carnet.exports.ips.elements import (
    TERMINOLOGY,
    Element,
    coded,
    concept,
    named,
    notes,
    period,
    reference,
    texts,
    unknown,
    words,
)
from carnet.records.tables import EntryStatus, ProfileEntry

ABATEMENT = "http://hl7.org/fhir/uv/ips/StructureDefinition/abatement-dateTime-uv-ips"
CATEGORIES = frozenset({"food", "medication", "environment", "biologic"})
CRITICALITIES = frozenset({"low", "high", "unable-to-assess"})

_CLINICAL = {
    EntryStatus.ACTIVE: "active",
    EntryStatus.INACTIVE: "inactive",
    EntryStatus.RESOLVED: "resolved",
}


def allergy(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return an AllergyIntolerance."""
    details = row.details
    said = [item.strip() for item in details.get("category", "").split(",")]
    criticality = details.get("criticality")
    is_known = criticality in CRITICALITIES
    abated = {"url": ABATEMENT, "valueDateTime": row.ended_on.text} if row.ended_on else None
    return {
        "resourceType": "AllergyIntolerance",
        "extension": [abated] if abated else None,
        "clinicalStatus": _clinical_status(row, "allergyintolerance-clinical"),
        "category": list(dict.fromkeys(item for item in said if item in CATEGORIES)),
        "criticality": criticality if is_known else None,
        "code": named(row.label, row.codings),
        "patient": reference(patient_id),
        "onsetDateTime": row.started_on and row.started_on.text,
        "note": notes(
            row.note,
            ", ".join(item for item in said if item not in CATEGORIES),
            None if is_known else criticality,
        ),
        "reaction": [
            {"manifestation": found} for found in [texts(details.get("reaction"))] if found
        ],
    }


def condition(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return a Condition.

    An end is given only with a status that it can go with (FHIR's rule con-4); else in words.
    """
    details = row.details
    is_over = row.status in (EntryStatus.INACTIVE, EntryStatus.RESOLVED)
    ended_on = row.ended_on.text if row.ended_on else None
    return {
        "resourceType": "Condition",
        "clinicalStatus": _clinical_status(row, "condition-clinical"),
        "category": texts(details.get("category")),
        "severity": concept(details.get("severity")),
        "code": named(row.label, row.codings),
        "bodySite": texts(details.get("bodySite")),
        "subject": reference(patient_id),
        "onsetDateTime": row.started_on and row.started_on.text,
        "abatementDateTime": ended_on if is_over else None,
        "note": notes(row.note, f"End: {ended_on}" if ended_on and not is_over else None),
    }


def relative(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return a FamilyMemberHistory: one disease of one relative, which is never all of them."""
    relationship = words(row.details.get("relationship"))
    return {
        "resourceType": "FamilyMemberHistory",
        "status": "partial",
        "patient": reference(patient_id),
        "relationship": {"text": relationship} if relationship else unknown(),
        "condition": [
            {
                name: value
                for name, value in {
                    "code": named(row.label, row.codings),
                    "onsetPeriod": period(row.started_on, row.ended_on),
                    "note": notes(row.note),
                }.items()
                if value
            }
        ],
    }


def _clinical_status(row: ProfileEntry, system: str) -> Element:
    code = _CLINICAL.get(row.status)
    return coded(f"{TERMINOLOGY}{system}", code) if code else unknown()
