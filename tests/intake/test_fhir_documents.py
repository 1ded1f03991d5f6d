"""Documents: their identity, content, claims about it, authors and who may not see them."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from carnet.intake import fhir
from carnet.intake.model import Author, DocumentItem, EntryItem, Flag, Reading, Reason, Skipped
from carnet.values import Coding, Identifier

TEXT = b"Bonjour."
DATA = base64.b64encode(TEXT).decode()
SHA1 = hashlib.sha1(TEXT, usedforsecurity=False).digest()
PATIENT = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:x", "value": "1"}]}
SUBJECT = {"reference": "Patient/p1"}


def document(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": SUBJECT,
        "content": [{"attachment": {"contentType": "text/plain", "data": DATA}}],
        **more,
    }


def attached(**attachment: Any) -> dict[str, Any]:
    return document(content=[{"attachment": attachment}])


def bundle(*resources: dict[str, Any], kind: str = "collection", **more: Any) -> bytes:
    entries = [{"resource": resource} for resource in (PATIENT, *resources)]
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **more})


def items(*resources: dict[str, Any]) -> tuple[Any, ...]:
    return fhir.read(bundle(*resources)).items[1:]


def one(*resources: dict[str, Any]) -> DocumentItem:
    found = items(*resources)[0]
    assert isinstance(found, DocumentItem), found
    return found


def skipped(*resources: dict[str, Any]) -> Skipped:
    found = items(*resources)[0]
    assert isinstance(found, Skipped), found
    return found


@pytest.mark.parametrize(
    ("master", "unique_id"),
    [
        ({"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}, "1.2.3"),
        ({"system": "urn:ietf:rfc:3986", "value": "urn:uuid:AB-1"}, "AB-1"),
        ({"value": "urn:oid:1.2.3"}, "1.2.3"),
        ({"value": "urn:carnet:sandbox:x"}, "urn:carnet:sandbox:x"),
        ({"system": "urn:oid:1.2", "value": "7"}, "1.2^7"),
        ({"system": "1.2", "value": "7"}, "1.2^7"),
        ({"system": "https://here.example", "value": "7"}, "https://here.example|7"),
    ],
)
def test_the_unique_id_is_that_of_xds(master: dict[str, str], unique_id: str) -> None:
    assert one(document(masterIdentifier=master)).unique_id == unique_id
    assert one(document(identifier=[{"system": "urn:y"}, master])).unique_id == unique_id


def test_without_identifier_the_unique_id_is_stable() -> None:
    assert one(document()).unique_id == "DocumentReference/d1"
    nameless = document()
    del nameless["id"]
    again = dict(reversed(nameless.items()))
    assert one(nameless).unique_id == one(again).unique_id
    assert one(nameless).unique_id.startswith("sha256:")


def test_metadata() -> None:
    found = one(
        document(
            type={"coding": [{"system": "http://loinc.org", "code": "11488-4", "display": "CR"}]},
            category=[{"coding": [{"system": "urn:oid:1.2", "code": "10"}]}],
            description="Suite",
            content=[
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "data": DATA,
                        "language": "fr-FR",
                        "title": "Compte rendu",
                        "creation": "2026-06-12T10:00:00+02:00",
                    },
                    "format": {"code": "urn:ihe:iti:xds-sd:pdf:2008"},
                }
            ],
            context={
                "period": {"start": "2026-06-11T08:00:00Z", "end": "2026-06-11T09:00:00Z"},
                "facilityType": {"coding": [{"system": "s", "code": "SA05"}]},
                "practiceSetting": {"coding": [{"system": "s", "code": "ETABLISSEMENT"}]},
            },
        )
    )
    assert found.title == "Compte rendu"
    assert found.type == Coding("http://loinc.org", "11488-4", "CR")
    assert found.class_code == Coding("urn:oid:1.2", "10")
    assert found.format_code == "urn:ihe:iti:xds-sd:pdf:2008"
    assert found.language == "fr-FR"
    assert found.source_created_at == datetime(2026, 6, 12, 8, tzinfo=UTC)
    assert found.service_started_at == datetime(2026, 6, 11, 8, tzinfo=UTC)
    assert found.service_ended_at == datetime(2026, 6, 11, 9, tzinfo=UTC)
    assert found.facility_type == Coding("s", "SA05")
    assert found.practice_setting == Coding("s", "ETABLISSEMENT")
    assert found.flags == ()


def test_the_title_falls_back() -> None:
    assert one(document(description="Suite")).title == "Suite"
    assert one(document(type={"text": "Bilan"})).title == "Bilan"
    assert one(document()).title == "Document"
    assert one(document(description="é" * 600)).title == "é" * 499 + "…"


def test_a_date_that_cannot_be_read_is_flagged() -> None:
    found = one(document(date="hier"))
    assert (found.source_created_at, found.flags) == (None, (Flag.DATE_UNREADABLE,))


def test_a_day_alone_begins_in_paris() -> None:
    found = one(document(date="2026-07-14"))
    assert found.source_created_at == datetime(2026, 7, 13, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (DATA, ()),
        (DATA.rstrip("="), (Flag.BASE64_REPAIRED,)),
        (DATA[:4] + "\r\n" + DATA[4:], (Flag.BASE64_REPAIRED,)),
    ],
)
def test_inline_content(data: str, flags: tuple[Flag, ...]) -> None:
    found = one(attached(contentType="text/plain", data=data))
    assert found.original is not None
    assert (found.original.data, found.original.media_type) == (TEXT, "text/plain")
    assert found.flags == flags


@pytest.mark.parametrize("data", ["*", "Q", 7, {}, "é"])
def test_what_is_not_base64_is_refused(data: Any) -> None:
    found = skipped(attached(contentType="text/plain", data=data))
    assert (found.reason, found.is_refused) == (Reason.MALFORMED, True)


@pytest.mark.parametrize(
    ("claim", "kept"),
    [
        (base64.b64encode(SHA1).decode(), SHA1),
        (base64.b64encode(SHA1.hex().encode()).decode(), SHA1),
        (SHA1.hex(), SHA1),
        (base64.b64encode(bytes(20)).decode(), bytes(20)),
        ("A/hMRrv6Y15BjSM8kMLidrz+mHc", base64.b64decode("A/hMRrv6Y15BjSM8kMLidrz+mHc=")),
    ],
)
def test_a_claimed_hash_is_kept_even_when_wrong(claim: str, kept: bytes) -> None:
    found = one(attached(data=DATA, hash=claim, size=250000))
    assert found.original is not None
    assert (found.original.claimed_sha1, found.original.claimed_size_bytes) == (kept, 250000)
    assert found.flags == ()


def test_claims_that_cannot_be_kept_are_flagged() -> None:
    found = one(attached(data=DATA, hash="nonsense!", size=2**40))
    assert found.original is not None
    assert (found.original.claimed_sha1, found.original.claimed_size_bytes) == (None, None)
    assert found.flags == (Flag.HASH_MISMATCH, Flag.SIZE_MISMATCH)


@pytest.mark.parametrize(
    "said", ["text/plain\r\nSet-Cookie: x", "text", "texte/é", "a" * 300 + "/b", ""]
)
def test_a_media_type_is_safe_in_a_header(said: str) -> None:
    found = one(attached(contentType=said, data=DATA))
    assert found.original is not None and found.original.media_type == "application/octet-stream"


@pytest.mark.parametrize("url", ["https://dmp.example/Binary/1", "Binary/2", "file:///etc/passwd"])
def test_content_elsewhere_is_never_fetched(url: str) -> None:
    found = one(attached(contentType="application/pdf", url=url))
    assert (found.original, found.flags) == (None, (Flag.CONTENT_NOT_ATTACHED,))


@pytest.mark.parametrize(
    "url", ["Binary/b1", "#b1", "urn:uuid:00000000-0000-4000-8000-0000000000b1"]
)
def test_content_in_a_binary_of_the_body(url: str) -> None:
    binary = {"resourceType": "Binary", "id": "b1", "contentType": "application/pdf", "data": DATA}
    if url.startswith("urn"):
        binary["id"] = url[9:]
    found, content = items(attached(url=url, size=3), binary)
    assert isinstance(found, DocumentItem) and found.original is not None
    assert (found.original.data, found.original.media_type) == (TEXT, "application/pdf")
    assert found.original.claimed_size_bytes == 3
    assert isinstance(content, Skipped) and content.reason is Reason.REFERENCE_DATA


def test_a_contained_binary() -> None:
    binary = {"resourceType": "Binary", "id": "b", "contentType": "image/png", "data": DATA}
    found = one({**attached(url="#b"), "contained": [binary]})
    assert found.original is not None and found.original.data == TEXT


def test_a_binary_that_no_document_has() -> None:
    found = skipped({"resourceType": "Binary", "id": "b1", "data": DATA})
    assert (found.reason, found.is_refused) == (Reason.NOT_SUPPORTED, False)


def test_one_large_binary_does_not_multiply() -> None:
    binary = {
        "resourceType": "Binary",
        "id": "b1",
        "data": base64.b64encode(bytes(300_000)).decode(),
    }
    many = [{**attached(url="Binary/b1"), "id": f"d{n}"} for n in range(20)]
    found = items(*many, binary)
    assert 4 <= sum(isinstance(item, DocumentItem) for item in found) <= 8
    refused = [item for item in found if isinstance(item, Skipped) and item.is_refused]
    assert {item.reason for item in refused} == {Reason.MALFORMED}


def test_other_forms_are_embedded() -> None:
    found = one(
        document(
            content=[
                {"attachment": {"contentType": "text/plain", "data": DATA}},
                {
                    "attachment": {
                        "contentType": "text/html",
                        "data": base64.b64encode(b"<p>").decode(),
                    }
                },
            ]
        )
    )
    assert [part.data for part in found.embedded] == [b"<p>"]


@pytest.mark.parametrize(
    ("target", "replaced"),
    [
        ({"identifier": {"value": "urn:oid:1.2.3"}}, "1.2.3"),
        ({"reference": "DocumentReference/d0"}, "9.9"),
        ({"reference": "DocumentReference/absent"}, "DocumentReference/absent"),
        ({"reference": "urn:uuid:absent"}, "absent"),
        ({"display": "the one before"}, None),
    ],
)
def test_what_it_replaces(target: dict[str, Any], replaced: str | None) -> None:
    former = document(id="d0", masterIdentifier={"value": "urn:oid:9.9"})
    relations = [{"code": "appends", "target": {"reference": "DocumentReference/x"}}]
    relations.append({"code": "replaces", "target": target})
    assert one(document(relatesTo=relations), former).replaces_unique_id == replaced


def test_status() -> None:
    assert one(document(status="superseded")).is_superseded
    for gone in (document(status="entered-in-error"), document(docStatus="entered-in-error")):
        assert (skipped(gone).reason, skipped(gone).is_refused) == (Reason.ENTERED_IN_ERROR, False)
    for wrong in ("", "draft", None, 1):
        assert skipped(document(status=wrong)).reason is Reason.MALFORMED
    assert skipped(document(content=[])).reason is Reason.MALFORMED


@pytest.mark.parametrize("place", ["securityLabel", "meta"])
@pytest.mark.parametrize(
    ("label", "masked", "holder", "representatives"),
    [
        ("N", False, False, False),
        ("MASQUE_PS", True, False, False),
        ("INVISIBLE_PATIENT", False, True, False),
        ("INVISIBLE_REPRESENTANTS_LEGAUX", False, False, True),
        ("INVISIBLE_REP_LEGAUX", False, False, True),
    ],
)
def test_visibility(
    place: str, label: str, masked: bool, holder: bool, representatives: bool
) -> None:
    codings = [{"code": label}]
    labels: dict[str, Any] = {"meta": {"security": codings}}
    if place == "securityLabel":
        labels = {"securityLabel": [{"coding": codings}]}
    found = one(document(**labels))
    assert found.confidentiality_codes == (label,)
    assert found.is_masked is masked
    assert found.is_hidden_from_holder is holder
    assert found.is_hidden_from_representatives is representatives


def test_a_label_of_the_bundle_holds_for_all_that_is_in_it() -> None:
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": SUBJECT,
        "code": {"text": "Poids"},
        "valueInteger": 70,
    }
    body = bundle(document(), observation, meta={"security": [{"code": "INVISIBLE_PATIENT"}]})
    _, found, fact = fhir.read(body).items
    assert isinstance(found, DocumentItem) and found.is_hidden_from_holder
    assert isinstance(fact, Skipped) and fact.is_refused


PRACTITIONER = {
    "resourceType": "Practitioner",
    "id": "pr",
    "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899700218896"}],
    "name": [{"family": "FAURE", "given": ["Inès", "Marie"]}],
}
HOSPITAL = {"resourceType": "Organization", "id": "or", "name": "CHU"}


def test_authors() -> None:
    role = {
        "resourceType": "PractitionerRole",
        "id": "ro",
        "practitioner": {"reference": "Practitioner/pr"},
        "organization": {"reference": "Organization/or"},
        "code": [{"coding": [{"system": "s", "code": "10"}]}],
        "specialty": [{"coding": [{"system": "s", "code": "SM26"}]}],
    }
    device = {"resourceType": "Device", "id": "de", "deviceName": [{"name": "Scanner"}]}
    found = one(
        document(
            contained=[PRACTITIONER, device],
            author=[
                {"reference": "#pr"},
                {"reference": "PractitionerRole/ro"},
                {"reference": "#de"},
                {"display": "Dr Inconnu"},
                {"reference": "Practitioner/absent"},
            ],
            authenticator={"reference": "#pr"},
            custodian={"reference": "Organization/or"},
        ),
        role,
        {**PRACTITIONER},
        HOSPITAL,
    )
    number = Identifier("urn:oid:1.2.250.1.71.4.2.1", "899700218896")
    assert found.authors == (
        Author(family_name="FAURE", given_name="Inès", identifier=number),
        Author(
            family_name="FAURE",
            given_name="Inès",
            identifier=number,
            role=Coding("s", "10"),
            speciality=Coding("s", "SM26"),
            organization_name="CHU",
        ),
        Author(family_name="Scanner"),
        Author(family_name="Dr Inconnu"),
    )


def test_the_custodian_stands_in_for_an_organization() -> None:
    found = one(document(custodian={"reference": "Organization/or"}), HOSPITAL)
    assert found.authors == (Author(organization_name="CHU"),)


def test_roles_that_refer_to_each_other_end() -> None:
    role = {
        "resourceType": "PractitionerRole",
        "id": "ro",
        "practitioner": {"reference": "PractitionerRole/ro"},
        "identifier": [{"system": "s", "value": "1"}],
    }
    found = one(document(author=[{"reference": "PractitionerRole/ro"}]), role)
    assert found.authors == (Author(identifier=Identifier("s", "1")),)


def test_a_report_with_its_printed_form() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "subject": SUBJECT,
        "code": {"coding": [{"system": "http://loinc.org", "code": "11502-2", "display": "Bilan"}]},
        "category": [{"coding": [{"system": "s", "code": "LAB"}]}],
        "effectiveDateTime": "2026-01-02T08:00:00Z",
        "issued": "2026-01-03T08:00:00Z",
        "performer": [{"display": "Laboratoire"}],
        "presentedForm": [
            {"contentType": "application/pdf", "data": DATA},
            {"contentType": "text/plain", "data": DATA},
        ],
    }
    found = one(report)
    assert (found.title, found.unique_id) == ("Bilan", "DiagnosticReport/r")
    assert found.type is not None and found.type.code == "11502-2"
    assert found.service_started_at == datetime(2026, 1, 2, 8, tzinfo=UTC)
    assert found.source_created_at == datetime(2026, 1, 3, 8, tzinfo=UTC)
    assert len(found.embedded) == 1
    assert found.authors == (Author(family_name="Laboratoire"),)
    assert skipped({**report, "status": "cancelled"}).reason is Reason.NOT_DONE
    assert skipped({**report, "status": "entered-in-error"}).reason is Reason.ENTERED_IN_ERROR
    del report["presentedForm"]
    assert (skipped(report).reason, skipped(report).is_refused) == (Reason.NOT_SUPPORTED, False)


def summary(*resources: dict[str, Any], **more: Any) -> tuple[bytes, Reading]:
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "subject": SUBJECT,
        "identifier": {"system": "urn:oid:1.2", "value": "set"},
        "title": "Synthèse",
        "date": "2026-01-02",
        "confidentiality": "R",
        **more,
    }
    body = orjson.dumps(
        {
            "resourceType": "Bundle",
            "type": "document",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:doc"},
            "entry": [{"resource": r} for r in (composition, PATIENT, *resources)],
        }
    )
    return body, fhir.read(body)


ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "id": "a",
    "patient": SUBJECT,
    "code": {"text": "Arachide"},
}


def test_a_document_bundle_is_a_document_and_its_facts() -> None:
    body, reading = summary(ALLERGY)
    found, _, fact = reading.items
    assert isinstance(found, DocumentItem) and found.original is not None
    assert (found.original.data, found.original.media_type) == (body, "application/fhir+json")
    assert (found.unique_id, found.set_id, found.title) == ("doc", "1.2^set", "Synthèse")
    assert found.type is not None and found.type.code == "60591-5"
    assert found.confidentiality_codes == ("R",)
    assert isinstance(fact, EntryItem) and fact.document == found.source_key


def test_facts_of_a_hidden_document_are_hidden_with_it() -> None:
    _, reading = summary(ALLERGY, meta={"security": [{"code": "INVISIBLE_PATIENT"}]})
    found, _, fact = reading.items
    assert isinstance(found, DocumentItem) and found.is_hidden_from_holder
    assert isinstance(fact, EntryItem) and fact.document == found.source_key
    hidden = {**ALLERGY, "meta": {"security": [{"code": "INVISIBLE_PATIENT"}]}}
    assert isinstance(summary(hidden)[1].items[2], Skipped)
    assert isinstance(fhir.read(bundle(hidden)).items[1], Skipped)


@pytest.mark.parametrize("meta", [{"security": [{"code": "INVISIBLE_PATIENT"}]}, {"security": 7}])
def test_facts_do_not_come_to_light_when_their_hidden_document_is_refused(meta: Any) -> None:
    _, reading = summary(ALLERGY, subject={"reference": "Patient/other"}, meta=meta)
    assert [isinstance(item, Skipped) and item.is_refused for item in reading.items] == [
        True,
        False,
        True,
    ]


def test_facts_outlive_a_document_that_is_refused() -> None:
    _, reading = summary(ALLERGY, subject={"reference": "Patient/other"})
    refused, _, fact = reading.items
    assert isinstance(refused, Skipped) and refused.reason is Reason.NO_PATIENT
    assert isinstance(fact, EntryItem) and fact.document is None


def test_a_document_in_error_takes_its_facts_along() -> None:
    _, reading = summary(ALLERGY, status="entered-in-error")
    assert {item.reason for item in reading.items if isinstance(item, Skipped)} == {
        Reason.ENTERED_IN_ERROR
    }
    assert len(reading.items) == 3 and reading.patients == {}


def test_a_fact_on_somebody_else_is_not_tied_to_the_document() -> None:
    child = {**ALLERGY, "patient": {"identifier": {"system": "urn:x", "value": "2"}}}
    _, reading = summary(child)
    fact = reading.items[2]
    assert isinstance(fact, EntryItem) and fact.document is None
