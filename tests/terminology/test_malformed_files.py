"""A file that cannot be loaded: one line that names it and, where there is one, the line in it."""

import tarfile
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import func, select

from carnet.errors import UserMistake
from carnet.store.database import Database
from carnet.terminology import sources
from carnet.terminology import units as units_module
from carnet.terminology.actions import LoadReport
from carnet.terminology.tables import Concept, VaccineCode

Load = Callable[..., Awaitable[LoadReport]]
Archive = Callable[[dict[str, str | bytes]], bytes]
Shape = dict[str, str | bytes]

SVS = '<RetrieveValueSetResponse xmlns="urn:ihe:iti:svs:2008">\n'
VACCINE = "Units/Vaccines/VAC0001.yml"
VALENCE = "Units/Valences/VAL001.yml"
BILLION = "a0: &a0 {x: y}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60)
)


async def refusal(load_files: Load, *paths: Path) -> str:
    with pytest.raises(UserMistake) as caught:
        await load_files(*paths)
    assert "\n" not in caught.value.message
    return caught.value.message


async def nothing_is_loaded(database: Database) -> bool:
    async with database.read() as work:
        counts = [
            await work.session.scalar(select(func.count()).select_from(table))
            for table in (VaccineCode, Concept)
        ]
    return counts == [0, 0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"nothing"),
        ("empty.csv", b""),
        ("other.csv", b"code,label\n1,2\n"),
        ("other.xml", b"<html/>"),
        ("other.yml", b"de:\n  vaccine: {}\n"),
        ("units.tar.gz", b"no archive"),
    ],
)
async def test_a_file_of_no_known_kind(
    database: Database, tmp_path: Path, load_files: Load, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert await refusal(load_files, file) == (
        f"{file}: this is not a file of NUVA nor a value set."
    )
    assert "no file of NUVA" in await refusal(load_files, tmp_path)
    assert await nothing_is_loaded(database)


async def test_a_path_that_is_not_there(tmp_path: Path, load_files: Load) -> None:
    file = tmp_path / "nuva\x1b[31m.csv"
    assert await refusal(load_files, file) == (
        f"{tmp_path}/nuva�[31m.csv: there is no such file or folder."
    )


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (
            b"CVX,NUVA,Label\nCVX-05,VAC0001,A\nCVX-06,VAC0001\n",
            3,
            "3 columns are expected, not 2.",
        ),
        (b"CVX,NUVA,Label\nCVX-05,VAC0009,A\n", 2, "NUVA's units have no such vaccine."),
        (b"CVX,NUVA,Label\nCVX-,VAC0001,A\n", 2, "this is no code."),
        (b'CVX,NUVA,Label\nCVX-05,VAC0001,"A"B\n', 2, "this is not CSV."),
        (b'CVX,NUVA,Label\nCVX-05,VAC0001,"A\n\n', 3, "this is not CSV."),
        (b"CVX,NUVA,Label\nCVX-05,VAC0001,A\nCVX-06,VAC0001,\xe9\n", 3, "this is not UTF-8."),
        (b"CVX,NUVA,Label\nCVX-\x000,VAC0001,A\n", 2, "this is no code."),
        (b"NUVA,label,comment,abstract\nVAC1,,,False\n", 2, "a vaccine needs an id and a label."),
    ],
)
async def test_malformed_csv(
    database: Database,
    tmp_path: Path,
    load_files: Load,
    units: Shape,
    archive: Archive,
    content: bytes,
    line: int,
    problem: str,
) -> None:
    (tmp_path / "nuva_units.tar.gz").write_bytes(archive(units))
    file = tmp_path / "CVX2nuva.csv"
    file.write_bytes(b"\xef\xbb\xbf" + content)
    assert await refusal(load_files, tmp_path) == f"{file}, line {line}: {problem}"
    assert await nothing_is_loaded(database)


async def test_codes_before_the_units(tmp_path: Path, load_files: Load) -> None:
    file = tmp_path / "CVX2nuva.csv"
    file.write_text("CVX,NUVA,Label\nCVX-05,VAC0001,A\n")
    assert "load nuva_units.tar.gz before" in await refusal(load_files, file)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (f"{SVS}<ValueSet>", 2, "this XML is not well-formed."),
        (f"<!DOCTYPE x>\n{SVS}", 1, "a DOCTYPE is not allowed."),
        (
            f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n{SVS}&e;',
            1,
            "a DOCTYPE is not allowed.",
        ),
        (f"<x>\n{SVS}</RetrieveValueSetResponse></x>", 1, "this XML is not a value set."),
        (f"{SVS}<ValueSet/></RetrieveValueSetResponse>", 2, "this value set has no name."),
        (
            f'{SVS}<ValueSet id="1">\n<ConceptList>\n<Concept code="A" codeSystem="1.2"/>'
            "</ConceptList></ValueSet></RetrieveValueSetResponse>",
            4,
            "a concept needs a code, a codeSystem and a displayName.",
        ),
        (
            f'{SVS}<ValueSet id="1"/></RetrieveValueSetResponse>',
            None,
            "there is no French concept in this value set.",
        ),
    ],
)
async def test_malformed_value_sets(
    database: Database,
    tmp_path: Path,
    load_files: Load,
    content: str,
    line: int | None,
    problem: str,
) -> None:
    file = tmp_path / "JDV.xml"
    file.write_text(content)
    place = f"{file}, line {line}" if line else str(file)
    assert await refusal(load_files, file) == f"{place}: {problem}"
    assert await nothing_is_loaded(database)


