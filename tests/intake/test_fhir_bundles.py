"""The body as a whole: its form, its keys, its limits, and every resource accounted for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from carnet.errors import ValidationFailed
from carnet.intake import fhir
from carnet.intake.fhir.bundle import ENTRIES_LIMIT
from carnet.intake.fhir.references import KEY_LIMIT
from carnet.intake.model import DocumentItem, EntryItem, PatientItem, Reason, Skipped

PATIENT = {"resourceType": "Patient", "id": "p1"}


def condition(text: str = "Asthme", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": text},
        **more,
    }


def bundle(*entries: Any, kind: str = "collection") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def read(*entries: Any, kind: str = "collection") -> tuple[Any, ...]:
    return fhir.read(orjson.dumps(bundle(*entries, kind=kind))).items


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"a": 1}',
        b'{"resourceType": 7}',
        b'{"resourceType": "no type"}',
        b'{"resourceType": "Patient"',
        b'{"resourceType": "Patient", "id": "\\ud800"}',
        b'{"resourceType": "Patient", "id": "\xff"}',
        b'{"resourceType": "Bundle", "entry": 7}',
        b'{"resourceType": "Bundle", "entry": [7]}',
        b'{"resourceType": "Bundle", "type": 7, "entry": []}',
        b"[" * 100_000,
        b'{"resourceType": "Patient", "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_what_is_not_fhir_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(ValidationFailed) as refused:
        fhir.read(body)
    assert refused.value.message.startswith(("The body is not", "«"))


def test_a_byte_order_mark_does_no_harm() -> None:
    (item,) = fhir.read(b"\xef\xbb\xbf" + orjson.dumps(PATIENT)).items
    assert item == PatientItem("Patient/p1", "Patient/p1")


def test_an_empty_bundle_is_an_empty_reading() -> None:
    assert fhir.read(b'{"resourceType": "Bundle", "type": "batch"}').items == ()


@pytest.mark.parametrize(
    "kind",
    ["transaction", "batch", "collection", "searchset", "message", "history", "document", ""],
)
def test_every_type_of_bundle_is_read(kind: str) -> None:
    items = read({"resource": PATIENT}, {"resource": condition()}, kind=kind)
    assert [type(item) for item in items] == [PatientItem, EntryItem]


def test_one_bad_resource_loses_none_of_the_others() -> None:
    items = read(
        {"resource": PATIENT},
        {"resource": condition(code=7)},
        {"resource": {"resourceType": 7}},
        {"resource": 7},
        {"fullUrl": 7, "resource": condition()},
        {"request": {"method": "DELETE", "url": "Condition/3"}},
        {"resource": condition()},
    )
    assert len(items) == 7
    assert [item.reason for item in items[1:6]] == [
        Reason.MALFORMED,
        Reason.MALFORMED,
        Reason.MALFORMED,
        Reason.MALFORMED,
        Reason.NOT_SUPPORTED,
    ]
    assert isinstance(items[6], EntryItem)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"fullUrl": "urn:uuid:a", "resource": condition(id="1")}, "urn:uuid:a"),
        (
            {"fullUrl": "https://x.example/Condition/1", "resource": condition(id="1")},
            "https://x.example/Condition/1",
        ),
        (
            {"fullUrl": "https://x.example/Condition/1/_history/2", "resource": condition(id="1")},
            "https://x.example/Condition/1",
        ),
        ({"resource": condition(id="1")}, "Condition/1"),
        ({"fullUrl": "resource:1", "resource": condition(id="1")}, "Condition/1"),
        ({"fullUrl": "urn:a b", "resource": condition(id="1")}, "Condition/1"),
    ],
)
def test_keys_are_the_publishers_own_names(entry: dict[str, Any], key: str) -> None:
    assert read({"resource": PATIENT}, entry)[1].source_key == key


def test_keys_of_nameless_resources_do_not_depend_on_where_they_stand() -> None:
    one = read({"resource": PATIENT}, {"fullUrl": "resource:1", "resource": condition("A")})
    other = read(
        {"resource": PATIENT},
        {"fullUrl": "resource:1", "resource": condition("B")},
        {"fullUrl": "resource:2", "resource": condition("A")},
    )
    assert one[1].source_key == other[2].source_key != other[1].source_key


def test_keys_are_bounded() -> None:
    url = "https://x.example/" + "a" * 500
    assert (
        len(read({"resource": PATIENT}, {"fullUrl": url, "resource": condition()})[1].source_key)
        <= KEY_LIMIT
    )


def test_a_key_that_stands_twice_is_told_apart_and_a_repetition_is_taken_once() -> None:
    same, other = condition("A", id="1"), condition("B", id="1")
    first, second, third = read(*({"resource": r} for r in (PATIENT, same, other, same)))[1:]
    assert (first.source_key, second.source_key) == ("Condition/1", "Condition/1~2")
    assert isinstance(second, EntryItem)
    assert isinstance(third, Skipped) and third.reason is Reason.NOT_SUPPORTED


def test_of_a_history_the_newest_version_counts() -> None:
    url = "https://x.example/Condition/1"
    items = read(
        {"fullUrl": "https://x.example/Patient/p1", "resource": PATIENT},
        {"fullUrl": url, "resource": condition("new", id="1")},
        {"fullUrl": url, "resource": condition("old", id="1")},
        {"fullUrl": "https://x.example/Condition/2", "request": {"method": "DELETE"}},
        {"fullUrl": "https://x.example/Condition/2", "resource": condition("gone", id="2")},
        kind="history",
    )
    assert [item.label for item in items if isinstance(item, EntryItem)] == ["new"]
    assert len(items) == 5


def test_bundles_in_bundles() -> None:
    inner = bundle({"resource": PATIENT}, {"resource": condition("inside")})
    items = read({"resource": PATIENT}, {"resource": inner}, {"resource": condition("outside")})
    assert [item.label for item in items if isinstance(item, EntryItem)] == ["inside", "outside"]
    keys = [item.source_key for item in items]
    assert len(set(keys)) == len(keys) == 4


def test_references_do_not_leave_an_inner_bundle() -> None:
    inner = bundle({"resource": condition("inside")})
    _, lost = read({"resource": PATIENT}, {"resource": inner})
    assert isinstance(lost, Skipped) and lost.reason is Reason.NO_PATIENT


def test_bundles_do_not_nest_without_end() -> None:
    deep: dict[str, Any] = {"resourceType": "Patient", "id": "p1"}
    for _ in range(60):
        deep = bundle({"resource": deep})
    (item,) = fhir.read(orjson.dumps(deep)).items
    assert isinstance(item, Skipped) and (item.reason, item.is_refused) == (Reason.MALFORMED, True)


def test_deeply_nested_resources_are_refused_alone() -> None:
    deep = b"[" * 900 + b"]" * 900
    body = (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"resource":'
        + orjson.dumps(PATIENT)
        + b'},{"resource":{"resourceType":"Condition","subject":{"reference":"Patient/p1"},"code":'
        + deep
        + b'}},{"resource":{"resourceType":"Bundle","type":"batch","entry":[],"x":'
        + deep
        + b"}}]}"
    )
    patient, condition_, inner = fhir.read(body).items
    assert isinstance(patient, PatientItem)
    assert isinstance(condition_, Skipped) and condition_.is_refused
    assert isinstance(inner, Skipped) and inner.is_refused


def test_a_bundle_that_a_document_has_as_content_is_only_that() -> None:
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": {"url": "urn:uuid:inner"}}],
    }
    inner = bundle({"resource": PATIENT}, {"resource": condition()}, kind="document")
    _, found, content = read(
        {"resource": PATIENT},
        {"resource": document},
        {"fullUrl": "urn:uuid:inner", "resource": inner},
    )
    assert isinstance(found, DocumentItem) and found.original is not None
    assert orjson.loads(found.original.data) == inner
    assert found.original.media_type == "application/fhir+json"
    assert isinstance(content, Skipped) and content.reason is Reason.REFERENCE_DATA


def test_the_number_of_entries_is_bounded() -> None:
    body = b'{"resourceType":"Bundle","entry":[' + b"{}," * ENTRIES_LIMIT + b"{}]}"
    with pytest.raises(ValidationFailed):
        fhir.read(body)


def test_a_reading_is_the_same_each_time() -> None:
    body = orjson.dumps(bundle({"resource": PATIENT}, {"resource": condition()}))
    assert fhir.read(body) == fhir.read(body)
