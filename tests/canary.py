"""Looking for what must be nowhere: in files, tables and logs, in any of the forms it might take."""

from __future__ import annotations

import json
import mmap
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

import asyncpg

LEAST = 8  # bytes of a needle: shorter ones are found by chance


def forms(needle: bytes) -> set[bytes]:
    """Return the forms that bytes may be written in: as they are, hexadecimal, base64 at each of
    three places, escaped in JSON, in UTF-16."""
    assert len(needle) >= LEAST
    found = {needle, needle.hex().encode(), needle.hex().upper().encode()}
    for shift in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            # Only what does not depend on the neighbours: whole groups of three bytes.
            text = encode(bytes(shift) + needle)[4 if shift else 0 :]
            found.add(text[: len(text) // 4 * 4 - 4])
    try:
        words = needle.decode()
    except UnicodeDecodeError:
        return found
    found |= {json.dumps(words)[1:-1].encode(), words.encode("utf-16-le")}
    return found


class Search:
    """Searches for several needles at once; remembers how much it has looked at."""

    def __init__(self, needles: Mapping[str, bytes | str]) -> None:
        self.looked_at = 0  # bytes
        self.found: list[str] = []
        self._forms = {
            name: forms(needle.encode() if isinstance(needle, str) else needle)
            for name, needle in needles.items()
        }

    def look(self, place: str, data: bytes | mmap.mmap) -> None:
        """Search bytes."""
        self.looked_at += len(data)
        for name, written in self._forms.items():
            if any(data.find(form) >= 0 for form in written):
                self.found.append(f"{name} in {place}")

    def look_in_folder(self, folder: Path, besides: Iterable[Path] = ()) -> None:
        """Search every file below a folder, and its name."""
        left_out = set(besides)
        for path in sorted(folder.rglob("*")):
            if path in left_out or not path.is_file():
                continue
            self.look(f"the name of {path}", str(path.relative_to(folder)).encode())
            if path.stat().st_size:
                with (
                    path.open("rb") as file,
                    mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as all_,
                ):
                    self.look(str(path), all_)

    async def look_in_tables(self, dsn: str) -> int:
        """Search every row of every table, as text; return how many tables there are."""
        connection = await asyncpg.connect(dsn)
        try:
            tables = await connection.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            for table in tables:
                # What is compressed in a file of the database is not in the copy.
                await connection.copy_from_query(
                    f"SELECT t::text FROM {table['name']} t",
                    output=_Sink(self, table["name"]),
                )
            return len(tables)
        finally:
            await connection.close()


class _Sink:
    """Takes a copy in pieces; a needle may lie across two of them."""

    def __init__(self, search: Search, place: str) -> None:
        self._search, self._place = search, place
        self._last = b""

    def write(self, data: bytes) -> None:
        self._search.look(self._place, self._last + data)
        self._last = data[-4096:]
