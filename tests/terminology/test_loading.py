"""Loading the published nomenclatures: what is known after it, and that it can be repeated."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, tuple_

from carnet.clock import MovableClock
from carnet.store.database import Database
from carnet.terminology.actions import Loaded, LoadReport, load
from carnet.terminology.codes import vaccines
from carnet.terminology.queries import diseases_of_many, displays
from carnet.terminology.systems import (
    CVX,
    EU_NUMBER,
    ICD_11,
    NDC,
    NTIN,
    NUVA,
    SNOMED_CT,
)
from carnet.terminology.tables import Concept, VaccineCode
from carnet.values import Coding

Load = Callable[..., Awaitable[LoadReport]]
Archive = Callable[[dict[str, str | bytes]], bytes]


async def rows(database: Database) -> list[tuple[object, ...]]:
    """Return all rows of both tables, whole."""
    async with database.read() as work:
        return [
            tuple(row)
            for table in (VaccineCode, Concept)
            for row in await work.session.execute(
                select(table.__table__).order_by(table.system, table.code)
            )
        ]


async def means(database: Database, system: str, code: str) -> set[str]:
    async with database.read() as work:
        return set((await diseases_of_many(work, [[Coding(system, code)]]))[0])


async def label(database: Database, system: str, code: str) -> str | None:
    async with database.read() as work:
        row = await work.session.get(VaccineCode, (system, code))
        return row and row.label


def totals(report: LoadReport) -> dict[str, int]:
    return {each.name: each.total for each in report.loaded}


async def test_the_whole_nomenclature(
    database: Database, samples: Path, load_files: Load, clock: MovableClock
) -> None:
    assert await means(database, NUVA, "VAC0001") == set()
    report = await load_files(samples / "nuva")
    assert totals(report) == {
        "NUVA": 1441,
        "ATC": 97,
        "CIP": 1052,
        "CIS": 282,
        "CVX": 259,
        "SNOMED-CT": 212,
        "ICD11": 179,
        "NDC": 355,
        "NTIN": 242,
        "EU-NUMBER": 440,
    }
    assert all(each.changed == each.total and not each.removed for each in report.loaded)
    assert report.skipped == ()
    assert len(report.unknown_targets) == 14
    assert report.unknown_targets["DIS076"] == 3  # urinary infection
    assert report.ignored["PZN"] == 144 and "NUVACode" not in report.ignored

    for system, code, disease in [
        (NUVA, "VAC0001", "hib"),
        (NTIN, "3400933472016", "hib"),
        (NTIN, "03400933472016", "hib"),
        (EU_NUMBER, "EU/1/03/263/001", "cholera"),
        (EU_NUMBER, "EU-1-03-263-001", "cholera"),
        (ICD_11, "XM1LR5", "influenza"),
        ("urn:oid:2.16.840.1.113883.6.347", "XM1LR5", "influenza"),
        (NDC, "49281012188", "influenza"),
        (NDC, "49281-545", "hib"),
    ]:
        assert await means(database, system, code) == {disease}, (system, code)
    assert await label(database, NUVA, "VAC0110") == "Vaccin Grippe, sans précision"

    before = await rows(database)
    clock.offset += timedelta(days=1)
    again = await load_files(samples / "nuva")
    assert totals(again) == totals(report)
    assert not any(each.changed or each.removed for each in again.loaded)
    assert await rows(database) == before, "not even the time of loading changes"


async def test_the_shipped_vaccines_are_what_the_nomenclature_says(
    database: Database, samples: Path, load_files: Load
) -> None:
    await load_files(samples / "nuva")
    async with database.read() as work:
        keys = tuple_(VaccineCode.system, VaccineCode.code)
        found = await work.session.scalars(select(VaccineCode).where(keys.in_(list(vaccines()))))
        loaded = {(row.system, row.code): frozenset(row.disease_codes) for row in found}
    assert len(loaded) > 1_800
    assert {key: what for key, what in loaded.items() if vaccines()[key] != what} == {}


async def test_a_code_of_several_vaccines_means_what_they_share(
    database: Database, samples: Path, load_files: Load
) -> None:
    """SNOMED CT 2221000221107 is said of chickenpox and of shingles vaccines."""
    await load_files(samples / "nuva")
    assert await means(database, SNOMED_CT, "2221000221107") == set()
    assert await label(database, SNOMED_CT, "2221000221107") is not None


async def test_files_load_one_after_the_other(
    database: Database, samples: Path, load_files: Load
) -> None:
    nuva = samples / "nuva"
    await load_files(nuva / "nuva_units.tar.gz")
    in_english = await label(database, NUVA, "VAC0110")
    assert in_english == "Influenza vaccine, unspecified"
    report = await load_files(nuva / "nuva_fr.yml", nuva / "ICD112nuva.csv")
    assert {each.name for each in report.loaded} == {"NUVA", "ICD11"}
    assert totals(report)["ICD11"] == 179
    assert await label(database, NUVA, "VAC0110") == "Vaccin Grippe, sans précision"
    assert await means(database, NTIN, "3400933472016") == {"hib"}, "other systems stay"


async def test_a_new_edition_replaces_the_codes_of_its_systems(
    database: Database,
    tmp_path: Path,
    load_files: Load,
    units: dict[str, str | bytes],
    archive: Archive,
) -> None:
    file = tmp_path / "nuva_units.tar.gz"
    file.write_bytes(archive(units))
    first = await load_files(file)
    assert first.loaded == (Loaded("NUVA", 1, 1, 0), Loaded("CVX", 1, 1, 0))
    name = "Units/Vaccines/VAC0001.yml"
    units[name] = str(units[name]).replace("'05'", "'905'")
    file.write_bytes(archive(units))
    second = await load_files(file)
    assert second.loaded == (Loaded("NUVA", 1, 0, 0), Loaded("CVX", 1, 1, 1))
    assert await means(database, CVX, "905") == {"measles"}
    assert await label(database, CVX, "05") is None


async def test_a_load_that_fails_changes_nothing(
    database: Database,
    tmp_path: Path,
    samples: Path,
    units: dict[str, str | bytes],
    archive: Archive,
) -> None:
    file = tmp_path / "nuva_units.tar.gz"
    file.write_bytes(archive(units))
    with pytest.raises(ZeroDivisionError):
        async with database.write() as work:
            await load(work, [file, samples / "fr-valuesets"], lambda _: None)
            _ = 1 / 0
    assert await rows(database) == []


async def test_value_sets(
    database: Database, samples: Path, load_files: Load, clock: MovableClock
) -> None:
    report = await load_files(samples / "fr-valuesets")
    assert len(report.loaded) == 12
    assert totals(report)["JDV_J07_XdsTypeCode_CISIS"] == 114
    assert [path.name for path in report.skipped] == ["ASS_A11_templateId_to_formatCode.tsv"]
    speciality = ("urn:oid:1.2.250.1.71.4.2.4", "SA25")
    async with database.read() as work:
        found = await displays(None, work, [speciality, ("urn:oid:1.2.3", "SA25")])
    assert found == {speciality: "Laboratoire de biologie médicale"}

    before = await rows(database)
    clock.offset += timedelta(days=1)
    again = await load_files(samples / "fr-valuesets")
    assert not any(each.changed or each.removed for each in again.loaded)
    assert await rows(database) == before


def value_set(name: str, **displays: str) -> str:
    concepts = "".join(
        f'<Concept code="{code}" codeSystem="1.2.3" displayName="{text}"/>'
        for code, text in displays.items()
    )
    return (
        '<RetrieveValueSetResponse xmlns="urn:ihe:iti:svs:2008">'
        f'<ValueSet displayName="{name}"><ConceptList xml:lang="fr-FR">{concepts}</ConceptList>'
        '<ConceptList xml:lang="en-US">'
        '<Concept code="A" codeSystem="1.2.3" displayName="English"/></ConceptList>'
        "</ValueSet></RetrieveValueSetResponse>"
    )


async def concepts(database: Database) -> dict[str, tuple[str, str]]:
    async with database.read() as work:
        found = await work.session.scalars(select(Concept))
        return {row.code: (row.display, row.value_set) for row in found}


async def test_a_code_of_two_value_sets_stays_while_one_has_it(
    database: Database, tmp_path: Path, load_files: Load
) -> None:
    one, two = tmp_path / "one.xml", tmp_path / "two.xml"
    one.write_text(value_set("Une", A="Un", B="Deux"))
    two.write_text(value_set("Zwei", B="Zwei", C="Drei"))
    await load_files(two, one)
    assert await concepts(database) == {
        "A": ("Un", "Une"),
        "B": ("Deux", "Une"),
        "C": ("Drei", "Zwei"),
    }
    one.write_text(value_set("Une", A="Un"))
    report = await load_files(tmp_path)
    assert report.loaded == (Loaded("Une", 1, 0, 0), Loaded("Zwei", 2, 1, 0))
    assert (await concepts(database))["B"] == ("Zwei", "Zwei")
    two.write_text(value_set("Zwei", C="Drei"))
    report = await load_files(two)
    assert report.loaded == (Loaded("Zwei", 1, 0, 1),)
    assert (await concepts(database)).keys() == {"A", "C"}


async def test_each_file_is_told_before_it_is_read(
    database: Database, tmp_path: Path, samples: Path
) -> None:
    told: list[str] = []
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / ".hidden.csv").write_text("nothing")
    (tmp_path / "inner").mkdir()
    (tmp_path / "set.xml").write_text(value_set("Une", A="Un"))
    async with database.write() as work:
        report = await load(work, [tmp_path], told.append)
    assert told == ["notes.txt", "set.xml"]
    assert [path.name for path in report.skipped] == ["notes.txt"]
    assert totals(report) == {"Une": 1}
