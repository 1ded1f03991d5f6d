"""Facts of the profile and doses: what each resource becomes, and what becomes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from carnet.intake import fhir
from carnet.intake.model import (
    EntryItem,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    Reason,
    Skipped,
)
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding

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


# Immunizations


def dose(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"text": "BCG", "coding": [{"system": "urn:s", "code": "19"}]},
        **more,
    }


def given(**more: Any) -> ImmunizationItem:
    (found,) = read(dose(**more))
    assert isinstance(found, ImmunizationItem), found
    return found


def test_a_dose() -> None:
    found = given(
        occurrenceDateTime="2021-03-04T23:30:00-08:00",
        lotNumber=" AB12 ",
        isSubpotent=True,
        protocolApplied=[
            {"doseNumberPositiveInt": 2, "targetDisease": [coded("56717001", text="Tuberculose")]}
        ],
    )
    assert (found.vaccine_label, found.codings) == ("BCG", (Coding("urn:s", "19"),))
    assert found.given_on is not None and found.given_on.text == "2021-03-04"
    assert (found.lot_number, found.dose_rank, found.is_subpotent) == ("AB12", 2, True)
    assert found.target_diseases == (Coding(SNOMED, "56717001"),)


@pytest.mark.parametrize(
    ("time", "known"),
    [
        ({"occurrenceDateTime": "1996"}, "1996"),
        ({"occurrenceDateTime": "1996-02"}, "1996-02"),
        ({"occurrenceString": "January 2012"}, None),
        ({"occurrenceString": "date inconnue"}, None),
        ({"occurrenceString": "2012-01"}, "2012-01"),
        ({"_occurrenceDateTime": {"extension": []}}, None),
        ({}, None),
    ],
)
def test_a_date_is_as_exact_as_it_is_written_or_unknown(
    time: dict[str, Any], known: str | None
) -> None:
    found = given(**time)
    assert (found.given_on.text if found.given_on else None) == known


@pytest.mark.parametrize(
    "date",
    ["04/03/2021", "2021-13", "2021-02-30", "0000", "2021-03-04 10:00", "2021-03T10:00", 2021, ""],
)
def test_a_date_that_is_none_is_refused_and_not_unknown(date: Any) -> None:
    if date == "":
        assert given(occurrenceDateTime=date).given_on is None
    else:
        assert aside(dose(occurrenceDateTime=date)) == (Reason.MALFORMED, True)


@pytest.mark.parametrize(
    ("protocols", "rank"),
    [
        ([{"doseNumberString": "2"}], 2),
        ([{"doseNumberString": "2/3"}], 2),
        ([{"doseNumberString": "2 of 3"}], 2),
        ([{"doseNumberString": "rappel"}], None),
        ([{"doseNumberString": "0"}], None),
        ([{"doseNumberPositiveInt": 1}, {"doseNumberPositiveInt": 1}], 1),
        ([{"doseNumberPositiveInt": 1}, {"doseNumberPositiveInt": 2}], None),
        ([{"series": "1"}], None),
    ],
)
def test_ranks(protocols: list[dict[str, Any]], rank: int | None) -> None:
    assert given(protocolApplied=protocols).dose_rank == rank


@pytest.mark.parametrize(
    "said", [{"status": "not-done"}, {"notGiven": True}, {"wasNotGiven": True}]
)
def test_what_was_not_done_is_no_vaccination(said: dict[str, Any]) -> None:
    assert aside(dose(**said)) == (Reason.NOT_DONE, False)


def test_other_states_of_a_dose() -> None:
    assert aside(dose(status="entered-in-error")) == (Reason.ENTERED_IN_ERROR, False)
    assert aside(dose(status=None)) == (Reason.MALFORMED, True)
    assert aside(dose(vaccineCode={})) == (Reason.MALFORMED, True)
    assert aside(dose(vaccineCode=coded("no-immunization-info"))) == (Reason.NOT_SUPPORTED, False)
    assert aside(dose(lotNumber="x" * 101)) == (Reason.MALFORMED, True)
    assert aside(dose(modifierExtension=[{"url": "urn:x"}])) == (Reason.NOT_SUPPORTED, True)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ImmunizationRecommendation", Reason.NOT_SUPPORTED),
        ("MedicationDispense", Reason.NOT_ADMINISTERED),
        ("Claim", Reason.ADMINISTRATIVE),
        ("ExplanationOfBenefit", Reason.ADMINISTRATIVE),
        ("Slot", Reason.ADMINISTRATIVE),
        ("Organization", Reason.REFERENCE_DATA),
        ("Medication", Reason.REFERENCE_DATA),
        ("CarePlan", Reason.NOT_SUPPORTED),
        ("NeverHeardOf", Reason.NOT_SUPPORTED),
    ],
)
def test_types_that_are_not_read(kind: str, reason: Reason) -> None:
    assert aside({"resourceType": kind}) == (reason, False)


# Allergies and conditions


def allergy(**more: Any) -> dict[str, Any]:
    return {"resourceType": "AllergyIntolerance", "code": {"text": "Arachide"}, **more}


def test_an_allergy() -> None:
    found = entry(
        allergy(
            clinicalStatus={"coding": [{"code": "active"}]},
            category=["food", "biologic"],
            criticality="high",
            onsetDateTime="2011",
            reaction=[{"manifestation": [{"text": "Urticaire"}], "description": "En 10 minutes"}],
            note=[{"text": "Trousse d'urgence"}],
        )
    )
    assert (found.section, found.label) == (Section.ALLERGIES, "Arachide")
    assert found.status is EntryStatus.ACTIVE
    assert found.started_on is not None and found.started_on.text == "2011"
    assert found.note == "En 10 minutes\nTrousse d'urgence"
    assert found.details == {
        "category": "food, biologic",
        "criticality": "high",
        "reaction": "Urticaire",
    }


def test_an_allergy_may_be_named_by_its_substance() -> None:
    substance = coded("227493005", text="Noix de cajou")
    found = entry({"resourceType": "AllergyIntolerance", "reaction": [{"substance": substance}]})
    assert (found.label, found.codings) == ("Noix de cajou", (Coding(SNOMED, "227493005"),))


@pytest.mark.parametrize("code", ["716186003", "no-known-allergies"])
def test_no_known_allergy_is_nothing_to_declare(code: str) -> None:
    (found,) = read(allergy(code=coded(code)))
    assert found == NothingToDeclareItem("AllergyIntolerance/x", "Patient/p1", Section.ALLERGIES)
    refuted = allergy(code=coded(code), verificationStatus=coded("refuted"))
    assert aside(refuted) == (Reason.NOT_DONE, False)
    over = allergy(code=coded(code), clinicalStatus=coded("resolved"))
    assert aside(over) == (Reason.NOT_DONE, False)


@pytest.mark.parametrize("code", ["409137002", "no-known-food-allergies", "no-allergy-info"])
def test_denials_in_part_are_neither_facts_nor_nothing(code: str) -> None:
    assert aside(allergy(code=coded(code))) == (Reason.NOT_SUPPORTED, False)


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "code": {"text": "Asthme"}, **more}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"clinicalStatus": coded("active")}, EntryStatus.ACTIVE),
        ({"clinicalStatus": coded("recurrence")}, EntryStatus.ACTIVE),
        ({"clinicalStatus": coded("remission")}, EntryStatus.INACTIVE),
        ({"clinicalStatus": coded("resolved")}, EntryStatus.RESOLVED),
        ({"abatementDateTime": "2020"}, EntryStatus.RESOLVED),
        ({"verificationStatus": coded("refuted")}, EntryStatus.REFUTED),
        ({}, EntryStatus.UNKNOWN),
    ],
)
def test_the_status_of_a_condition(said: dict[str, Any], status: EntryStatus) -> None:
    assert entry(condition(**said)).status is status


def test_times_of_a_condition() -> None:
    found = entry(
        condition(onsetAge={"value": 4, "unit": "ans"}, abatementString="à l'adolescence")
    )
    assert (found.started_on, found.note) == (None, "onset: 4 ans\nabatement: à l'adolescence")
    found = entry(condition(onsetPeriod={"start": "2019-05", "end": "2020"}))
    assert found.started_on is not None and found.started_on.text == "2019-05"
    assert found.ended_on is not None and found.ended_on.text == "2020"
    withdrawn = condition(verificationStatus=coded("entered-in-error"))
    assert aside(withdrawn) == (Reason.ENTERED_IN_ERROR, False)
    assert aside(condition(code=None)) == (Reason.MALFORMED, True)


# Treatments


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


# Observations


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


# The other sections


def test_a_procedure() -> None:
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"text": "Prothèse"},
        "performedPeriod": {"start": "2018-11-06", "end": "2018-11-07"},
        "bodySite": [{"text": "Genou droit"}],
        "performer": [{"actor": {"display": "Dr Faure"}}],
    }
    found = entry(procedure)
    assert (found.section, found.status) == (Section.PROCEDURES, EntryStatus.RESOLVED)
    assert found.ended_on is not None and found.ended_on.text == "2018-11-07"
    assert found.details == {"bodySite": "Genou droit", "performer": "Dr Faure"}
    assert aside({**procedure, "status": "not-done"}) == (Reason.NOT_DONE, False)
    assert aside({**procedure, "status": "preparation"}) == (Reason.NOT_SUPPORTED, False)


def test_a_stay() -> None:
    stay = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "IMP", "display": "inpatient"},
        "type": [{"text": "Séjour en cardiologie"}],
        "reasonCode": [{"text": "Décompensation"}],
        "period": {"start": "2026-08-19T10:00:00+02:00", "end": "2026-08-28"},
        "serviceProvider": {"reference": "Organization/o"},
    }
    hospital = {"resourceType": "Organization", "id": "o", "name": "CHU"}
    found = entry(stay, hospital)
    assert (found.section, found.label) == (Section.STAYS, "Séjour en cardiologie")
    assert found.started_on is not None and found.started_on.text == "2026-08-19"
    assert found.details == {"class": "IMP", "reason": "Décompensation", "location": "CHU"}
    assert entry({**stay, "type": [], "reasonCode": []}).label == "inpatient"
    assert aside({**stay, "status": "planned"}) == (Reason.NOT_SUPPORTED, False)
    assert aside({**stay, "status": "cancelled"}) == (Reason.NOT_DONE, False)


def test_the_family() -> None:
    history = {
        "resourceType": "FamilyMemberHistory",
        "status": "completed",
        "relationship": {"text": "père"},
        "condition": [
            {"code": {"text": "Cancer"}, "onsetAge": {"value": 50, "unit": "a"}},
            {"code": coded("73211009", text="Diabète")},
        ],
    }
    cancer, diabetes = read(history)
    assert isinstance(cancer, EntryItem) and isinstance(diabetes, EntryItem)
    assert (cancer.label, cancer.note) == ("Cancer", "onset: 50 a")
    assert cancer.details == diabetes.details == {"relationship": "père"}
    assert diabetes.source_key == "FamilyMemberHistory/x#73211009"
    assert aside({**history, "condition": []}) == (Reason.NOT_SUPPORTED, False)


def test_advance_directives() -> None:
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "category": [{"coding": [{"system": "s", "code": "acd", "display": "Directives"}]}],
        "dateTime": "2021-09-01",
        "provision": {"code": [{"text": "Pas de réanimation"}]},
    }
    found = entry(consent)
    assert (found.section, found.label) == (Section.ADVANCE_DIRECTIVES, "Directives")
    assert (found.status, found.note) == (EntryStatus.ACTIVE, "Pas de réanimation")
    research = {**consent, "category": [coded("research")]}
    assert aside(research) == (Reason.NOT_SUPPORTED, False)


# Texts and codes


def test_labels() -> None:
    both = {"coding": [{"display": "喘息"}, {"display": "Asthme", "system": "s", "code": "1"}]}
    found = entry(condition(code=both))
    assert (found.label, found.codings) == ("Asthme", (Coding("s", "1", "Asthme"),))
    assert entry(condition(code={"coding": [{"code": "J45"}]})).label == "J45"
    assert entry(condition(code={"text": "a" * 501})).label == "a" * 499 + "…"
    assert len(entry(condition(code=coded(*map(str, range(50)), text="x"))).codings) == 20


def test_long_notes_are_cut_and_show_it() -> None:
    found = entry(condition(note=[{"text": "a" * 9000}, {"text": "b" * 9000}]))
    assert found.note is not None and len(found.note) == 10_000 and found.note.endswith("b…")


@pytest.mark.parametrize(
    "broken",
    [
        {"code": {"text": "nul\0"}},
        {"code": {"text": 7}},
        {"code": []},
        {"code": {"coding": {}}},
        {"code": {"coding": [None]}},
        {"code": {"coding": [{"system": "s", "code": "c" * 501}]}},
        {"note": [{"text": "\0"}]},
        {"onsetDateTime": ["2020"]},
        {"clinicalStatus": "active"},
    ],
)
def test_wrong_types_and_null_characters_are_refused(broken: dict[str, Any]) -> None:
    assert aside(condition(**{"code": {"text": "x"}, **broken})) == (Reason.MALFORMED, True)
