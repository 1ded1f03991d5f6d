"""What was done and given: treatments, doses, procedures, stays, and what the holder wishes."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from uuid import UUID

from carnet.documents.tables import Document, DocumentContent
from carnet.exports.ips.elements import (
    TERMINOLOGY,
    Element,
    coded,
    coding,
    dated,
    displays,
    instant,
    named,
    notes,
    period,
    reference,
    texts,
    token,
    unknown,
    without_nothing,
    words,
)
from carnet.exports.rules import entry_name
from carnet.records.tables import EntryStatus, Immunization, ProfileEntry
from carnet.store.tables import Blob
from carnet.terminology.codes import disease_name
from carnet.terminology.systems import DISEASE

PRESCRIPTION = "prescription"
UNKNOWN = "unknown"  # in words, where FHIR asks for one of several types of value
ENCOUNTER_CLASSES = frozenset(
    {"AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR"}
)
INTENTS = frozenset(
    {
        "proposal",
        "plan",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    }
)

# «completed» says of a medication that it is no longer taken, for whatever reason.
_TAKING = {
    EntryStatus.ACTIVE: "active",
    EntryStatus.INACTIVE: "completed",
    EntryStatus.RESOLVED: "completed",
}
# What is neither going on nor completed was stopped, or put off: which one is not known.
_DOING = {EntryStatus.ACTIVE: "in-progress", EntryStatus.RESOLVED: "completed"}
_STAYING = {EntryStatus.ACTIVE: "in-progress", EntryStatus.RESOLVED: "finished"}
_WISHING = {
    EntryStatus.ACTIVE: "active",
    EntryStatus.INACTIVE: "inactive",
    EntryStatus.RESOLVED: "inactive",
}


def treatment(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return a MedicationRequest for what is prescribed, a MedicationStatement for the rest."""
    details = row.details
    common = {
        "status": _TAKING.get(row.status, "unknown"),
        "medicationCodeableConcept": named(row.label, row.codings),
        "subject": reference(patient_id),
        "reasonCode": texts(details.get("reason")),
        "note": notes(row.note),
    }
    dosage = without_nothing({"text": words(details.get("dosage"))})
    if details.get("kind") != PRESCRIPTION:
        return {
            "resourceType": "MedicationStatement",
            **common,
            **dated("effective", row.started_on, row.ended_on),
            "dosage": [dosage] if dosage else None,
        }
    if row.ended_on is not None:
        bounds = {"boundsPeriod": period(row.started_on, row.ended_on)}
        dosage["timing"] = {"repeat": bounds}
    intent = details.get("intent")
    return {
        "resourceType": "MedicationRequest",
        **common,
        "intent": intent if intent in INTENTS else "order",  # which a prescription is
        "authoredOn": row.started_on and row.started_on.text,
        "dosageInstruction": [dosage] if dosage else None,
    }


def dose(row: Immunization, patient_id: UUID) -> Element:
    """Return an Immunization."""
    targets = [_disease(code) for code in row.disease_codes]
    rank = {"doseNumberPositiveInt": row.dose_rank} if row.dose_rank else None
    protocol = without_nothing(
        {"targetDisease": targets, **(rank or {"doseNumberString": UNKNOWN})}
    )
    known = {"occurrenceDateTime": row.given_on.text} if row.given_on else None
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": named(row.vaccine_label, row.codings),
        "patient": reference(patient_id),
        **(known or {"occurrenceString": UNKNOWN}),
        "lotNumber": words(row.lot_number),
        "isSubpotent": True if row.is_subpotent else None,
        "protocolApplied": [protocol] if targets or rank else None,
    }


def procedure(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return a Procedure."""
    details = row.details
    return {
        "resourceType": "Procedure",
        "status": _DOING.get(row.status, "unknown"),
        "code": named(row.label, row.codings),
        "subject": reference(patient_id),
        **dated("performed", row.started_on, row.ended_on),
        "performer": [{"actor": who} for who in displays(details.get("performer"))],
        "reasonCode": texts(details.get("reason")),
        "bodySite": texts(details.get("bodySite")),
        "note": notes(row.note),
    }


def stay(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return an Encounter."""
    details = row.details
    setting = words(details.get("class"))
    if setting in ENCOUNTER_CLASSES:
        kind: Element = {"system": f"{TERMINOLOGY}v3-ActCode", "code": setting}
    else:
        kind = {"display": setting} if setting else unknown()
    return {
        "resourceType": "Encounter",
        "status": _STAYING.get(row.status, "unknown"),
        "class": kind,
        "type": [named(row.label, row.codings)],
        "subject": reference(patient_id),
        "period": period(row.started_on, row.ended_on),
        "reasonCode": texts(details.get("reason")),
        "location": [{"location": place} for place in displays(details.get("location"))],
    }


def directive(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return a Consent that is an advance directive."""
    status = _WISHING.get(row.status)
    ended = {"period": period(None, row.ended_on)} if row.ended_on else None
    return {
        "resourceType": "Consent",
        **({"status": status} if status else {"_status": unknown()}),
        "scope": coded(f"{TERMINOLOGY}consentscope", "adr", "Advanced Care Directive"),
        "category": [named(row.label, row.codings)],
        "patient": reference(patient_id),
        "dateTime": row.started_on and row.started_on.text,
        "organization": displays(row.details.get("location")),
        "policyRule": unknown(),
        "provision": ended,
    }


def document(
    row: Document, contents: Sequence[tuple[DocumentContent, Blob]], patient_id: UUID
) -> Element:
    """Return a DocumentReference whose contents are files of the same archive."""
    kind = {"system": row.type_system, "code": row.type_code, "display": row.type_display}
    attachments = [
        without_nothing(
            {
                "contentType": token(content.media_type),
                "url": quote(entry_name(row, content)),
                "title": words(row.title),
            }
        )
        for content, _ in contents
    ]
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [coding(kind)]} if row.type_code else None,
        "subject": reference(patient_id),
        "date": instant(row.deposited_at),
        "description": words(row.title),
        "content": [{"attachment": item} for item in attachments]
        or [{"attachment": {"title": words(row.title)}}],
    }


def _disease(code: str) -> Element:
    return {"coding": [{"system": DISEASE, "code": code, "display": disease_name(code, "en")}]}
