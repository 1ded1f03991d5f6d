"""Measurements and ways of life as Observations."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import UUID

from carnet.exports.ips.elements import (
    LOINC,
    TERMINOLOGY,
    Element,
    coded,
    concept,
    dated,
    named,
    notes,
    reference,
    ucum,
    words,
)
from carnet.exports.writing import number
from carnet.records.tables import ProfileEntry, Section, StatedBy

CATEGORY = f"{TERMINOLOGY}observation-category"
CATEGORIES = frozenset(
    {
        "social-history",
        "vital-signs",
        "imaging",
        "laboratory",
        "procedure",
        "survey",
        "exam",
        "therapy",
        "activity",
    }
)
VITAL_SIGNS = frozenset(
    {
        "2708-6",  # oxygen saturation
        "29463-7",  # body weight
        "39156-5",  # body mass index
        "59408-5",  # oxygen saturation by pulse oximetry
        "8302-2",  # body height
        "8310-5",  # body temperature
        "8462-4",  # diastolic blood pressure
        "8480-6",  # systolic blood pressure
        "85354-9",  # blood pressure
        "8867-4",  # heart rate
        "9279-1",  # respiratory rate
        "9843-4",  # head circumference
    }
)
"""LOINC codes of FHIR's vital signs, which some state without a category."""

_BOUND = re.compile(r"(-?\d+(?:\.\d+)?)(?: (\S.*))?", re.ASCII)


def is_vital_sign(row: ProfileEntry) -> bool:
    """Tell whether a measurement belongs to the vital signs, rather than to the results."""
    said = row.details.get("category")
    if said:
        return bool(said == "vital-signs")
    return any(
        item.get("system") == LOINC and item.get("code") in VITAL_SIGNS for item in row.codings
    )


def observation(row: ProfileEntry, patient_id: UUID) -> Element:
    """Return an Observation.

    What people state of themselves is final; of what came from elsewhere it is not kept whether
    it was, so that is unknown.
    """
    details = row.details
    is_lifestyle = row.section is Section.LIFESTYLE
    category = "social-history" if is_lifestyle else details.get("category")
    answer = words(details.get("answer"))
    value = None if row.value is None else number(row.value)
    is_own = row.stated_by in (StatedBy.HOLDER, StatedBy.DELEGATE)
    return {
        "resourceType": "Observation",
        "status": "final" if is_own else "unknown",
        "category": [_category(category)] if words(category) else None,
        "code": named(row.label, row.codings),
        "subject": reference(patient_id),
        **dated("effective", row.started_on, row.ended_on),
        **_value(value, row.unit, answer),
        "referenceRange": _range(details),
        "note": notes(row.note, answer if value is not None else None),
    }


def _value(value: object, unit: str | None, answer: str | None) -> Element:
    if value is not None:
        return {"valueQuantity": {"value": value} | ucum(unit)}
    if answer:
        return {"valueString": answer}
    return {"dataAbsentReason": coded(f"{TERMINOLOGY}data-absent-reason", "unknown")}


def _category(said: str | None) -> Element:
    return coded(CATEGORY, said) if said in CATEGORIES else concept(said)


def _range(details: dict[str, str]) -> list[Element] | None:
    """Return the target: as quantities where both bounds are numbers, else in words."""
    said = {"low": words(details.get("targetLow")), "high": words(details.get("targetHigh"))}
    given = {name: text for name, text in said.items() if text}
    bounds: Element = {}
    for name, text in given.items():
        found = _BOUND.fullmatch(text)
        if found is None:
            return [{"text": " – ".join(given.values())}]
        bounds[name] = {"value": number(Decimal(found[1]))} | ucum(found[2])
    return [bounds] if bounds else None
