"""A search that finds nothing proves something only if it finds what is there."""

import os
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import asyncpg
import pytest
from canary import Search
from sqlalchemy import URL

SECRET = "Prémices d’une grossesse"


@pytest.mark.parametrize(
    "write",
    [
        lambda data: data,
        lambda data: data.hex().encode(),
        b64encode,
        lambda data: b64encode(b"x" + data),
        lambda data: urlsafe_b64encode(b"xy" + data + b"z"),
        lambda data: data.decode().encode("utf-16-le"),
    ],
)
def test_it_finds_what_is_in_a_file(tmp_path: Path, write) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "file"
    file.write_bytes(os.urandom(5000) + write(SECRET.encode()) + os.urandom(5000))
    search = Search({"words": SECRET, "other": os.urandom(32)})
    search.look_in_folder(tmp_path)
    assert search.found == [f"words in {file}"]
    assert search.looked_at > 10_000


def test_it_finds_what_is_in_a_name(tmp_path: Path) -> None:
    (tmp_path / "radio-genou.pdf").touch()
    search = Search({"name": "radio-genou"})
    search.look_in_folder(tmp_path)
    assert len(search.found) == 1


async def test_it_finds_what_is_in_a_table(owner_url: URL) -> None:
    dsn = owner_url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept (data bytea, words text, padding text)")
    key = os.urandom(32)
    long = "x" * 100_000  # is compressed where it lies
    await connection.execute("INSERT INTO kept VALUES ($1, $2, $3)", key, SECRET, long)
    await connection.close()
    search = Search({"words": SECRET, "key": key, "other": os.urandom(32)})
    assert await search.look_in_tables(dsn) > 1
    assert sorted(search.found) == ["key in public.kept", "words in public.kept"]
