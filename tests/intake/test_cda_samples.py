"""Every real CDA document against facts that were computed independently."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import ValidationFailed
from carnet.intake import cda
from carnet.intake.dates import PARIS, read_moment
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    ImmunizationItem,
    NothingToDeclareItem,
    Reason,
    Skipped,
)
from carnet.records.tables import EntryStatus, Section

IMMUNIZATION_REASONS = {Reason.NOT_DONE, Reason.NOT_ADMINISTERED}


@pytest.fixture(scope="module")
def expected(samples: Path) -> dict[str, dict[str, Any]]:
    return json.loads((samples / "EXPECTED_cda.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def documents(
    samples: Path, expected: dict[str, dict[str, Any]]
) -> list[tuple[str, dict[str, Any], DocumentItem]]:
    found = []
    for name, facts in expected.items():
        if "uniqueId" in facts:
            reading = cda.read((samples / name).read_bytes())
            assert isinstance(reading.items[0], DocumentItem), name
            found.append((name, facts, reading.items[0]))
    assert len(found) == 26
    return found


def test_headers(documents: list[tuple[str, dict[str, Any], DocumentItem]]) -> None:
    for name, facts, item in documents:
        zone = PARIS if facts["realm"] == "FR" else UTC
        found = (
            item.unique_id,
            item.source_key,
            item.set_id,
            item.type and item.type.code,
            item.type and item.type.display,
            item.title,
            item.language,
            list(item.confidentiality_codes),
            item.replaces_unique_id,
            item.source_created_at,
            item.service_started_at,
            item.service_ended_at,
            item.practice_setting and item.practice_setting.code,
            item.facility_type and item.facility_type.code,
        )

        def moment(key: str, facts: dict[str, Any] = facts, zone: Any = zone) -> Any:
            return read_moment(facts[key], zone) if facts[key] else None

        assert found == (
            facts["uniqueId"],
            facts["uniqueId"],
            facts["setId"],
            facts["typeCode"],
            facts["typeDisplay"],
            facts["title"] or facts["typeDisplay"],
            facts["language"],
            [facts["confidentiality"]] if facts["confidentiality"] else [],
            (facts["replaces"] or [None])[0],
            moment("creation"),
            moment("serviceStart"),
            moment("serviceStop"),
            facts["practiceSetting"],
            facts["facilityType"],
        ), name


def test_patients(samples: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name, facts in expected.items():
        if "patientIds" not in facts:
            continue
        reading = cda.read((samples / name).read_bytes())
        (claim,) = reading.patients.values()
        identifiers = [
            [each.system.removeprefix("urn:oid:"), each.value] for each in claim.identifiers
        ]
        assert identifiers == facts["patientIds"], name
        assert claim.birth_date is not None
        assert claim.birth_date.text.replace("-", "") == facts["birth"][:8], name
        assert claim.sex.value[0] == facts["sex"], name
        families = {qualifier or "": family for qualifier, family in facts["family"]}
        assert claim.birth_family_name == families.get("BR", families.get("")), name
        assert claim.used_family_name == families.get("CL", families.get("SP")), name
        assert claim.given_names, name


def test_authors(documents: list[tuple[str, dict[str, Any], DocumentItem]]) -> None:
    for name, facts, item in documents:
        wanted = [tuple(author) for author in facts["authors"] if author[1]]
        found = [
            (author.identifier.system.removeprefix("urn:oid:"), author.identifier.value)
            for author in item.authors
            if author.identifier is not None
        ]
        if wanted:
            assert found == wanted, name


def test_embedded_content(documents: list[tuple[str, dict[str, Any], DocumentItem]]) -> None:
    for name, facts, item in documents:
        assert item.original is not None
        assert item.original.media_type == "text/xml"
        if facts["level"] == "N1":
            (part,) = item.embedded
            assert part.media_type == facts["bodyMediaType"], name
            assert len(part.data) == facts["bodyBytes"], name
            assert hashlib.sha256(part.data).hexdigest() == facts["bodySha256"], name
        else:
            assert len(item.embedded) == len(facts["embedded"]), name
            for part, (media_type, size_bytes) in zip(
                item.embedded, facts["embedded"], strict=True
            ):
                # The facts count three bytes for every four characters, padding included.
                assert 0 <= size_bytes - len(part.data) <= 2, name
                is_mislabelled_png = part.data.startswith(b"\x89PNG") and media_type == "image/jpeg"
                assert part.media_type == ("image/png" if is_mislabelled_png else media_type), name


def test_immunizations(samples: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name, facts in expected.items():
        if "uniqueId" not in facts:
            continue
        items = [
            item
            for item in cda.read((samples / name).read_bytes()).items
            if isinstance(item, ImmunizationItem)
        ]
        wanted = [
            fact
            for fact in facts.get("immunizations", [])
            if fact["negation"] == "false" and facts["typeCode"] != "REMB"
        ]
        found = [
            (
                item.given_on.text.replace("-", "") if item.given_on else None,
                [coding.code for coding in item.codings],
                item.vaccine_label,
                item.lot_number,
                item.dose_rank,
                item.document,
            )
            for item in items
        ]
        assert found == [
            (
                fact["date"][:8] if fact["date"] else None,
                [code for _, code in fact["codes"] if code],
                fact["name"],
                fact["lot"] or None,
                int(fact["rank"]) if fact["rank"] else None,
                facts["uniqueId"],
            )
            for fact in wanted
        ], name


def test_what_was_not_given_is_told(samples: Path) -> None:
    told = {}
    for name in ("fr-cda/CSE-CS8_2025.01.xml", "fr-cda/CNAM-HR_2021.01.xml", "c-cda/hl7_CCD.XML"):
        items = cda.read((samples / name).read_bytes()).items
        told[name] = [
            item.reason
            for item in items
            if isinstance(item, Skipped) and item.kind == "substanceAdministration"
        ]
    assert told == {
        "fr-cda/CSE-CS8_2025.01.xml": [Reason.NOT_DONE] * 2,
        # Three vaccines and three other medicines, all of them reimbursed.
        "fr-cda/CNAM-HR_2021.01.xml": [Reason.NOT_ADMINISTERED] * 6,
        "c-cda/hl7_CCD.XML": [Reason.NOT_DONE] * 2,
    }


def test_fragments_are_refused_as_items(samples: Path, expected: dict[str, dict[str, Any]]) -> None:
    names = [name for name, facts in expected.items() if facts.get("fragment")]
    assert len(names) == 2
    for name in names:
        reading = cda.read((samples / name).read_bytes())
        (item,) = reading.items
        assert isinstance(item, Skipped)
        assert (item.reason, item.is_refused) == (Reason.NO_PATIENT, True)
        assert reading.patients == {}


def test_malformed_documents_name_the_line(
    samples: Path, expected: dict[str, dict[str, Any]]
) -> None:
    names = [name for name, facts in expected.items() if "malformed" in facts]
    assert len(names) == 1
    with pytest.raises(ValidationFailed, match=r"^The XML is not well-formed \(line 66\)\.$"):
        cda.read((samples / names[0]).read_bytes())


def test_the_medical_summary(samples: Path) -> None:
    (name,) = (samples / "fr-cda").glob("VSM_*.xml")
    entries = [e for e in cda.read(name.read_bytes()).items if isinstance(e, EntryItem)]
    found = [
        (
            entry.section,
            entry.status,
            entry.codings[0].code,
            entry.started_on.text if entry.started_on else None,
            entry.ended_on.text if entry.ended_on else None,
        )
        for entry in entries
    ]
    assert found == [
        (Section.CONDITIONS, EntryStatus.ACTIVE, "G45.9", "2019-08-11", None),
        (Section.CONDITIONS, EntryStatus.ACTIVE, "I20.0", "2019-08-11", None),
        (Section.CONDITIONS, EntryStatus.RESOLVED, "N10", "2018-04-22", "2018-04-30"),
        (Section.CONDITIONS, EntryStatus.RESOLVED, "I21.1", "2018-01-14", "2018-01-25"),
        (Section.ALLERGIES, EntryStatus.INACTIVE, "60234100", "2018-06-03", None),
        (Section.TREATMENTS, EntryStatus.UNKNOWN, "63564053", "2019-08-11", None),
        (Section.TREATMENTS, EntryStatus.UNKNOWN, "63245753", "2019-08-11", None),
        (Section.PROCEDURES, EntryStatus.RESOLVED, "DDAF004", "2018-01-14", None),
        (Section.FAMILY_HISTORY, EntryStatus.UNKNOWN, "D57.1", None, None),
        (Section.LIFESTYLE, EntryStatus.UNKNOWN, "74011-8", None, None),
        (Section.LIFESTYLE, EntryStatus.UNKNOWN, "11343-1", None, None),
    ]
    allergy = entries[4]
    assert (allergy.label, allergy.details) == ("PARACETAMOL", {"category": "medication"})
    assert entries[8].details == {"relationship": "Mère"}


def test_a_letter_that_writes_no_allergy_makes_none(samples: Path) -> None:
    (name,) = (samples / "fr-cda").glob("LDL-SES_*.xml")
    sections = {
        item.section
        for item in cda.read(name.read_bytes()).items
        if isinstance(item, EntryItem | NothingToDeclareItem)
    }
    assert sections == {Section.TREATMENTS}


def test_keys_are_unique_and_stable(samples: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name, facts in expected.items():
        if "uniqueId" in facts:
            body = (samples / name).read_bytes()
            keys = [item.source_key for item in cda.read(body).items]
            assert len(keys) == len(set(keys)), name
            assert keys == [item.source_key for item in cda.read(body).items], name
