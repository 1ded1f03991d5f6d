"""Whose it is: found inside the body or by an identifier, and never guessed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from carnet.intake import fhir
from carnet.intake.model import EntryItem, ImmunizationItem, PatientItem, Reading, Reason, Skipped
from carnet.people.tables import Sex
from carnet.records.tables import EntryStatus, Section
from carnet.values import Identifier

INS = "urn:oid:1.2.250.1.213.1.4.8"
ALIX = {"resourceType": "Patient", "id": "p1", "birthDate": "1980-05"}
SAM = {"resourceType": "Patient", "id": "p1", "birthDate": "1999"}


def dose(subject: Any, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "id": "dose",
        "status": "completed",
        "vaccineCode": {"text": "BCG"},
        "patient": subject,
        **more,
    }


def read(*entries: dict[str, Any]) -> Reading:
    return fhir.read(
        orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    )


def owner(reading: Reading) -> str | None:
    """Return the birth date of whom the dose is, None when it was refused for want of a patient."""
    (item,) = [i for i in reading.items if i.source_key.endswith("dose")]
    if isinstance(item, Skipped):
        assert (item.reason, item.is_refused) == (Reason.NO_PATIENT, True)
        return None
    assert isinstance(item, ImmunizationItem)
    born = reading.patients[item.patient].birth_date
    assert born is not None
    return born.text


def test_by_full_url() -> None:
    url = "urn:uuid:0b5a2d5e-0000-4000-8000-000000000001"
    assert owner(
        read({"fullUrl": url, "resource": ALIX}, {"resource": dose({"reference": url})})
    ) == ("1980-05")


def test_by_type_and_id() -> None:
    assert (
        owner(read({"resource": ALIX}, {"resource": dose({"reference": "Patient/p1"})}))
        == "1980-05"
    )


def test_a_version_in_a_reference_does_not_matter() -> None:
    reading = read({"resource": ALIX}, {"resource": dose({"reference": "Patient/p1/_history/3"})})
    assert owner(reading) == "1980-05"


def test_contained() -> None:
    assert owner(read({"resource": dose({"reference": "#p1"}, contained=[ALIX])})) == "1980-05"


def test_a_contained_patient_hides_an_entry_of_the_same_id() -> None:
    reading = read({"resource": ALIX}, {"resource": dose({"reference": "#p1"}, contained=[SAM])})
    assert owner(reading) == "1999"


def test_a_hash_may_mean_an_entry_as_french_prescriptions_write_it() -> None:
    assert owner(read({"resource": ALIX}, {"resource": dose({"reference": "#p1"})})) == "1980-05"


def test_relative_references_stay_on_their_server() -> None:
    here, there = "https://here.example/fhir/", "https://there.example/fhir/"
    patients = (
        {"fullUrl": f"{here}Patient/p1", "resource": ALIX},
        {"fullUrl": f"{there}Patient/p1", "resource": SAM},
    )
    for base, born in ((here, "1980-05"), (there, "1999")):
        entry = {
            "fullUrl": f"{base}Immunization/dose",
            "resource": dose({"reference": "Patient/p1"}),
        }
        assert owner(read(*patients, entry)) == born
    lost = {
        "fullUrl": "https://third.example/fhir/Immunization/dose",
        "resource": dose({"reference": "Patient/p1"}),
    }
    assert owner(read(*patients, lost)) is None
    assert owner(read(patients[0], lost)) is None


def test_two_patients_of_one_id_are_in_doubt() -> None:
    reading = read(
        {"fullUrl": "urn:uuid:1", "resource": ALIX},
        {"fullUrl": "urn:uuid:2", "resource": SAM},
        {"resource": dose({"reference": "Patient/p1"})},
    )
    assert owner(reading) is None


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {},
        {"display": "Alix Dupont"},
        {"reference": "Patient/other"},
        {"reference": "https://elsewhere.example/Patient/p1"},
        {"reference": "urn:uuid:7d5a2d5e-0000-4000-8000-000000000009"},
        {"reference": "#nobody"},
        {"reference": "#"},
        {"reference": "Organization/o1"},
        {"identifier": {"value": "1"}},
        {"identifier": {"system": INS}},
        {"type": "Group", "identifier": {"system": INS, "value": "1"}},
        {"reference": f"Patient?identifier={INS}"},
        {"reference": "Patient?identifier=|1"},
        {"reference": f"Patient?identifier={INS}|"},
        {"reference": f"Patient?identifier={INS}|1,{INS}|2"},
        {"reference": f"Patient?identifier={INS}|1&birthdate=1980"},
        {"reference": "Patient?family=Dupont"},
        {"reference": f"Group?identifier={INS}|1"},
        {"reference": f"https://elsewhere.example/Patient?identifier={INS}|1"},
    ],
)
def test_whoever_the_body_does_not_name_is_refused(subject: Any) -> None:
    organization = {"resourceType": "Organization", "id": "o1"}
    reading = read({"resource": ALIX}, {"resource": organization}, {"resource": dose(subject)})
    assert owner(reading) is None
    assert list(reading.patients) == ["Patient/p1"]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": f"Patient?identifier={INS}|280057512345612"},
        {"reference": "Patient?identifier=urn%3Aoid%3A1.2.250.1.213.1.4.8%7C280057512345612"},
        {"identifier": {"system": INS, "value": "280057512345612"}},
        {"type": "Patient", "identifier": {"system": INS, "value": " 280057512345612 "}},
        {"reference": "Patient/9", "identifier": {"system": INS, "value": "280057512345612"}},
    ],
)
def test_an_identifier_names_a_patient(subject: dict[str, Any]) -> None:
    reading = fhir.read(orjson.dumps(dose(subject)))
    (item,) = reading.items
    assert isinstance(item, ImmunizationItem)
    assert "2800575" not in repr(reading)
    claim = reading.patients[item.patient]
    assert claim.identifiers == (Identifier(INS, "280057512345612"),)
    assert claim.is_reference


def test_the_same_identifier_is_one_patient() -> None:
    subject = {"identifier": {"system": INS, "value": "1"}}
    other = {"identifier": {"system": INS, "value": "2"}}
    reading = read(
        *({"resource": dose(each, id=str(n))} for n, each in enumerate([subject, other, subject]))
    )
    first, second, third = reading.items
    assert isinstance(first, ImmunizationItem) and isinstance(second, ImmunizationItem)
    assert isinstance(third, ImmunizationItem)
    assert first.patient == third.patient != second.patient
    assert len(reading.patients) == 2


def test_a_malformed_patient_takes_only_its_own_items_along() -> None:
    reading = read(
        {"resource": {**ALIX, "birthDate": 1980}},
        {"resource": dose({"reference": "Patient/p1"})},
        {"resource": dose({"identifier": {"system": INS, "value": "1"}}, id="other")},
    )
    patient, lost, other = reading.items
    assert isinstance(patient, Skipped) and patient.reason is Reason.MALFORMED
    assert isinstance(lost, Skipped) and lost.is_refused
    assert isinstance(other, ImmunizationItem)
    assert list(reading.patients) == [other.patient]


def test_what_is_refused_registers_nobody() -> None:
    broken = dose({"reference": "#p1"}, contained=[ALIX], occurrenceDateTime="yesterday")
    assert fhir.read(orjson.dumps(broken)).patients == {}


def test_a_french_patient() -> None:
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"use": "official", "system": INS, "value": "280057512345612"},
            {"use": "old", "system": INS, "value": "180057512345612"},
            {"system": "https://hospital.example/ipp"},
        ],
        "name": [
            {"use": "usual", "family": "MARTIN", "given": ["Alix"]},
            {
                "use": "official",
                "family": "DUPONT",
                "given": ["Alix"],
                "extension": [
                    {
                        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name",
                        "valueString": "Alix Jeanne",
                    }
                ],
            },
        ],
        "gender": "female",
        "birthDate": "1980-05",
        "deceasedDateTime": "2024-02-03T04:05:06+01:00",
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {
                    "extension": [
                        {
                            "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code",
                            "valueCoding": {"code": "75112"},
                        }
                    ]
                },
            }
        ],
    }
    reading = fhir.read(orjson.dumps(patient))
    (item,) = reading.items
    assert isinstance(item, PatientItem)
    claim = reading.patients[item.patient]
    assert claim.identifiers == (Identifier(INS, "280057512345612"),)
    assert (claim.birth_family_name, claim.used_family_name) == ("DUPONT", "MARTIN")
    assert claim.given_names == ("Alix", "Jeanne")
    assert claim.birth_date is not None and claim.birth_date.text == "1980-05"
    assert claim.sex is Sex.FEMALE
    assert claim.birth_place_code == "75112"
    assert claim.is_deceased
    assert claim.deceased_on is not None and claim.deceased_on.text == "2024-02-03"
    assert not claim.is_reference


@pytest.mark.parametrize(
    ("names", "birth", "used"),
    [
        ([{"family": "A"}], "A", None),
        ([{"use": "official", "family": "A"}, {"use": "maiden", "family": "B"}], "B", "A"),
        ([{"use": "old", "family": "A"}, {"use": "usual", "family": "B"}], "A", "B"),
        (
            [
                {
                    "use": "official",
                    "family": "A-B",
                    "_family": {
                        "extension": [
                            {
                                "url": "http://hl7.org/fhir/StructureDefinition/humanname-own-name",
                                "valueString": "B",
                            }
                        ]
                    },
                }
            ],
            "B",
            "A-B",
        ),
        ([{"use": "usual", "family": "A"}, {"use": "official", "family": "A"}], "A", None),
        ([], None, None),
    ],
)
def test_names_at_birth_and_in_use(
    names: list[dict[str, Any]], birth: str | None, used: str | None
) -> None:
    reading = fhir.read(orjson.dumps({**ALIX, "name": names}))
    claim = reading.patients["Patient/p1"]
    assert (claim.birth_family_name, claim.used_family_name) == (birth, used)


def test_contacts_and_related_persons_are_the_entourage() -> None:
    patient = {
        **ALIX,
        "contact": [
            {
                "name": {"given": ["Rose"], "family": "Dupont"},
                "relationship": [{"text": "mère"}],
                "telecom": [
                    {"system": "email", "value": "x"},
                    {"system": "phone", "value": "0601"},
                ],
            },
            {"relationship": [{"text": "inconnue"}]},
        ],
    }
    related = {
        "resourceType": "RelatedPerson",
        "id": "r1",
        "patient": {"reference": "Patient/p1"},
        "active": False,
        "name": [{"text": "Paul D."}],
    }
    _, mother, friend = read({"resource": patient}, {"resource": related}).items
    assert isinstance(mother, EntryItem) and isinstance(friend, EntryItem)
    assert (mother.section, mother.label) == (Section.ENTOURAGE, "Rose Dupont")
    assert mother.details == {"relationship": "mère", "phone": "0601"}
    assert mother.source_key == "Patient/p1#contact-1"
    assert (friend.label, friend.status) == ("Paul D.", EntryStatus.INACTIVE)


def test_patients_stay_out_of_reprs() -> None:
    reading = fhir.read(orjson.dumps({**ALIX, "name": [{"family": "SECRETNAME"}]}))
    assert "SECRETNAME" not in repr(reading) and "1980" not in repr(reading)
