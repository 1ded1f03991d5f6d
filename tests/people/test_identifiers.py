from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.people import identifiers
from carnet.people.identifiers import (
    INS_C,
    INS_NIA,
    INS_NIR,
    INS_NIR_TEST,
    fold_name,
    is_national,
    key_valid,
    normalize,
    normalize_system,
    rpps_of,
    rpps_valid,
    spellings,
)
from carnet.values import Identifier


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("255081416802538", True),  # INSEE's own worked example
        ("255081416802537", False),
        ("2 55 08 14 168 025 38", True),
        ("2550814168025", None),
        ("279035121518989", True),
        ("123456789012345", False),
        ("25508141680253", False),
        ("25508141680253X", False),
        ("25508C416802538", False),
        ("", False),
    ],
)
def test_key_of_a_nir(value: str, expected: bool | None) -> None:
    assert key_valid(Identifier(INS_NIR, value)) is expected


def test_corsica_counts_as_19_and_18() -> None:
    for letters, digits in (("2A", "19"), ("2B", "18")):
        key = 97 - int(f"18005{digits}123456") % 97
        assert key_valid(Identifier(INS_NIR, f"18005{letters}123456{key:02d}")) is True
        assert key_valid(Identifier(INS_NIR, f"18005{letters.lower()}123456{key:02d}")) is True
        assert key_valid(Identifier(INS_NIR, f"18005{letters}123456{key % 97 + 1:02d}")) is False


def test_only_numbers_with_a_nir_key_have_one() -> None:
    assert key_valid(Identifier(INS_NIA, "255081416802538")) is True
    assert key_valid(Identifier(INS_NIR_TEST, "255081416802538")) is True
    assert key_valid(Identifier(INS_C, "0736863105389812432325")) is None
    assert key_valid(Identifier("urn:oid:1.2.3", "255081416802538")) is None


@given(st.text(max_size=20))
def test_no_text_breaks_the_check(text: str) -> None:
    assert key_valid(Identifier(INS_NIR, text)) in (True, False, None)
    rpps_valid(text)
    fold_name(text)
    normalize_system(text)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("1.2.250.1.213.1.4.8", INS_NIR),
        ("urn:oid:1.2.250.1.213.1.4.8", INS_NIR),
        ("URN:OID:1.2.250.1.213.1.4.8", INS_NIR),
        (" 1.2.250.1.213.1.4.8 ", INS_NIR),
        ("https://example.org/ids", "https://example.org/ids"),
        ("urn:oid:1.2.", "urn:oid:1.2."),
        ("9.2.3", "9.2.3"),
        ("1.02.3", "1.02.3"),
        ("", ""),
    ],
)
def test_systems_become_uris(system: str, expected: str) -> None:
    assert normalize_system(system) == expected


def test_national_values_lose_their_spaces_and_others_keep_them() -> None:
    assert normalize(Identifier("1.2.250.1.213.1.4.8", " 2 55 08 2a 168 025 38")) == Identifier(
        INS_NIR, "255082A16802538"
    )
    assert normalize(Identifier("urn:oid:1.2.3", " a b ")) == Identifier("urn:oid:1.2.3", "a b")


def test_a_nir_is_one_number_with_its_key_and_without() -> None:
    short, right = Identifier(INS_NIR, "2550814168025"), Identifier(INS_NIR, "255081416802538")
    wrong = Identifier(INS_NIR, "255081416802599")
    assert spellings(short) == spellings(right) == (short, right)
    assert spellings(wrong) == (short, right, wrong)
    assert spellings(Identifier("urn:oid:1.2.3", "2550814168025")) == (
        Identifier("urn:oid:1.2.3", "2550814168025"),
    )
    assert spellings(Identifier(INS_NIR, "odd")) == (Identifier(INS_NIR, "ODD"),)


def test_which_systems_are_national() -> None:
    assert {number for number in range(1, 20) if is_national(f"1.2.250.1.213.1.4.{number}")} == {
        2,
        8,
        9,
        10,
        11,
    }
    assert not is_national("urn:oid:2.16.840.1.113883.4.1")


@pytest.mark.parametrize(
    ("rpps", "expected"),
    [
        ("10003456789", False),
        ("10101234564", True),
        ("99700218896", True),
        ("99700218897", False),
        ("9970021889", False),
        ("997002188960", False),
        ("٩٩٧٠٠٢١٨٨٩٦", False),
        ("", False),
    ],
)
def test_luhn_key_of_an_rpps(rpps: str, expected: bool) -> None:
    assert rpps_valid(rpps) is expected


def test_every_single_wrong_digit_breaks_the_luhn_key() -> None:
    right = "10101234564"
    for place in range(11):
        for digit in set("0123456789") - {right[place]}:
            assert not rpps_valid(right[:place] + digit + right[place + 1 :])


def test_rpps_out_of_an_identifier() -> None:
    assert rpps_of(Identifier("1.2.250.1.71.4.2.1", "810101234564")) == "10101234564"
    assert rpps_of(Identifier("1.2.250.1.71.4.2.1", "010101234564")) is None  # 0 is ADELI
    assert rpps_of(Identifier("https://rpps.esante.gouv.fr", "10101234564")) == "10101234564"
    assert rpps_of(Identifier("urn:oid:1.2.3", "10101234564")) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PAT-TROIS", "pat trois"),
        ("D'ARTAGNAN", "d’Artagnan"),
        ("LEFÈVRE", "Lefevre"),
        ("Œuf", "OEUF"),
        ("STRAßE", "strasse"),
        ("GARÇON", "Garc\u0327on"),
    ],
)
def test_names_that_are_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


def test_names_that_are_two() -> None:
    assert fold_name("MOREAU") != fold_name("MOREAUX")


def test_real_documents_carry_wrong_keys_and_only_those_are_flagged(samples: Path) -> None:
    """The specimens of the national agency: each number is judged, none breaks the check."""
    found = set()
    for path in (samples / "fr-cda").rglob("*.xml"):
        text = path.read_text(encoding="utf-8", errors="replace")
        found |= set(
            re.findall(r'<id[^>]*extension="(\d+)"[^>]*root="(1\.2\.250\.1\.213\.1\.4\.\d+)"', text)
        )
    assert found
    for value, root in found:
        expected = None
        if len(value) == 15 and root.rsplit(".", 1)[1] in {"8", "9", "10", "11"}:
            expected = int(value[13:]) == 97 - int(value[:13]) % 97
        assert key_valid(Identifier(root, value)) is expected, root


def test_repr_of_an_identifier_hides_the_value() -> None:
    assert "255081416802538" not in repr(Identifier(identifiers.INS_NIR, "255081416802538"))


@given(st.text(max_size=60))
def test_a_name_folds_as_its_whole_normal_form_does(name: str) -> None:
    whole = unicodedata.normalize("NFKD", name.casefold().translate(identifiers._LIGATURES))
    assert fold_name(name) == "".join(letter for letter in whole if letter.isalnum())


def test_a_name_of_accents_costs_what_its_length_says() -> None:
    began = time.thread_time()  # in canonical order they would be sorted: 20 seconds
    assert fold_name("\u0315\u0300\u05ae" * 30_000 + "A") == "a"
    assert time.thread_time() - began < 1
