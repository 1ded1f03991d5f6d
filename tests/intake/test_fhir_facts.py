"""Facts of the profile: what each resource becomes, and what becomes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from resources import SNOMED, aside, coded, entry, read

from carnet.intake.model import EntryItem, NothingToDeclareItem, Reason
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding


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
