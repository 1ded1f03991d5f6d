"""Whatever stands in a body, the reader answers; and what it answers can be stored."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.intake import fhir
from carnet.intake.model import EntryItem, ImmunizationItem, Skipped
from carnet.records.sections import LABEL_LIMIT, NOTE_LIMIT
from carnet.values import PartialDate

WHO = {"reference": "Patient/p1"}
CONCEPT = {"text": "x", "coding": [{"system": "http://loinc.org", "code": "1", "display": "d"}]}
QUANTITY = {"value": 1.5, "unit": "mg", "code": "mg", "system": "http://unitsofmeasure.org"}
PERIOD = {"start": "2020-01", "end": "2021-02-03T04:05:06Z"}
RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:oid:1.2", "value": "7", "use": "official"}],
        "name": [{"use": "official", "family": "A", "given": ["B"]}],
        "birthDate": "1980-05",
        "gender": "female",
        "deceasedBoolean": False,
        "contact": [{"name": {"text": "C"}, "telecom": [{"system": "phone", "value": "1"}]}],
    },
    {
        "resourceType": "Organization",
        "id": "o1",
        "name": "CHU",
        "identifier": [{"system": "s", "value": "1"}],
    },
    {
        "resourceType": "PractitionerRole",
        "id": "r1",
        "practitioner": {"display": "D"},
        "organization": {"reference": "Organization/o1"},
        "code": [CONCEPT],
    },
    {
        "resourceType": "DocumentReference",
        "id": "d1",
        "meta": {"security": [{"code": "N"}]},
        "status": "current",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2"},
        "subject": {"identifier": {"system": "urn:oid:1.2", "value": "7"}},
        "type": CONCEPT,
        "category": [CONCEPT],
        "author": [{"reference": "PractitionerRole/r1"}, {"reference": "#a"}],
        "contained": [{"resourceType": "Practitioner", "id": "a", "name": [{"family": "F"}]}],
        "authenticator": {"reference": "#a"},
        "custodian": {"reference": "Organization/o1"},
        "date": "2026-06-12T10:00:00+02:00",
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d0"}}],
        "securityLabel": [CONCEPT],
        "content": [
            {"attachment": {"data": "SGVsbG8=", "size": 5, "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}},
            {"attachment": {"url": "Binary/b1", "title": "t"}, "format": {"code": "f"}},
        ],
        "context": {"period": PERIOD, "facilityType": CONCEPT, "practiceSetting": CONCEPT},
    },
    {"resourceType": "Binary", "id": "b1", "contentType": "text/plain", "data": "SGVsbG8="},
    {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "subject": WHO,
        "code": CONCEPT,
        "issued": "2026-01-01T00:00:00Z",
        "effectivePeriod": PERIOD,
        "performer": [{"reference": "Organization/o1"}],
        "presentedForm": [{"contentType": "text/plain", "data": "SGVsbG8"}],
    },
    {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": CONCEPT,
        "patient": WHO,
        "occurrenceDateTime": "2021-01-01",
        "lotNumber": "L",
        "protocolApplied": [{"doseNumberPositiveInt": 1, "targetDisease": [CONCEPT]}],
    },
    {
        "resourceType": "AllergyIntolerance",
        "patient": WHO,
        "code": CONCEPT,
        "category": ["food"],
        "onsetString": "jadis",
        "reaction": [{"substance": CONCEPT, "manifestation": [CONCEPT]}],
        "note": [{"text": "n"}],
    },
    {
        "resourceType": "Condition",
        "subject": WHO,
        "code": CONCEPT,
        "onsetAge": QUANTITY,
        "abatementPeriod": PERIOD,
    },
    {
        "resourceType": "MedicationRequest",
        "status": "active",
        "subject": WHO,
        "medicationReference": {"reference": "Medication/m1"},
        "dosageInstruction": [
            {
                "timing": {"repeat": {"boundsPeriod": PERIOD, "frequency": 2, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": QUANTITY}],
                "route": CONCEPT,
            }
        ],
    },
    {"resourceType": "Medication", "id": "m1", "ingredient": [{"itemCodeableConcept": CONCEPT}]},
    {
        "resourceType": "Observation",
        "status": "final",
        "subject": WHO,
        "category": [CONCEPT],
        "code": CONCEPT,
        "effectivePeriod": PERIOD,
        "valueQuantity": QUANTITY,
        "referenceRange": [{"low": QUANTITY}],
        "component": [{"code": CONCEPT, "valueRange": {"low": QUANTITY, "high": QUANTITY}}],
    },
    {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": WHO,
        "code": CONCEPT,
        "performer": [{"actor": WHO}],
    },
    {
        "resourceType": "Encounter",
        "status": "finished",
        "subject": WHO,
        "class": {"code": "AMB"},
        "period": PERIOD,
        "location": [{"location": {"reference": "Location/1"}}],
    },
    {
        "resourceType": "FamilyMemberHistory",
        "status": "completed",
        "patient": WHO,
        "relationship": CONCEPT,
        "condition": [{"code": CONCEPT, "onsetRange": {"low": QUANTITY}}],
    },
    {
        "resourceType": "Consent",
        "status": "active",
        "patient": WHO,
        "category": [{"text": "x", "coding": [{"code": "acd"}]}],
    },
    {"resourceType": "RelatedPerson", "patient": WHO, "name": [{"text": "N"}], "period": PERIOD},
    {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "s", "value": "1"},
        "entry": [
            {
                "resource": {
                    "resourceType": "Composition",
                    "status": "final",
                    "subject": {"identifier": {"system": "s", "value": "1"}},
                    "attester": [{"party": {"display": "X"}}],
                    "event": [{"period": PERIOD}],
                    "relatesTo": [{"code": "replaces", "targetIdentifier": {"value": "urn:oid:1"}}],
                }
            }
        ],
    },
]
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"fullUrl": f"https://x.example/{n}", "resource": r} for n, r in enumerate(RESOURCES)
    ],
}

WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        [
            "",
            "\0",
            "#",
            "#a",
            "Patient/p1",
            "Patient?identifier=a|b",
            "Bundle/x/_history/1",
            "entered-in-error",
            "not-done",
            "current",
            "2020-02-30",
            "9999-12-31T23:59:60Z",
            "0001-01-01T00:00:00+14:00",
            "urn:uuid:",
            "urn:oid:1.2",
            "INVISIBLE_PATIENT",
            "Composition",
            "Patient",
            "Bundle",
            "x" * 3000,
        ]
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["reference", "coding", "system", "code", "value", "text", "identifier", "start"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def places(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key or index) below the root."""
    pairs = (
        root.items()
        if isinstance(root, dict)
        else enumerate(root)
        if isinstance(root, list)
        else ()
    )
    for key, value in pairs:
        yield root, key
        yield from places(value)


