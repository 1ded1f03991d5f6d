"""Ranges, conditions and file names, without a server."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from carnet.http.ranges import Selection, disposition, safe_file_name, select

ETAG = '"abc"'
SIZE = 1000
WHOLE = Selection(200, 0, SIZE)


def get(method: str = "GET", size: int = SIZE, **headers: str) -> Selection:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return select(method, fields, ETAG, size)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-499", 0, 500),
        ("bytes=500-", 500, 1000),
        ("bytes=999-999", 999, 1000),
        ("bytes=990-5000", 990, 1000),
        ("bytes=-1", 999, 1000),
        ("bytes=-1000", 0, 1000),
        ("bytes=-5000", 0, 1000),
        ("Bytes= 1-2 ", 1, 3),
        ("bytes=0-" + "9" * 3000, 0, 1000),
        ("bytes=-" + "9" * 3000, 0, 1000),
    ],
)
def test_a_range_is_served(asked: str, start: int, end: int) -> None:
    assert get(range=asked) == Selection(206, start, end)


@pytest.mark.parametrize(
    "asked", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=" + "9" * 99 + "-"]
)
def test_a_range_outside_is_refused(asked: str) -> None:
    assert get(range=asked) == Selection(416)


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-4",
        "bytes=a-b",
        "bytes=-",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=²-",
        "bytes 0-1",
        "items=0-1",
        "bytes=0-1,5-6",
        "bytes=" + "0-,1-," * 500,
        "bytes=0-" + "9" * 5000,
        "",
    ],
)
def test_what_is_no_single_range_gets_everything(asked: str) -> None:
    assert get(range=asked) == WHOLE


def test_a_range_is_only_for_get() -> None:
    assert get("HEAD", range="bytes=0-1") == WHOLE


def test_empty_content_has_no_ranges() -> None:
    assert get(size=0, range="bytes=0-") == Selection(200, 0, 0)
    assert get(size=0) == Selection(200, 0, 0)


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(ETAG, 206), ('W/"abc"', 200), ('"old"', 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)],
)
def test_if_range_serves_the_whole_when_it_changed(if_range: str, status: int) -> None:
    assert get(range="bytes=0-1", if_range=if_range).status == status


@pytest.mark.parametrize("header", [ETAG, 'W/"abc"', '"x", "abc"', '"x",W/"abc"', "*", " * "])
def test_if_none_match_tells_that_nothing_changed(header: str) -> None:
    assert get(if_none_match=header) == Selection(304)
    assert get("HEAD", if_none_match=header) == Selection(304)
    assert get(if_none_match=header, range="bytes=0-1") == Selection(304)


@pytest.mark.parametrize("header", ['"x"', "abc", "", '"abc', '"' + "a" * 9000])
def test_if_none_match_of_something_else_gets_everything(header: str) -> None:
    assert get(if_none_match=header) == WHOLE


def test_if_match_needs_the_very_same() -> None:
    assert get(if_match=ETAG) == WHOLE
    assert get(if_match="*") == WHOLE
    assert get(if_match='"x", "abc"', range="bytes=0-1") == Selection(206, 0, 2)
    assert get(if_match='"x"') == Selection(412)
    assert get(if_match='W/"abc"') == Selection(412)
    assert get(if_match="", if_none_match=ETAG) == Selection(412)


@given(st.text(max_size=60), st.integers(0, 10**6))
def test_no_range_header_breaks_the_bounds(asked: str, size: int) -> None:
    for header in (asked, "bytes=" + asked):
        selection = select("GET", {"range": header}, ETAG, size)
        assert selection.status in (200, 206, 416)
        if selection.status != 416:
            assert 0 <= selection.start <= selection.end <= size


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        (
            "Compte rendu d’été.pdf",
            "attachment; filename=\"Compte rendu dete.pdf\"; filename*=UTF-8''Compte%20rendu%20d%E2%80%99%C3%A9t%C3%A9.pdf",
        ),
        (
            "心电图",
            "attachment; filename=\"content\"; filename*=UTF-8''%E5%BF%83%E7%94%B5%E5%9B%BE",
        ),
        ('a"b\\c.txt', 'attachment; filename="c.txt"'),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("a\r\nSet-Cookie: x=1", 'attachment; filename="a Set-Cookie_ x=1"'),
        ("", 'attachment; filename="content"'),
        ("..", 'attachment; filename="content"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
    ],
)
def test_a_file_name_is_made_harmless_and_kept_readable(name: str, expected: str) -> None:
    assert disposition(name, is_inline=False) == expected
    assert disposition(name, is_inline=True) == expected.replace("attachment", "inline")


def test_characters_that_turn_the_direction_or_hide_are_dropped() -> None:
    assert safe_file_name("invoice\u202efdp.exe") == "invoicefdp.exe"
    assert safe_file_name("a\u200b\x00\x01b.txt") == "ab.txt"


def test_a_long_name_keeps_its_suffix() -> None:
    name = safe_file_name("é" * 500 + ".pdf")
    assert name == "é" * 98 + ".pdf"
    assert len(name.encode()) == 200
    assert len(safe_file_name("x" * 500)) == 200


@given(st.text(max_size=400))
def test_every_name_gives_one_plain_header_line(name: str) -> None:
    value = disposition(name, is_inline=False)
    assert re.fullmatch(
        r"""attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]+"(; filename\*=UTF-8''[A-Za-z0-9!#$&+^_`|~.%-]+)?""",
        value,
    )
    safe = safe_file_name(name)
    assert safe
    assert len(safe.encode()) <= 200
    assert not set("/\\<>:|?*\r\n\x00") & set(safe)


def test_a_name_of_accents_is_cut_before_it_is_put_in_order() -> None:
    began = time.thread_time()  # it would take 20 seconds
    name = safe_file_name("\u0315\u0300\u05ae" * 30_000 + ".pdf")
    assert time.thread_time() - began < 1
    assert name.endswith(".pdf") and len(name.encode()) <= 200