async def test_no_encoding_hides_a_doctype(tmp_path: Path, load_files: Load) -> None:
    text = f'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x>{SVS}'
    file = tmp_path / "JDV.xml"
    file.write_text(text)
    assert "this XML is not well-formed." in await refusal(load_files, file)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (VACCINE, "label: a: b", f"{VACCINE}, line 1: this is not YAML."),
        (VACCINE, "label: !!python/object:os.x {}", f"{VACCINE}, line 1: this is not YAML."),
        (VACCINE, "created: 2026-99-99", f"{VACCINE}: this is not YAML."),
        (VACCINE, "[" * 60_000, f"{VACCINE}, line 1: this is not YAML."),
        (VACCINE, "label: &a A\ncomment: *a", f"{VACCINE}, line 2: this is not YAML."),
        (VACCINE, BILLION, f"{VACCINE}, line 2: this is not YAML."),
        (VACCINE, "- a", f"{VACCINE}: this should be a mapping."),
        (VACCINE, "codes: {}", f"{VACCINE}: a vaccine needs a label."),
        (VACCINE, "label: 5", f"{VACCINE}: label should be a text."),
        (VACCINE, "label: A\nvalences: VAL001", f"{VACCINE}: valences should be a list of texts."),
        (VACCINE, "label: A\nvalences: [VAL002]", f"{VACCINE}: it has a valence that is not"),
        (VACCINE, "label: A\ncodes: [a]", f"{VACCINE}: codes should be lists by name."),
        (VACCINE, "label: A\ncodes: {CVX: [5]}", f"{VACCINE}: codes should be a list of texts."),
        (VACCINE, "label: A\ncodes: {CVX: ['']}", f"{VACCINE}: it has a code that is none."),
        (VALENCE, "parent: VAL001", f"{VALENCE}: neither this valence nor one above it"),
        (VACCINE, "#" * 70_000, f"{VACCINE}: it is larger than a unit can be."),
    ],
)
async def test_malformed_units(
    database: Database,
    tmp_path: Path,
    load_files: Load,
    units: Shape,
    archive: Archive,
    name: str,
    content: str,
    problem: str,
) -> None:
    file = tmp_path / "nuva_units.tar.gz"
    file.write_bytes(archive({**units, name: content}))
    assert (await refusal(load_files, file)).startswith(f"{file}: {problem}")
    assert await nothing_is_loaded(database)


async def test_a_valence_takes_the_target_of_the_one_above(
    tmp_path: Path, load_files: Load, units: Shape, archive: Archive
) -> None:
    units["Units/Valences/VAL002.yml"] = str(units[VALENCE])
    units[VALENCE] = "label: A\nparent: VAL002\n"
    file = tmp_path / "nuva_units.tar.gz"
    file.write_bytes(archive(units))
    report = await load_files(file)
    assert report.unknown_targets == {}
    assert [each.total for each in report.loaded] == [1, 1]


async def test_damaged_archives(
    tmp_path: Path,
    load_files: Load,
    units: Shape,
    archive: Archive,
    gzipped: Callable[[bytes], bytes],
) -> None:
    file = tmp_path / "nuva_units.tar.gz"
    whole = archive(units)
    for content in (whole[:200], whole[:-12] + bytes(12), gzipped(b"no archive" * 100)):
        file.write_bytes(content)
        assert await refusal(load_files, file) == f"{file}: this archive is damaged."
    file.write_bytes(archive({"Units/import.txt": "Imported"}))
    assert await refusal(load_files, file) == f"{file}: this archive has no units of NUVA."


async def test_an_archive_that_unpacks_to_too_much(
    tmp_path: Path,
    load_files: Load,
    units: Shape,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "nuva_units.tar.gz"
    file.write_bytes(archive({**units, "Units/zeros": bytes(5 * 2**20)}))
    await load_files(file)
    monkeypatch.setattr(units_module, "UNPACKED_LIMIT", 4 * 2**20)
    problem = f"{file}: this archive unpacks to more than is read."
    assert await refusal(load_files, file) == problem
    monkeypatch.undo()
    monkeypatch.setattr(units_module, "MEMBERS_LIMIT", 3)
    assert await refusal(load_files, file) == problem


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


async def test_nothing_of_an_archive_is_written_or_followed(
    tmp_path: Path, load_files: Load, units: Shape, archive: Archive
) -> None:
    made = BytesIO(archive({**units, "../../escaped": "x", "/Units/Vaccines/VAC0002.yml": "["}))
    file = tmp_path / "in" / "nuva_units.tar.gz"
    file.parent.mkdir()
    with (
        tarfile.open(fileobj=made) as whole,
        tarfile.open(file, "w:gz") as linked,
    ):
        for member in whole:
            linked.addfile(member, whole.extractfile(member))
        link = tarfile.TarInfo("Units/Vaccines/VAC0003.yml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        linked.addfile(link)
    report = await load_files(file)
    assert [(each.name, each.total) for each in report.loaded] == [("NUVA", 1), ("CVX", 1)]
    assert names_in(tmp_path) == ["in", "nuva_units.tar.gz"]


async def test_a_file_that_is_too_large(
    tmp_path: Path, load_files: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BYTES_LIMIT", 2**20)
    file = tmp_path / "CVX2nuva.csv"
    file.write_bytes(b"CVX,NUVA,Label\n".ljust(2**20 + 1, b"\n"))
    assert await refusal(load_files, file) == f"{file}: this file is larger than 1 MiB."
    monkeypatch.setattr(sources, "FILES_LIMIT", 0)
    assert "more than 0 files" in await refusal(load_files, tmp_path)


@pytest.mark.parametrize(
    "content",
    ["fr: [", "fr: 5", "fr:\n  vaccine: [a]", "fr:\n  vaccine:\n    VAC0001L: 5"],
)
async def test_malformed_french_names(tmp_path: Path, load_files: Load, content: str) -> None:
    file = tmp_path / "nuva_fr.yml"
    file.write_text(content)
    assert (await refusal(load_files, file)).startswith(str(file))
