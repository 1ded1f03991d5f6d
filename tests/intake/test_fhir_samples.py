"""The FHIR reader on every real sample, compared with facts that were found independently."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from carnet.errors import ValidationFailed
from carnet.intake import fhir
from carnet.intake.model import (
    DocumentItem,
    Flag,
    ImmunizationItem,
    PatientItem,
    Reading,
    Reason,
    Skipped,
)
from carnet.people.tables import Sex

FOLDERS = (
    "synthea-r4",
    "ips",
    "us-core",
    "fhir-r4-spec",
    "fr-fhir-dmp",
    "fr-fhir-agenda",
    "fr-fhir-eprescription",
    "smart-health-cards",
)
HOME = "https://home.example.org/Patient/known"


@pytest.fixture
def expected(samples: Path) -> dict[str, Any]:
    found = json.loads((samples / "EXPECTED_fhir.json").read_text("utf-8"))
    return {name: facts for name, facts in found.items() if name.endswith(".json")}


@cache
def at_home(path: Path) -> Reading:
    """Read a file as if its outside patient were in it: what it says of others is not touched."""
    root = json.loads(path.read_bytes())
    first = fhir.read(path.read_bytes())
    if not any(isinstance(i, Skipped) and i.reason is Reason.NO_PATIENT for i in first.items):
        return first
    entries = root["entry"] if root["resourceType"] == "Bundle" else [{"resource": root}]
    for entry in entries:
        for name in ("subject", "patient"):
            if name in entry["resource"]:
                entry["resource"][name] = {"reference": HOME}
    patient = {"resourceType": "Patient", "birthDate": "1970-01-01"}
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [*entries, {"fullUrl": HOME, "resource": patient}],
    }
    reading = fhir.read(orjson.dumps(bundle))
    return Reading(reading.format, reading.patients, reading.items[:-1])


def files(samples: Path) -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((samples / folder).glob("*.json"))]
    assert found, "the sample folders are empty"
    return found


def resources(path: Path) -> list[dict[str, Any]]:
    root = json.loads(path.read_bytes())
    if root["resourceType"] == "Bundle":
        return [entry["resource"] for entry in root["entry"]]
    return [root]


def test_every_resource_is_accounted_for(samples: Path, expected: dict[str, Any]) -> None:
    read = 0
    for path in files(samples):
        name = f"{path.parent.name}/{path.name}"
        if name not in expected:  # a payload or key set that is no FHIR resource
            with pytest.raises(ValidationFailed):
                fhir.read(path.read_bytes())
            continue
        reading = fhir.read(path.read_bytes())
        keys = list(dict.fromkeys(item.source_key.partition("#")[0] for item in reading.items))
        assert len(keys) == len(resources(path)), name
        assert len({item.source_key for item in reading.items}) == len(reading.items), name
        counts = expected[name].get("counts")
        assert counts is None or sum(counts.values()) == len(keys), name
        read += 1
    assert read >= 90


def test_nothing_is_refused_but_for_its_patient_or_a_lost_medication(
    samples: Path, expected: dict[str, Any]
) -> None:
    reasons = Counter(
        (item.kind, item.reason)
        for name in expected
        for item in at_home(samples / name).items
        if isinstance(item, Skipped) and item.is_refused
    )
    # One French prescription refers to a Medication by an id that no entry has.
    assert reasons == {("MedicationRequest", Reason.NOT_SUPPORTED): 1}


def test_immunizations(samples: Path, expected: dict[str, Any]) -> None:
    compared = 0
    for name, facts in expected.items():
        doses = facts.get("immunizations")
        if doses is None:
            continue
        found = [i for i in at_home(samples / name).items if isinstance(i, ImmunizationItem)]
        given = [dose for dose in doses if dose["status"] == "completed"]
        assert [[[c.system, c.code] for c in i.codings] for i in found] == [
            dose["codes"] for dose in given
        ], name
        assert [i.lot_number for i in found] == [dose["lot"] for dose in given], name
        assert [i.given_on and i.given_on.text for i in found] == [
            found_date(dose["date"]) for dose in given
        ], name
        assert [[i.dose_rank] if i.dose_rank else [] for i in found] == [
            dose["dose"] for dose in given
        ], name
        compared += len(found)
    assert compared >= 120


def found_date(said: str | None) -> str | None:
    found = re.match(r"\d{4}(-\d\d)?(-\d\d)?", said or "")
    return found[0] if found else None


def test_documents(samples: Path, expected: dict[str, Any]) -> None:
    compared = 0
    for name, facts in expected.items():
        documents = facts.get("documents")
        if documents is None:
            continue
        found = [
            i
            for i in at_home(samples / name).items
            if isinstance(i, DocumentItem)
            and (i.original is None or i.original.media_type != "application/fhir+json")
        ]
        assert len(found) == len(documents), name
        for item, fact in zip(found, documents, strict=True):
            if fact["masterIdentifier"]:
                assert item.unique_id == re.sub("^urn:(oid|uuid):", "", fact["masterIdentifier"])
            assert item.type is not None and item.type.code == fact["type"][0], name
            category = [item.class_code.code] if item.class_code else []
            assert category == fact["category"][:1], name
            assert list(item.confidentiality_codes) == fact["securityLabel"], name
            assert item.is_superseded == (fact["status"] == "superseded"), name
            parts = [item.original, *item.embedded] if item.original else []
            if fact["inlineBytes"]:
                assert [len(part.data) for part in parts] == fact["inlineBytes"], name
                assert [part.media_type for part in parts] == fact["contentType"], name
            elif not parts:
                assert Flag.CONTENT_NOT_ATTACHED in item.flags, name
            compared += 1
    assert compared >= 10


def test_patients(samples: Path, expected: dict[str, Any]) -> None:
    sexes = {"male": Sex.MALE, "female": Sex.FEMALE, "other": Sex.OTHER}
    compared = 0
    for name, facts in expected.items():
        person = facts.get("patient")
        if person is None:
            continue
        reading = fhir.read((samples / name).read_bytes())
        (item,) = [i for i in reading.items if isinstance(i, PatientItem)]
        claim = reading.patients[item.patient]
        numbers = [[i.system, i.value] for i in claim.identifiers]
        assert numbers[:4] == person["identifiers"], name  # the facts list the first four
        assert claim.birth_date is not None and claim.birth_date.text == person["birthDate"], name
        assert claim.sex is sexes.get(person["gender"], Sex.UNKNOWN), name
        assert person["family"] in (claim.birth_family_name, claim.used_family_name), name
        assert claim.is_deceased is person["deceased"], name
        compared += 1
    assert compared >= 20


def test_facts_of_a_document_bundle_belong_to_its_document(samples: Path) -> None:
    for path in sorted((samples / "ips").glob("*.json")):
        reading = fhir.read(path.read_bytes())
        document = reading.items[0]
        assert isinstance(document, DocumentItem) and document.original is not None
        assert document.original.data == path.read_bytes()
        owners = {item.document for item in reading.items if isinstance(item, ImmunizationItem)} - {
            document.source_key
        }
        assert owners == set(), path.name


def test_content_in_another_entry_of_a_submission_is_found(samples: Path) -> None:
    path = samples / "fr-fhir-dmp" / "Bundle-example-td2-iti65-lot-soumission.json"
    reading = fhir.read(path.read_bytes())
    _, document, binary = reading.items
    assert isinstance(document, DocumentItem) and document.original is not None
    assert len(document.original.data) == document.original.claimed_size_bytes == 80
    assert document.original.claimed_sha1 is not None
    assert len(document.original.claimed_sha1) == 20
    assert isinstance(binary, Skipped) and binary.reason is Reason.REFERENCE_DATA
    (claimed,) = reading.patients.values()
    assert claimed.is_reference
    assert [(i.system, i.value) for i in claimed.identifiers] == [
        ("urn:oid:1.2.250.1.213.1.4.8", "123456789012345")
    ]


def test_a_server_of_which_nothing_is_known_names_nobody(samples: Path) -> None:
    reading = fhir.read((samples / "fhir-r4-spec" / "immunization-example.json").read_bytes())
    (item,) = reading.items
    assert isinstance(item, Skipped) and item.is_refused and item.reason is Reason.NO_PATIENT
    assert reading.patients == {}
