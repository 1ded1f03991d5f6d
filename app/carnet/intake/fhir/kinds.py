"""Which types of resources are read, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from carnet.intake.fhir.documents import read_diagnostic_report, read_document_reference
from carnet.intake.fhir.immunizations import read_immunization
from carnet.intake.fhir.medications import read_medication_request, read_medication_statement
from carnet.intake.fhir.observations import read_observation
from carnet.intake.fhir.patient import read_patient, read_related_person
from carnet.intake.fhir.profile import (
    read_allergy,
    read_condition,
    read_consent,
    read_encounter,
    read_family_history,
    read_procedure,
)
from carnet.intake.fhir.references import Source
from carnet.intake.model import Item, Reason

ResourceReader = Callable[[Source], Iterator[Item]]

READERS: dict[str, ResourceReader] = {
    "AllergyIntolerance": read_allergy,
    "Condition": read_condition,
    "Consent": read_consent,
    "DiagnosticReport": read_diagnostic_report,
    "DocumentReference": read_document_reference,
    "Encounter": read_encounter,
    "FamilyMemberHistory": read_family_history,
    "Immunization": read_immunization,
    "MedicationRequest": read_medication_request,
    "MedicationStatement": read_medication_statement,
    "Observation": read_observation,
    "Patient": read_patient,
    "Procedure": read_procedure,
    "RelatedPerson": read_related_person,
}

DOCUMENTS = frozenset({"DocumentReference", "DiagnosticReport"})
"""Types whose items carry their own visibility."""

_REFERENCE = (Reason.REFERENCE_DATA, "It is used where the other items of the body refer to it.")
_ADMINISTRATIVE = (Reason.ADMINISTRATIVE, "It is about organization and payment, not health.")
_DISPENSED = (Reason.NOT_ADMINISTERED, "What is dispensed or supplied is not administered.")
_UNSUPPORTED = (Reason.NOT_SUPPORTED, "Carnet does not keep resources of this type.")
_FORECAST = (Reason.NOT_SUPPORTED, "A recommended dose is not a dose that was given.")
_BINARY = (Reason.NOT_SUPPORTED, "No document taken from the body refers to this content.")
_COMPOSITION = (Reason.NOT_SUPPORTED, "A Composition is a document only in a document Bundle.")

_SET_ASIDE: dict[str, tuple[Reason, str]] = {
    "Binary": _BINARY,
    "Composition": _COMPOSITION,
    "ImmunizationRecommendation": _FORECAST,
    "MedicationDispense": _DISPENSED,
    "SupplyDelivery": _DISPENSED,
    **dict.fromkeys(
        (
            "Device",
            "Endpoint",
            "HealthcareService",
            "List",
            "Location",
            "Medication",
            "MessageHeader",
            "Organization",
            "Practitioner",
            "PractitionerRole",
            "Provenance",
            "Specimen",
            "Substance",
        ),
        _REFERENCE,
    ),
    **dict.fromkeys(
        (
            "Account",
            "Appointment",
            "AppointmentResponse",
            "ChargeItem",
            "Claim",
            "ClaimResponse",
            "Contract",
            "Coverage",
            "CoverageEligibilityRequest",
            "CoverageEligibilityResponse",
            "EnrollmentRequest",
            "EnrollmentResponse",
            "ExplanationOfBenefit",
            "InsurancePlan",
            "Invoice",
            "PaymentNotice",
            "PaymentReconciliation",
            "Schedule",
            "Slot",
            "Task",
        ),
        _ADMINISTRATIVE,
    ),
}


def why_not(kind: str) -> tuple[Reason, str]:
    """Return the reason, and a sentence, why a type of resource is not read."""
    return _SET_ASIDE.get(kind, _UNSUPPORTED)
