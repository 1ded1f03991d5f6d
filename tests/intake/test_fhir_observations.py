"""Observations: which are measurements or ways of life, and which become nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from resources import aside, coded, entry, read

from carnet.intake.model import EntryItem, Reason
from carnet.records.tables import Section


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "Poids"}, **more}


def quantity(value: float, **more: Any) -> dict[str, Any]:
    return {
        "value": value,
        "unit": "kilos",
        "code": "kg",
        "system": "http://unitsofmeasure.org",
        **more,
    }


def test_a_measurement() -> None:
    found = entry(
        observation(
            category=[{"coding": [{"code": "vital-signs"}]}],
            effectiveDateTime="2026-06-12T08:00:00Z",
            valueQuantity=quantity(16.4),
            referenceRange=[{"low": quantity(12), "high": quantity(20.5)}],
        )
    )
    assert found.section is Section.MEASUREMENTS
    assert (found.value, found.unit) == (Decimal("16.4"), "kg")
    assert found.started_on is not None and found.started_on.text == "2026-06-12"
    assert found.details == {
        "category": "vital-signs",
        "targetLow": "12 kg",
        "targetHigh": "20.5 kg",
    }


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0.1, "0.1"),
        (7.0, "7"),
        (1e3, "1000"),
        (-0.0, "0"),
        (12, "12"),
        (160.92554531129556, "160.92554531129556"),
    ],
)
def test_numbers_have_no_artefacts(value: float, kept: str) -> None:
    found = entry(observation(valueQuantity=quantity(value)))
    assert f"{found.value:f}" in (kept, f"-{kept}")


@pytest.mark.parametrize("value", [1e300, 1e-300, True, "7", 10**19, [1]])
def test_numbers_beyond_measure_are_refused(value: Any) -> None:
    assert aside(observation(valueQuantity=quantity(value))) == (Reason.MALFORMED, True)


def test_less_than_is_no_number() -> None:
    found = entry(observation(valueQuantity=quantity(5, comparator="<")))
    assert (found.value, found.details["answer"]) == (None, "< 5 kg")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"valueString": "Positif"}, "Positif"),
        ({"valueCodeableConcept": coded("1", text="Rh+")}, "Rh+"),
        ({"valueBoolean": False}, "no"),
        ({"valueRange": {"low": quantity(1), "high": quantity(2)}}, "1 kg – 2 kg"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, "1 : 128"),
        ({"valuePeriod": {"start": "2020", "end": "2021"}}, "2020 – 2021"),
        ({"valueTime": "12:00:00"}, "12:00:00"),
    ],
)
def test_other_values_are_answers(value: dict[str, Any], answer: str) -> None:
    found = entry(observation(**value))
    assert (found.value, found.details["answer"]) == (None, answer)


def test_a_blood_pressure_is_two_measurements() -> None:
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": name}]},
            "valueQuantity": quantity(value),
        }
        for code, name, value in (("8480-6", "Systolique", 142), ("8462-4", "Diastolique", 80))
    ]
    systolic, diastolic = read(observation(component=parts))
    assert isinstance(systolic, EntryItem) and isinstance(diastolic, EntryItem)
    assert (systolic.source_key, systolic.label, systolic.value) == (
        "Observation/x#8480-6",
        "Systolique",
        Decimal(142),
    )
    assert (diastolic.source_key, diastolic.value) == ("Observation/x#8462-4", Decimal(80))


def test_components_of_one_code_have_keys_of_their_own() -> None:
    part = {"code": {"text": "Douleur"}, "valueInteger": 3}
    found = read(observation(component=[part, part]))
    assert [item.source_key for item in found] == [
        "Observation/x#component",
        "Observation/x#component~2",
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"category": [{"coding": [{"code": "social-history"}]}]},
        {"code": {"text": "Tabac", "coding": [{"system": "http://loinc.org", "code": "72166-2"}]}},
    ],
)
def test_ways_of_life(said: dict[str, Any]) -> None:
    found = entry(observation(**{"valueQuantity": quantity(20, code="/d"), **said}))
    assert found.section is Section.LIFESTYLE
    assert (found.value, found.unit, found.details) == (None, None, {"answer": "20 /d"})


def test_observations_without_a_fact() -> None:
    assert aside(observation()) == (Reason.NOT_SUPPORTED, False)
    panel = observation(hasMember=[{"reference": "Observation/y"}])
    assert aside(panel) == (Reason.NOT_SUPPORTED, False)
    assert aside(observation(status="cancelled", valueInteger=1)) == (Reason.NOT_DONE, False)
    wrong = observation(status="entered-in-error", valueInteger=1)
    assert aside(wrong) == (Reason.ENTERED_IN_ERROR, False)
