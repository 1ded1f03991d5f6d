"""The summary is a valid document, invents nothing, and comes back in as the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

import orjson
import pytest
import world
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from carnet.exports import ips
from carnet.exports.facts import Facts, read_facts
from carnet.exports.writing import dumps
from carnet.intake.actions import take_in
from carnet.intake.fhir import read
from carnet.intake.model import DocumentItem, EntryItem, ImmunizationItem, NothingToDeclareItem
from carnet.people.actor import Assurance, Patient
from carnet.people.tables import Account, AccountKind, Person, PersonIdentifier, Sex
from carnet.records.tables import (
    EntryStatus,
    Immunization,
    NothingToDeclare,
    ProfileEntry,
    Record,
    Section,
    StatedBy,
)
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import PartialDate

ID = UUID(int=2**100)
AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
LOINC = "http://loinc.org"
REQUIRED = {
    "10160-0": "MedicationStatement",
    "48765-2": "AllergyIntolerance",
    "11450-4": "Condition",
}
ENTRY_TYPES = {
    "10160-0": {"MedicationStatement", "MedicationRequest"},
    "48765-2": {"AllergyIntolerance"},
    "11450-4": {"Condition"},
    "11369-6": {"Immunization"},
    "47519-4": {"Procedure"},
    "30954-2": {"Observation"},
    "8716-3": {"Observation"},
    "11348-0": {"Condition"},
    "29762-2": {"Observation"},
    "47420-5": {"Condition"},
    "42348-3": {"Consent", "DocumentReference"},
    "18776-5": {"DocumentReference"},
    "10157-6": {"FamilyMemberHistory"},
    "46240-8": {"Encounter"},
}


def person(**changes: Any) -> Person:
    shape = {
        "id": uuid4(),
        "birth_family_name": "DUPONT",
        "used_family_name": "MARTIN",
        "given_names": ["Alix", "Zoé"],
        "birth_date": PartialDate("1980-05-04"),
        "sex": Sex.FEMALE,
        "birth_place_code": "63220",
        "is_deceased": False,
    }
    return Person(**{**shape, **changes})


def entry(section: Section, label: str, **changes: Any) -> ProfileEntry:
    shape = {
        "id": uuid4(),
        "section": section,
        "label": label,
        "codings": [],
        "status": EntryStatus.ACTIVE,
        "details": {},
        "stated_by": StatedBy.PUBLISHER,
    }
    return ProfileEntry(**{**shape, **changes})


def facts_of(
    *entries: ProfileEntry,
    doses: Sequence[Immunization] = (),
    nothing: Sequence[Section] = (),
    who: Person | None = None,
) -> Facts:
    who = who or person()
    numbers = [
        PersonIdentifier(
            system="urn:oid:1.2.250.1.213.1.4.10", value="279035121518989", is_national=True
        )
    ]
    by_section = {
        section: [row for row in entries if row.section is section] for section in Section
    }
    declared = {
        section: NothingToDeclare(section=section, stated_at=AT, stated_by=StatedBy.HOLDER)
        for section in nothing
    }
    return Facts(who, numbers, by_section, doses, declared, [])


def checked(facts: Facts) -> dict[str, Any]:
    """Return the bundle, after everything that every summary must be."""
    body = dumps(ips.bundle(facts, id_=ID, at=AT))
    Bundle.model_validate_json(body)
    bundle: dict[str, Any] = orjson.loads(body)
    resources = {item["fullUrl"]: item["resource"] for item in bundle["entry"]}
    assert len(resources) == len(bundle["entry"])
    assert bundle["type"] == "document" and bundle["identifier"] and bundle["timestamp"]
    composition = bundle["entry"][0]["resource"]
    assert composition["resourceType"] == "Composition"
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    for url, resource in resources.items():
        assert url == f"urn:uuid:{resource['id']}"
        ElementTree.fromstring(resource["text"]["div"])  # noqa: S314 — written here
    for reference in references(bundle):
        assert reference in resources
    assert resources[composition["subject"]["reference"]]["resourceType"] == "Patient"
    sections = {item["code"]["coding"][0]["code"]: item for item in composition["section"]}
    assert len(sections) == len(composition["section"])
    assert set(REQUIRED) <= set(sections)
    reached = {composition["subject"]["reference"], composition["author"][0]["reference"]}
    for code, section in sections.items():
        listed = [item["reference"] for item in section.get("entry", [])]
        assert {resources[url]["resourceType"] for url in listed} <= ENTRY_TYPES[code]
        assert bool(listed) != ("emptyReason" in section)
        ElementTree.fromstring(section["text"]["div"])  # noqa: S314 — written here
        reached.update(listed)
    left = {resources[url]["resourceType"] for url in set(resources) - reached}
    assert left <= {"Composition", "Practitioner"}
    return bundle


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def section_of(bundle: dict[str, Any], code: str) -> dict[str, Any]:
    composition = bundle["entry"][0]["resource"]
    (found,) = (
        item for item in composition["section"] if item["code"]["coding"][0]["code"] == code
    )
    return dict(found)


def listed(bundle: dict[str, Any], code: str) -> list[dict[str, Any]]:
    resources = {item["fullUrl"]: item["resource"] for item in bundle["entry"]}
    return [resources[item["reference"]] for item in section_of(bundle, code)["entry"]]


def items(bundle: dict[str, Any]) -> list[Any]:
    return [
        item
        for item in read(orjson.dumps(bundle)).items
        if isinstance(item, EntryItem | ImmunizationItem | NothingToDeclareItem)
    ]


def test_nothing_known_is_said_as_that() -> None:
    bundle = checked(facts_of())
    for code, kind in REQUIRED.items():
        (only,) = listed(bundle, code)
        assert only["resourceType"] == kind
        name = {"MedicationStatement": "medicationCodeableConcept"}.get(kind, "code")
        assert only[name]["coding"][0]["code"].endswith("-info")
    assert len(bundle["entry"][0]["resource"]["section"]) == 3
    assert items(bundle) == []


def test_nothing_to_declare_comes_back_as_that() -> None:
    every = list(Section)
    bundle = checked(facts_of(nothing=every))
    said = {item.section for item in items(bundle) if isinstance(item, NothingToDeclareItem)}
    assert said == {
        Section.ALLERGIES,
        Section.CONDITIONS,
        Section.TREATMENTS,
        Section.PROCEDURES,
    }
    assert section_of(bundle, "11369-6")["emptyReason"]["coding"][0]["code"] == "nilknown"
    assert "2026-11-23" in section_of(bundle, "48765-2")["text"]["div"]


FULL = [
    entry(
        Section.ALLERGIES,
        "Pénicilline",
        codings=[{"system": "http://snomed.info/sct", "code": "764146007"}],
        started_on=PartialDate("2011"),
        note="Depuis l'enfance",
        details={"category": "medication, food", "criticality": "high", "reaction": "Urticaire"},
    ),
    entry(
        Section.CONDITIONS,
        "Hypertension artérielle",
        codings=[{"system": "urn:oid:2.16.840.1.113883.6.3", "code": "I10", "display": "HTA"}],
        started_on=PartialDate("2019-05"),
        details={"severity": "modérée", "bodySite": "cœur"},
    ),
    entry(
        Section.CONDITIONS,
        "Fracture du poignet",
        status=EntryStatus.RESOLVED,
        started_on=PartialDate("2001-02-03"),
        ended_on=PartialDate("2001-05"),
    ),
    entry(Section.CONDITIONS, "Statut inconnu", status=EntryStatus.UNKNOWN),
    entry(
        Section.TREATMENTS,
        "Ramipril 5 mg",
        codings=[{"system": "http://www.whocc.no/atc", "code": "C09AA05"}],
        started_on=PartialDate("2019-05"),
        details={"kind": "statement", "dosage": "Un comprimé le matin", "reason": "HTA"},
    ),
    entry(
        Section.TREATMENTS,
        "Metformine 850 mg",
        status=EntryStatus.INACTIVE,
        started_on=PartialDate("2026-09-08"),
        ended_on=PartialDate("2026-12-08"),
        details={"kind": "prescription", "intent": "order", "dosage": "Matin et soir"},
    ),
    entry(
        Section.PROCEDURES,
        "Prothèse totale de genou",
        status=EntryStatus.RESOLVED,
        started_on=PartialDate("2018-11-06"),
        details={"bodySite": "genou droit", "reason": "arthrose", "performer": "CH des Tilleuls"},
    ),
    entry(Section.PROCEDURES, "Appendicectomie", status=EntryStatus.UNKNOWN),
    entry(
        Section.STAYS,
        "Séjour en cardiologie",
        status=EntryStatus.RESOLVED,
        started_on=PartialDate("2026-08-19"),
        ended_on=PartialDate("2026-08-28"),
        details={"class": "IMP", "reason": "décompensation", "location": "CH des Tilleuls"},
    ),
    entry(
        Section.FAMILY_HISTORY,
        "Cancer colorectal",
        status=EntryStatus.UNKNOWN,
        started_on=PartialDate("1999"),
        details={"relationship": "père"},
    ),
    entry(
        Section.LIFESTYLE,
        "Tabac",
        status=EntryStatus.UNKNOWN,
        codings=[{"system": LOINC, "code": "72166-2"}],
        started_on=PartialDate("2026-02-10"),
        details={"answer": "20 cigarettes par jour depuis 1994"},
    ),
    entry(
        Section.MEASUREMENTS,
        "HbA1c",
        status=EntryStatus.UNKNOWN,
        codings=[{"system": LOINC, "code": "4548-4"}],
        started_on=PartialDate("2026-08-20"),
        value=Decimal("7.4"),
        unit="%",
        details={"category": "laboratory", "targetLow": "4 %", "targetHigh": "6.5 %"},
    ),
    entry(
        Section.MEASUREMENTS,
        "Troponine",
        status=EntryStatus.UNKNOWN,
        started_on=PartialDate("2026-08-20"),
        details={"category": "laboratory", "answer": "< 5 ng/L"},
    ),
    entry(
        Section.MEASUREMENTS,
        "Poids",
        status=EntryStatus.UNKNOWN,
        started_on=PartialDate("2026-08-20"),
        value=Decimal("71.25"),
        unit="kg",
        details={"category": "vital-signs"},
        note="à jeun",
    ),
    entry(
        Section.ADVANCE_DIRECTIVES,
        "Ne pas réanimer",
        codings=[
            {"system": "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "code": "dnr"}
        ],
        started_on=PartialDate("2024-03-02"),
        details={"location": "Maître Petit"},
    ),
    entry(
        Section.ENTOURAGE,
        "Paul Dupont",
        status=EntryStatus.UNKNOWN,
        details={"relationship": "époux", "phone": "+33 6 12 34 56 78"},
    ),
]


def compared(item: EntryItem | ProfileEntry) -> tuple[Any, ...]:
    codings = [
        (one["system"], one["code"], one.get("display"))
        if isinstance(one, dict)
        else (one.system, one.code, one.display)
        for one in item.codings
    ]
    return (
        item.section,
        item.label,
        codings,
        item.status,
        item.started_on,
        item.ended_on,
        item.value,
        item.unit,
        item.note,
        item.details,
    )


def test_our_own_reader_finds_the_same_facts() -> None:
    facts = facts_of(*FULL)
    bundle = checked(facts)
    back = {item.label: item for item in items(bundle)}
    for row in FULL:
        assert compared(back.pop(row.label)) == compared(row)
    assert not back


def test_the_document_itself_comes_back_with_its_patient() -> None:
    reading = read(orjson.dumps(checked(facts_of(*FULL))))
    (document,) = (item for item in reading.items if isinstance(item, DocumentItem))
    assert document.unique_id == str(ID)
    assert document.type is not None and document.type.code == "60591-5"
    claim = reading.patients[document.patient]
    assert (claim.birth_family_name, claim.used_family_name) == ("DUPONT", "MARTIN")
    assert claim.given_names == ("Alix", "Zoé")
    assert (claim.birth_date, claim.sex) == (PartialDate("1980-05-04"), Sex.FEMALE)
    assert claim.birth_place_code == "63220"
    assert [item.value for item in claim.identifiers] == ["279035121518989"]


def test_doses_come_back() -> None:
    doses = [
        Immunization(
            id=uuid4(),
            vaccine_label="Vaccin ROR",
            codings=[{"system": "http://www.whocc.no/atc", "code": "J07BD52"}],
            disease_codes=["MEASLES"],
            given_on=PartialDate("1996"),
            lot_number="RR23",
            dose_rank=1,
            is_subpotent=False,
        ),
        Immunization(
            id=uuid4(),
            vaccine_label="Vaccin inconnu",
            codings=[],
            disease_codes=["MUMPS"],
            given_on=None,
            dose_rank=None,
            is_subpotent=True,
        ),
    ]
    first, second = items(checked(facts_of(doses=doses)))
    assert (first.vaccine_label, first.given_on, first.lot_number, first.dose_rank) == (
        "Vaccin ROR",
        PartialDate("1996"),
        "RR23",
        1,
    )
    assert [coding.code for coding in first.codings] == ["J07BD52"]
    assert [coding.code for coding in first.target_diseases] == ["MEASLES"]
    assert (second.given_on, second.dose_rank, second.is_subpotent) == (None, None, True)
    assert [coding.code for coding in second.target_diseases] == ["MUMPS"]


def test_past_problems_stand_apart_and_refuted_ones_nowhere() -> None:
    bundle = checked(facts_of(*FULL, entry(Section.CONDITIONS, "X", status=EntryStatus.REFUTED)))
    assert [row["code"]["text"] for row in listed(bundle, "11348-0")] == ["Fracture du poignet"]
    names = [row["code"]["text"] for row in listed(bundle, "11450-4")]
    assert names == ["Hypertension artérielle", "Statut inconnu"]
    assert "refuted" not in orjson.dumps(bundle).decode()


def test_what_nobody_stated_is_unknown() -> None:
    bundle = checked(
        facts_of(
            entry(Section.CONDITIONS, "A", status=EntryStatus.UNKNOWN),
            entry(Section.STAYS, "B", status=EntryStatus.UNKNOWN),
            entry(Section.FAMILY_HISTORY, "C"),
            entry(Section.MEASUREMENTS, "D", value=Decimal(1)),
            entry(Section.ADVANCE_DIRECTIVES, "E", status=EntryStatus.UNKNOWN),
            who=person(birth_date=None, sex=Sex.UNKNOWN),
        )
    )
    unknown = [{"url": ABSENT, "valueCode": "unknown"}]
    assert listed(bundle, "11450-4")[0]["clinicalStatus"] == {"extension": unknown}
    assert listed(bundle, "46240-8")[0]["class"] == {"extension": unknown}
    assert listed(bundle, "10157-6")[0]["relationship"] == {"extension": unknown}
    observation = listed(bundle, "30954-2")[0]
    assert observation["status"] == "unknown"
    assert observation["_effectiveDateTime"] == {"extension": unknown}
    assert listed(bundle, "42348-3")[0]["_status"] == {"extension": unknown}
    patient = bundle["entry"][1]["resource"]
    assert patient["_birthDate"] == {"extension": unknown}
    assert patient["gender"] == "unknown"


ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def test_the_attending_doctor_is_the_patients_practitioner() -> None:
    doctor = entry(
        Section.ATTENDING_DOCTOR,
        "Dr Anne Bernard",
        status=EntryStatus.UNKNOWN,
        details={"rpps": "10003456789", "phone": "01 02", "location": "Cabinet des Lilas"},
    )
    former = entry(Section.ATTENDING_DOCTOR, "Dr Vieux", ended_on=PartialDate("2020"))
    bundle = checked(facts_of(doctor, former))
    assert bundle["entry"][1]["resource"]["generalPractitioner"] == [
        {"reference": f"urn:uuid:{doctor.id}", "display": "Dr Anne Bernard"}
    ]
    (only,) = (
        item["resource"]
        for item in bundle["entry"]
        if item["resource"]["resourceType"] == "Practitioner"
    )
    assert only["identifier"][0]["value"] == "10003456789"


def test_numbers_keep_their_digits() -> None:
    row = entry(Section.MEASUREMENTS, "Sodium", value=Decimal("140.00"), unit="mmol/L")
    assert b'"value": 140.00' in dumps(ips.bundle(facts_of(row), id_=ID, at=AT))


@pytest.mark.parametrize("section", [one for one in Section if one is not Section.IMMUNIZATIONS])
def test_a_label_that_cannot_be_shown_and_a_code_that_is_none(section: Section) -> None:
    row = entry(section, "\x01", codings=[{"system": " a b ", "code": " "}])
    assert b"{}" not in dumps(ips.bundle(facts_of(row), id_=ID, at=AT))
    checked(facts_of(row))


TEXT = st.text(max_size=40)
DETAILS = [
    "category",
    "criticality",
    "reaction",
    "severity",
    "bodySite",
    "kind",
    "dosage",
    "intent",
    "reason",
    "performer",
    "class",
    "location",
    "relationship",
    "answer",
    "targetLow",
    "targetHigh",
    "role",
    "phone",
    "rpps",
]
DAYS = st.sampled_from(
    [None, PartialDate("1999"), PartialDate("2001-02"), PartialDate("2020-01-31")]
)


@st.composite
def entries(draw: st.DrawFn) -> ProfileEntry:
    return entry(
        draw(st.sampled_from([one for one in Section if one is not Section.IMMUNIZATIONS])),
        draw(TEXT.filter(str.strip)),
        codings=[
            {"system": draw(TEXT), "code": draw(TEXT), "display": draw(TEXT)}
            for _ in range(draw(st.integers(0, 2)))
        ],
        status=draw(st.sampled_from(EntryStatus)),
        started_on=draw(DAYS),
        ended_on=draw(DAYS),
        value=draw(st.none() | st.decimals(allow_nan=False, allow_infinity=False)),
        unit=draw(st.none() | TEXT),
        note=draw(st.none() | TEXT),
        details=draw(st.dictionaries(st.sampled_from(DETAILS), TEXT, max_size=6)),
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(entries(), max_size=6))
def test_whatever_was_stated_makes_a_valid_document(rows: list[ProfileEntry]) -> None:
    read(orjson.dumps(checked(facts_of(*rows))))


@pytest.mark.parametrize("folder", ["ips", "us-core", "synthea-r4", "fr-fhir-eprescription"])
async def test_summaries_of_real_records_are_valid(
    database: Database, blobs: BlobStore, samples: Path, folder: str
) -> None:
    sender = await world.publisher(database)
    for file in sorted((samples / folder).glob("*.json")):
        await take_in(sender, database, blobs, file.read_bytes(), "application/fhir+json")
    async with database.write() as work:
        people = list(await work.session.scalars(select(Person)))
        for one in people:
            account = Account(
                id=work.new_id(),
                kind=AccountKind.PATIENT,
                person_id=one.id,
                login=f"{one.id}@example.org",
                created_at=work.now,
            )
            work.session.add(account)
    assert people
    for one in people:
        actor = Patient(one.id, one.id, Assurance.SANDBOX)
        async with database.read() as work:
            record_id = await work.session.scalar(
                select(Record.id).where(Record.person_id == one.id)
            )
            assert record_id is not None
            facts = await read_facts(actor, work, record_id)
        bundle = checked(facts)
        rows = [row for each in facts.entries.values() for row in each]
        back = {item.label for item in items(bundle) if isinstance(item, EntryItem)}
        kept = {
            row.label
            for row in rows
            if row.status is not EntryStatus.REFUTED
            and row.section is not Section.ATTENDING_DOCTOR
            and (row.section is not Section.ENTOURAGE or row.status is EntryStatus.UNKNOWN)
        }
        assert back >= kept
