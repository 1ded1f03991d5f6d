"""Prescriptions and statements of medication: what they become, and what becomes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from resources import aside, coded, entry, read

from carnet.intake.model import NothingToDeclareItem, Reason
from carnet.records.tables import EntryStatus, Section


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Ramipril 5 mg"},
        **more,
    }


def test_a_prescription() -> None:
    found = entry(
        request(
            authoredOn="2026-02-10T09:00:00+01:00",
            reasonCode=[{"text": "Hypertension"}],
            dosageInstruction=[{"text": "Un le matin"}, {"text": "Un le soir"}],
        )
    )
    assert (found.section, found.label) == (Section.TREATMENTS, "Ramipril 5 mg")
    assert found.status is EntryStatus.ACTIVE
    assert found.started_on is not None and found.started_on.text == "2026-02-10"
    assert found.details == {
        "kind": "prescription",
        "intent": "order",
        "dosage": "Un le matin\nUn le soir",
        "reason": "Hypertension",
    }


def test_a_structured_dosage_is_put_into_words() -> None:
    found = entry(
        request(
            authoredOn="2025-05-01",
            dosageInstruction=[
                {
                    "timing": {
                        "repeat": {
                            "boundsPeriod": {"start": "2025-05-02", "end": "2025-05-31"},
                            "frequency": 2,
                            "period": 1,
                            "periodUnit": "d",
                            "when": ["CM", "CV"],
                        }
                    },
                    "route": {"text": "Voie orale"},
                    "doseAndRate": [{"doseQuantity": {"value": 0.5, "unit": "comprimé"}}],
                }
            ],
        )
    )
    assert found.details["dosage"] == "0.5 comprimé, 2 × / 1 d (CM, CV), Voie orale"
    assert found.started_on is not None and found.started_on.text == "2025-05-02"
    assert found.ended_on is not None and found.ended_on.text == "2025-05-31"


def test_a_long_dosage_is_whole_in_the_note() -> None:
    words = "un comprimé " * 60
    found = entry(request(dosageInstruction=[{"text": words}]))
    assert found.details["dosage"].endswith("…") and len(found.details["dosage"]) <= 500
    assert found.note == words.strip()


def test_the_medication_may_be_elsewhere_in_the_body() -> None:
    named = {"resourceType": "Medication", "id": "m", "code": {"text": "Doliprane"}}
    mixed = {
        "resourceType": "Medication",
        "id": "m",
        "ingredient": [
            {"itemCodeableConcept": {"text": "Glucose"}},
            {"itemReference": {"reference": "#salt"}},
        ],
    }
    salt = {"resourceType": "Medication", "id": "salt", "code": {"text": "Sodium"}}
    statement = {"resourceType": "MedicationStatement", "status": "active"}
    for reference in ("#m", "Medication/m"):
        meant = {**statement, "medicationReference": {"reference": reference}}
        assert entry(meant, named).label == "Doliprane"
    inside = {**statement, "medicationReference": {"reference": "#m"}, "contained": [mixed, salt]}
    assert entry(inside).label == "Glucose + Sodium"
    only_named = {**statement, "medicationReference": {"display": "Aspirine"}}
    assert entry(only_named).label == "Aspirine"
    lost = {**statement, "medicationReference": {"reference": "Medication/other"}}
    assert aside(lost) == (Reason.NOT_SUPPORTED, True)


def test_a_statement() -> None:
    found = entry(
        {
            "resourceType": "MedicationStatement",
            "status": "stopped",
            "medicationCodeableConcept": {"text": "Cilazapril"},
            "effectivePeriod": {"start": "2015-03", "end": "2016"},
        }
    )
    assert found.status is EntryStatus.INACTIVE
    assert found.started_on is not None and found.started_on.text == "2015-03"
    assert found.ended_on is not None and found.ended_on.text == "2016"
    assert found.details == {"kind": "statement"}


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"doNotPerform": True}, (Reason.NOT_DONE, False)),
        ({"status": "cancelled"}, (Reason.NOT_DONE, False)),
        ({"status": "draft"}, (Reason.NOT_SUPPORTED, False)),
        ({"status": "entered-in-error"}, (Reason.ENTERED_IN_ERROR, False)),
    ],
)
def test_what_is_no_prescription(more: dict[str, Any], answer: tuple[Reason, bool]) -> None:
    assert aside(request(**more)) == answer


def test_no_known_medication_is_nothing_to_declare() -> None:
    (found,) = read(request(medicationCodeableConcept=coded("787481004")))
    assert isinstance(found, NothingToDeclareItem) and found.section is Section.TREATMENTS
