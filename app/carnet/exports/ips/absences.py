"""How a summary says that there is nothing, or that nothing is known: entries with IPS's codes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from carnet.exports.ips.elements import (
    ABSENT_UNKNOWN,
    TERMINOLOGY,
    Element,
    coded,
    reference,
    unknown,
)
from carnet.records.tables import Section


@dataclass(frozen=True, slots=True)
class Absence:
    """A code of «nothing known» or «no information», and what it means."""

    code: str
    display: str


NOTHING_KNOWN = {
    Section.ALLERGIES: Absence("no-known-allergies", "No known allergies"),
    Section.CONDITIONS: Absence("no-known-problems", "No known problems"),
    Section.TREATMENTS: Absence("no-known-medications", "No known medications"),
    Section.PROCEDURES: Absence("no-known-procedures", "No known procedures"),
}
NO_INFORMATION = {
    Section.ALLERGIES: Absence("no-allergy-info", "No information about allergies"),
    Section.CONDITIONS: Absence("no-problem-info", "No information about problems"),
    Section.TREATMENTS: Absence("no-medication-info", "No information about medications"),
}


def absence(section: Section, patient_id: UUID, *, is_declared: bool) -> tuple[Absence, Element]:
    """Return the code and the resource that stands in an empty section.

    Args:
        section: one of `NOTHING_KNOWN` when it is declared, else of `NO_INFORMATION`.
        is_declared: somebody stated that there is nothing.
    """
    found = (NOTHING_KNOWN if is_declared else NO_INFORMATION)[section]
    concept = coded(ABSENT_UNKNOWN, found.code, found.display)
    patient = reference(patient_id)
    match section:
        case Section.ALLERGIES | Section.CONDITIONS:
            is_allergy = section is Section.ALLERGIES
            system = "allergyintolerance-clinical" if is_allergy else "condition-clinical"
            active = coded(f"{TERMINOLOGY}{system}", "active")
            return found, {
                "resourceType": "AllergyIntolerance" if is_allergy else "Condition",
                "clinicalStatus": active if is_declared else unknown(),
                "code": concept,
                "patient" if is_allergy else "subject": patient,
            }
        case Section.TREATMENTS:
            return found, {
                "resourceType": "MedicationStatement",
                "status": "unknown",
                "medicationCodeableConcept": concept,
                "subject": patient,
                "_effectiveDateTime": unknown(),
            }
    return found, {
        "resourceType": "Procedure",
        "status": "unknown",
        "code": concept,
        "subject": patient,
        "_performedDateTime": unknown(),
    }
