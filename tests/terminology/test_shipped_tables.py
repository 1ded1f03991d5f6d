"""The tables that ship are sound, and what they say of vaccines is what vaccinology says."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

from carnet.documents.tables import DocumentCategory
from carnet.terminology import codes
from carnet.terminology.systems import (
    ATC,
    CIP,
    CVX,
    EU_NUMBER,
    ICD_11,
    NDC,
    NTIN,
    SHORT,
    normalize_system,
    plain_code,
)
from carnet.values import Coding

KEYS = {
    "concepts.tsv": 2,
    "diseases.tsv": 1,
    "document_classes.tsv": 1,
    "document_types.tsv": 2,
    "vaccines.tsv": 2,
}


def rows(name: str) -> list[list[str]]:
    text = files("carnet.terminology").joinpath("data", name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if line and line[0] != "#"]


@pytest.mark.parametrize("name", KEYS)
def test_rows_are_whole_and_no_key_comes_twice(name: str) -> None:
    heading, *others = rows(name)
    assert others
    assert [row for row in others if len(row) != len(heading)] == []
    assert [cell for row in others for cell in row if cell != cell.strip()] == []
    keys = Counter(tuple(row[: KEYS[name]]) for row in others)
    assert [key for key, count in keys.items() if count > 1] == []
    assert all(all(key) for key in keys)


def test_every_disease_of_a_vaccine_exists() -> None:
    assert frozenset().union(*codes.vaccines().values()) <= codes.diseases().keys()
    assert all(codes.vaccines().values()), "a vaccine against nothing"


def test_every_disease_has_both_names_and_a_target_of_its_own() -> None:
    diseases = codes.diseases().values()
    assert all(disease.fr and disease.en for disease in diseases)
    targets = Counter(disease.nuva for disease in diseases if disease.nuva)
    assert [target for target, count in targets.items() if count > 1] == []


def test_every_system_of_a_vaccine_is_known() -> None:
    assert {row[0] for row in rows("vaccines.tsv")[1:]} == SHORT.keys()


def test_every_folder_is_one_of_the_folders() -> None:
    kinds = [*codes.document_types().values(), *codes.document_classes().values()]
    assert {kind.category for kind in kinds} <= {category.value for category in DocumentCategory}
    assert codes.OTHER == DocumentCategory.OTHER


def test_every_french_kind_of_document_has_a_folder_and_a_name(samples: Path) -> None:
    root = etree.parse(samples / "fr-valuesets" / "JDV_J07_XdsTypeCode_CISIS.xml").getroot()
    concepts = root.findall(".//{urn:ihe:iti:svs:2008}Concept")
    assert len(concepts) == 114
    for concept in concepts:
        system = normalize_system(concept.get("codeSystem"))
        code = concept.get("code")
        assert (system, code) in codes.document_types(), (system, code)
        assert codes.display(system, code, "fr")


def test_what_no_table_knows_goes_into_the_other_folder() -> None:
    assert codes.category_of(Coding("http://loinc.org", "0-0"), None) == DocumentCategory.OTHER
    assert codes.category_of(None, None) == DocumentCategory.OTHER


DTP_POLIO = "diphtheria tetanus pertussis poliomyelitis"


@pytest.mark.parametrize(
    ("system", "code", "diseases"),
    [
        (CVX, "03", "measles mumps rubella"),
        (CVX, "20", "diphtheria tetanus pertussis"),
        (CVX, "140", "influenza"),
        (CVX, "150", "influenza"),
        (CVX, "207", "covid-19"),
        (CVX, "208", "covid-19"),
        (ATC, "J07CA09", f"{DTP_POLIO} hib hepatitis-b"),
        (ATC, "J07CA02", DTP_POLIO),
        (ATC, "J07AN", "tuberculosis"),
        (ATC, "J07AN01", "tuberculosis"),
        (CIP, "3400932857241", "tetanus"),
    ],
)
def test_what_a_vaccine_protects_against(system: str, code: str, diseases: str) -> None:
    assert codes.diseases_of([Coding(system, code)]) == set(diseases.split())


def test_a_vaccine_protects_against_what_any_of_its_codes_says() -> None:
    codings = [Coding(CVX, "03"), Coding(ATC, "J07AN"), Coding("urn:oid:1.2.3", "03")]
    assert codes.diseases_of(codings) == {"measles", "mumps", "rubella", "tuberculosis"}


@pytest.mark.parametrize(
    ("system", "written", "plain"),
    [
        (EU_NUMBER, "EU/1/03/263/001", "EU-1-03-263-001"),
        (EU_NUMBER, "eu-1-03-263-001", "EU-1-03-263-001"),
        (NTIN, "03400933472016", "3400933472016"),
        (NTIN, "3400933472016", "3400933472016"),
        (NTIN, "13400933472016", "13400933472016"),
        (NDC, "49281012188", "492810121"),
        (NDC, "49281-0121-88", "492810121"),
        (NDC, "49281-121-88", "492810121"),
        (NDC, "49281-121", "492810121"),
        (NDC, "0006-4837", "000064837"),
        (NDC, "4928112188", "4928112188"),
        (NDC, "492810121", "492810121"),
        (CVX, "03", "03"),
    ],
)
def test_a_code_has_one_writing(system: str, written: str, plain: str) -> None:
    assert plain_code(system, written) == plain
    assert codes.vaccine_key(Coding(system, written)) == (system, plain)


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("urn:oid:2.16.840.1.113883.6.69", NDC),
        ("urn:oid:2.16.840.1.113883.6.347", ICD_11),
        ("http://id.who.int/icd11/mms", ICD_11),
        ("urn:oid:1.3.160", NTIN),
    ],
)
def test_a_system_has_one_name(name: str, system: str) -> None:
    assert normalize_system(name) == system
    assert normalize_system(system) == system
