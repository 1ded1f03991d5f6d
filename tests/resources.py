"""Resources of FHIR in few words, and what intake reads in them."""

from __future__ import annotations

from typing import Any

import orjson

from carnet.intake import fhir
from carnet.intake.model import EntryItem, Item, Reason, Skipped

PATIENT = {"resourceType": "Patient", "id": "p1"}
WHO = {"reference": "Patient/p1"}
SNOMED = "http://snomed.info/sct"


def read(resource: dict[str, Any], *others: dict[str, Any]) -> tuple[Item, ...]:
    subject = "patient" if resource["resourceType"] in OF_PATIENT else "subject"
    entries = [PATIENT, {"id": "x", subject: WHO, **resource}, *others]
    body = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": r} for r in entries]}
    return fhir.read(orjson.dumps(body)).items[1 : -len(others) or None]


OF_PATIENT = {"AllergyIntolerance", "Immunization", "FamilyMemberHistory", "Consent"}


def entry(resource: dict[str, Any], *others: dict[str, Any]) -> EntryItem:
    (found,) = read(resource, *others)
    assert isinstance(found, EntryItem), found
    return found


def aside(resource: dict[str, Any], *others: dict[str, Any]) -> tuple[Reason, bool]:
    (found,) = read(resource, *others)
    assert isinstance(found, Skipped), found
    return found.reason, found.is_refused


def coded(*codes: str, text: str | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": SNOMED, "code": code} for code in codes]}
    return {**concept, "text": text} if text else concept
