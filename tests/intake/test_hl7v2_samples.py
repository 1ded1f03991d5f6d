"""Every real HL7 v2 message against facts that were computed independently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carnet.intake import hl7v2
from carnet.intake.hl7v2.message import parse
from carnet.intake.model import (
    ContentPart,
    DocumentItem,
    Flag,
    PatientItem,
    Reading,
    Reason,
    Skipped,
    WithdrawalItem,
)
from carnet.values import PartialDate


@pytest.fixture(scope="module")
def expected(samples: Path) -> dict[str, dict[str, Any]]:
    return json.loads((samples / "EXPECTED_hl7v2.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def readings(samples: Path, expected: dict[str, dict[str, Any]]) -> dict[str, Reading]:
    assert len(expected) == 7
    return {name: hl7v2.read((samples / "fr-hl7v2" / name).read_bytes()) for name in expected}


def main_item(reading: Reading) -> DocumentItem | WithdrawalItem | PatientItem:
    (item,) = (item for item in reading.items if not isinstance(item, Skipped))
    assert isinstance(item, DocumentItem | WithdrawalItem | PatientItem)
    return item


def test_headers(samples: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name, facts in expected.items():
        (message,) = parse((samples / "fr-hl7v2" / name).read_bytes())
        code, event, *_ = facts["messageType"].split("^")
        assert message.kind == (code, event), name
        assert message.header.text(10) == facts["controlId"], name


def test_patients(readings: dict[str, Reading], expected: dict[str, dict[str, Any]]) -> None:
    for name, facts in expected.items():
        (claim,) = readings[name].patients.values()
        values = [identifier.value for identifier in claim.identifiers]
        assert values == [value for value, _ in facts["patientIds"]], name
        assert claim.identifiers[-1].system == "urn:oid:1.2.250.1.213.1.4.10"
        family, given, *_ = facts["name"].split("^")
        assert (claim.birth_family_name, claim.given_names) == (family, (given,)), name
        assert claim.birth_date == PartialDate("1979-03-28")
        assert claim.sex.value[0] == facts["sex"], name


def test_admissions_register_and_leave_consent(readings: dict[str, Reading]) -> None:
    admissions = [name for name in readings if not name.startswith("mdm")]
    assert len(admissions) == 4
    for name in admissions:
        person, consent = readings[name].items
        assert isinstance(person, PatientItem)
        assert isinstance(consent, Skipped)
        assert (consent.kind, consent.reason) == ("ZFA", Reason.NOT_SUPPORTED)
        (claim,) = readings[name].patients.values()
        assert claim.birth_place_code in ("63220", None)


def test_documents(readings: dict[str, Reading], expected: dict[str, dict[str, Any]]) -> None:
    for name in ("mdm_init.er7", "mdm_replace.er7"):
        facts, item = expected[name], main_item(readings[name])
        assert isinstance(item, DocumentItem)
        assert item.unique_id == item.source_key == facts["TXA"]["uniqueId"]
        assert item.replaces_unique_id == (facts["TXA"]["parent"] or None)
        flags = facts["flags"]
        assert item.is_masked == (flags["MASQUE_PS"] == "Y")
        assert item.is_hidden_from_holder == (flags["INVISIBLE_PATIENT"] == "Y")
        assert item.is_hidden_from_representatives == (flags["INVISIBLE_REP_LEGAUX"] == "Y")
        payload = facts["payloads"][0]
        assert isinstance(item.original, ContentPart)
        assert len(item.original.data) == payload["bytes"]
        assert (Flag.BASE64_REPAIRED in item.flags) == payload["base64PaddingDefect"]
        (part,) = item.embedded
        assert part.media_type == "application/pdf"


def test_deletion(readings: dict[str, Reading], expected: dict[str, dict[str, Any]]) -> None:
    item = main_item(readings["mdm_delete.er7"])
    assert isinstance(item, WithdrawalItem)
    assert item.unique_id == expected["mdm_delete.er7"]["TXA"]["uniqueId"]


def test_what_is_for_the_transport_only(readings: dict[str, Reading]) -> None:
    for name in ("mdm_init.er7", "mdm_replace.er7", "mdm_delete.er7"):
        skipped = [item for item in readings[name].items if isinstance(item, Skipped)]
        assert [item.kind.removeprefix("OBX ") for item in skipped] == [
            "CONNEXION_SECRETE",
            "MODIF_CONF_CODE",
            "DESTDMP",
            "DESTMSSANTEPS",
            "DESTMSSANTEPAT",
            "ACK_RECEPTION",
            "ACK_LECTURE_MSS",
            "CORPSMAIL_PS",
        ]
        assert {item.reason for item in skipped} == {Reason.ADMINISTRATIVE}
