"""Health record files are known by what they hold, not by their names."""

from pathlib import Path

import pytest

from carnet_client.formats import (
    CDA,
    FHIR_JSON,
    HL7_V2,
    LOOK_BYTES,
    guessed_media_type,
    media_type_of,
    media_type_of_bytes,
)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b'{"resourceType": "Bundle"}', FHIR_JSON),
        (b'\xef\xbb\xbf \n{"id": "1", "resourceType" : "Patient"}', FHIR_JSON),
        (b'{"entry": [{"resource": {"resourceType": "Patient"}}], "resourceType": "B"}', FHIR_JSON),
        (b'{"fhirBundle": {"resourceType": "Bundle"}}', None),
        (b'{"name": "a \\"resourceType\\" of \\\\"}', None),
        (b'{"name": "carnet"}', None),
        (b'[{"resourceType": "Bundle"}]', None),
        (b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">', CDA),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<a:ClinicalDocument>", CDA),
        ("\ufeff<ClinicalDocument>".encode("utf-16-le"), CDA),
        ("\ufeff<ClinicalDocument>".encode("utf-16-be"), CDA),
        (b"<section>\n <templateId root='2.16'/>", CDA),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"MSH|^~\\&|RIS", HL7_V2),
        (b"\x0bMSH|^~\\&|RIS", HL7_V2),
        (b"FHS|^~\\&|", HL7_V2),
        (b"BHS|^~\\&|", HL7_V2),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"%PDF-1.7", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell(start: bytes, kind: str | None) -> None:
    assert media_type_of_bytes(start) == kind


def test_a_long_bundle_that_names_itself_at_its_end_is_known(tmp_path: Path) -> None:
    inside = b'{"resource": {"resourceType": "Patient"}}'
    bundle = b'{"entry": [' + b",".join([inside] * 3000) + b'], "resourceType": "Bundle"}'
    assert len(bundle) > LOOK_BYTES
    path = tmp_path / "bundle"
    path.write_bytes(bundle)
    assert media_type_of(path) == FHIR_JSON


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"name": 1}', FHIR_JSON),
        (b"[]", FHIR_JSON),
        (b"<svg/>", CDA),
        (b"MSH|", HL7_V2),
        (b"\x89PNG", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_file_that_somebody_insists_on_gets_the_nearest_type(
    tmp_path: Path, body: bytes, kind: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(body)
    assert guessed_media_type(path) == kind


def test_backslashes_do_not_make_it_slow() -> None:
    assert media_type_of_bytes(b'{"a": "' + b"\\" * LOOK_BYTES) is None
    assert media_type_of_bytes(b'{"a" ' + b'"' * LOOK_BYTES) is None