def strings(value: Any) -> Iterator[str]:
    """Yield every text in a reading but the bytes of documents."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from strings(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from strings(item)


def plain(value: object) -> object:
    assert isinstance(value, (Decimal, bytes)), type(value)
    return str(value)


def check(body: bytes) -> None:
    """Read a body, and hold what is found against what the database can take."""
    try:
        reading = fhir.read(body)
    except ValidationFailed:
        return
    keys = [item.source_key for item in reading.items]
    assert len(keys) == len(set(keys))
    for text in strings(reading):
        assert "\0" not in text
        text.encode()
    orjson.dumps(list(reading.items), default=plain)
    for item in reading.items:
        assert 0 < len(item.source_key) <= 300
        if isinstance(item, Skipped):
            assert item.message and len(item.kind) <= 64
            continue
        assert item.patient in reading.patients
        for name in ("given_on", "started_on", "ended_on"):
            day = getattr(item, name, None)
            assert day is None or PartialDate.parse(day.text) == day
        for name in ("source_created_at", "service_started_at", "service_ended_at"):
            moment = getattr(item, name, None)
            assert moment is None or (isinstance(moment, datetime) and moment.tzinfo)
        if isinstance(item, EntryItem):
            assert item.label.strip() and len(item.label) <= LABEL_LIMIT
            assert item.note is None or len(item.note) <= NOTE_LIMIT
            assert all(isinstance(v, str) and len(v) <= LABEL_LIMIT for v in item.details.values())
        if isinstance(item, ImmunizationItem):
            assert item.vaccine_label and (item.dose_rank is None or item.dose_rank > 0)


def test_the_bundle_itself_is_read_whole() -> None:
    reading = fhir.read(orjson.dumps(BUNDLE))
    assert [
        item.message for item in reading.items if isinstance(item, Skipped) and item.is_refused
    ] == []
    check(orjson.dumps(BUNDLE))


PLACES = len(list(places(BUNDLE)))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, PLACES - 1), JSON), min_size=1, max_size=4))
def test_anything_may_stand_anywhere(changes: list[tuple[int, Any]]) -> None:
    bundle = copy.deepcopy(BUNDLE)
    for number, value in changes:
        found = list(places(bundle))
        if found:
            container, key = found[number % len(found)]
            container[key] = value
    check(orjson.dumps(bundle))


@pytest.mark.parametrize("value", [7, ["x"], [{}], {"x": []}, "\0"])
def test_each_element_may_be_of_a_wrong_type(value: Any) -> None:
    for number in range(PLACES):
        bundle = orjson.loads(orjson.dumps(BUNDLE))
        container, key = list(places(bundle))[number]
        container[key] = value
        check(orjson.dumps(bundle))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RESOURCES), st.sampled_from(sorted({r["resourceType"] for r in RESOURCES})))
def test_a_resource_may_say_that_it_is_another(resource: dict[str, Any], kind: str) -> None:
    check(orjson.dumps({**resource, "resourceType": kind}))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_bytes_are_refused_or_read(body: bytes) -> None:
    check(body)
