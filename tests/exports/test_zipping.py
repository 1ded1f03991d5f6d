"""The ZIP itself, and the names in it."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import zlib
from asyncio.subprocess import PIPE
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import exporting
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.documents.tables import Document, DocumentContent
from carnet.exports.rules import entry_name, is_worth_compressing
from carnet.exports.zipping import ZipStream

AT = datetime(2024, 3, 1, 12, 30, 20, tzinfo=UTC)
LARGE = 3 * 2**30  # bytes: needs 64-bit fields


async def zipped(*files: tuple[str, bytes, int, bool], at: datetime = AT) -> bytes:
    made = bytearray()
    with closing(ZipStream()) as stream:
        for name, data, size, is_compressed in files:
            content = exporting.once(data)
            async for piece in stream.add(
                name, content, at, size_bytes=size, is_compressed=is_compressed
            ):
                made += piece
        made += stream.end()
    return bytes(made)


async def test_dense_contents_are_not_compressed_again() -> None:
    data = bytes(100_000)
    files = ZipFile(
        io.BytesIO(await zipped(("a", data, 0, True), ("b", data, 0, False)))
    ).infolist()
    assert files[0].compress_size < 1000
    assert 100_000 <= files[1].compress_size < 100_100
    assert {file.date_time for file in files} == {(2024, 3, 1, 12, 30, 20)}
    assert {file.external_attr >> 16 for file in files} == {0o100644}


async def test_sizes_that_need_64_bits_have_them(tmp_path: Path) -> None:
    body = await zipped(("é/large.bin", b"x" * 10, LARGE, False), ("small", b"y", 0, True))
    with ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert archive.getinfo("é/large.bin").extract_version == 45
        assert archive.getinfo("small").extract_version == 20
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("no unzip here")
    (tmp_path / "a.zip").write_bytes(body)
    tested = await asyncio.create_subprocess_exec(
        unzip, "-tq", str(tmp_path / "a.zip"), stdout=PIPE, stderr=PIPE
    )
    assert await tested.wait() == 0


async def test_a_reader_that_cannot_seek_finds_the_end_of_a_content() -> None:
    data = os.urandom(200_000)
    body = await zipped(("a", data, 0, False))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    found = inflater.decompress(body[30 + len("a") :])
    assert (found, inflater.eof) == (data, True)
    assert inflater.unused_data[:4] == b"PK\x07\x08"


@pytest.mark.parametrize("year", [1970, 2300])
async def test_times_that_the_format_does_not_have_are_its_nearest(year: int) -> None:
    body = await zipped(("a", b"", 0, True), at=AT.replace(year=year))
    (file,) = ZipFile(io.BytesIO(body)).infolist()
    assert file.date_time[0] in (1980, 2107)


async def test_a_zip_that_is_left_in_the_middle_lets_go() -> None:
    stream = ZipStream()
    pieces = stream.add("a", exporting.once(os.urandom(3 * 2**20)), AT, is_compressed=False)
    assert len(await anext(pieces)) >= 2**20
    stream.close()  # the file is not at its end
    await pieces.aclose()
    stream.close()


@given(st.text(max_size=500), st.sampled_from(["application/pdf", "text/plain", "a/b", "é"]))
def test_no_title_makes_a_dangerous_name(title: str, media_type: str) -> None:
    document = Document(id=uuid4(), title=title, sort_at=AT)
    name = entry_name(document, DocumentContent(part=2, media_type=media_type))
    folder, file = name.split("/")
    assert folder == "documents"
    assert file.startswith("2024-03-01 ")
    assert f"({document.id.hex[-12:]}-2)." in file
    assert len(file.encode()) <= 255
    assert file.isprintable()
    assert not set(file) & set('\\:*?"<>|')


def test_pictures_and_pdf_are_dense() -> None:
    assert is_worth_compressing("text/plain; charset=utf-8")
    assert is_worth_compressing("application/fhir+json")
    assert is_worth_compressing("application/XML")
    assert not is_worth_compressing("application/pdf")
    assert not is_worth_compressing("image/jpeg")
