"""How fast ``POST /intake`` takes in real bodies, next to what could not be left out of it.

Run it by hand: ``.venv/bin/python bench/bench_intake.py``. It needs the sample files: the folder
``CARNET_SAMPLES``, or else ``../shared/data``. The server is a real one, see ``serving.py``; the
client is this process. Rounds send the same bodies under other identifiers, so that all is new to
the server each time.

The baselines: parsing the same bytes and doing nothing with them; and inserting as many rows as
the body led to, in one transaction, into a table with a key, an index and one JSON column.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4, uuid5

import asyncpg
import orjson
from lxml import etree
from serving import PROCESSORS, Line, Served, best, get, postgres_of, request, serving
from sqlalchemy import URL

ROUNDS = 3
SIZE = 3 * 10**6  # bytes of the large bundle
LIMIT = 2.0  # seconds that the large bundle may take the first time
FHIR = "application/fhir+json"
CDA = "application/hl7-cda+xml"
SHARED = frozenset({"Patient", "Organization", "Practitioner"})  # copies go on to name these

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def main() -> int:
    samples = Path(os.environ.get("CARNET_SAMPLES") or "../shared/data")
    synthea = sorted((samples / "synthea-r4").glob("*.json"))
    cda = sorted((samples / "fr-cda").glob("*.xml"))
    if not synthea or not cda:
        print("There are no sample files here: set CARNET_SAMPLES to their folder.")
        return 1
    print(f"all of {ROUNDS} rounds, {PROCESSORS} cores")
    with serving() as server, postgres_of(server) as url:
        token = server.publisher("bench")
        seconds = large(server, url, token, synthea)
        several(server, url, token, synthea)
        documents(server, url, cda)
    if seconds > LIMIT:
        print(f"The large bundle took longer than {LIMIT:.0f} seconds.")
    return int(seconds > LIMIT)


def large(server: Served, url: URL, token: str, synthea: list[Path]) -> float:
    """Measure one bundle of 3 MB; return the longest that it took the first time."""
    source = max((path.read_bytes() for path in synthea), key=len)
    connection = server.connect()
    first: list[float] = []
    again: list[float] = []
    changed: list[float] = []
    waits: list[float] = []
    rows = 0
    for _ in range(ROUNDS):
        body = enlarged(renewed([source])[0], SIZE)
        before = count_rows(url)
        with waiting(server, waits):
            took, receipt = request(connection, "/intake", body, token, FHIR)
        first.append(took)
        rows = count_rows(url) - before
        counts = receipt["counts"]
        assert counts["CREATED"] > 0 and counts["DUPLICATE"] == counts["UPDATED"] == 0, counts
        took, receipt = request(connection, "/intake", body, token, FHIR)
        again.append(took)
        assert receipt["counts"]["DUPLICATE"] == counts["CREATED"]
        took, receipt = request(connection, "/intake", body + b" ", token, FHIR)
        changed.append(took)
        assert receipt["counts"]["DUPLICATE"] == counts["CREATED"], receipt["counts"]
    items = len(receipt["items"])
    landed = counts["CREATED"]
    print(f"\none bundle of {len(body) / 1e6:.2f} MB: {items} items, {landed} land as {rows} rows")
    line("first time", first, items)
    line("the same bytes again", again, items)
    line("one byte more, all duplicates", changed, items)
    parse = best(ROUNDS, partial(orjson.loads, body))
    insert = min(insert_rows(url, rows) for _ in range(ROUNDS))
    baseline("parse alone (orjson)", parse, min(first))
    baseline("INSERT of as many rows", insert, min(first))
    print(f"  longest wait of another request meanwhile: {max(waits) * 1e3:.0f} ms")
    return max(first)


def several(server: Served, url: URL, token: str, synthea: list[Path]) -> None:
    """Measure the files of a delivery, one after another on one connection."""
    connection = server.connect()
    bodies = [path.read_bytes() for path in synthea]
    size = sum(map(len, bodies))
    times: list[float] = []
    for _ in range(ROUNDS):
        before = count_rows(url)
        took, items = 0.0, 0
        total: Counter[str] = Counter()
        bodies = renewed(bodies)
        for body in bodies:
            seconds, receipt = request(connection, "/intake", body, token, FHIR)
            took += seconds
            items += len(receipt["items"])
            total += Counter(receipt["counts"])
        times.append(took)
        rows = count_rows(url) - before
    landed = total["CREATED"]
    print(
        f"\n{len(bodies)} bundles, {size / 1e6:.1f} MB: {items} items, {landed} land as {rows} rows"
    )
    line("first time", times, items)
    parse = best(ROUNDS, lambda: [orjson.loads(body) for body in bodies])
    insert = min(insert_rows(url, rows) for _ in range(ROUNDS))
    baseline("parse alone (orjson)", parse, min(times))
    baseline("INSERT of as many rows", insert, min(times))


def documents(server: Served, url: URL, cda: list[Path]) -> None:
    """Measure CDA documents; a publisher of its own each round, to which they are new."""
    connection = server.connect()
    bodies = [path.read_bytes() for path in cda]
    times: list[float] = []
    for _ in range(ROUNDS):
        token = server.publisher(f"bench {uuid4()}")
        before = count_rows(url)
        took, items, stored = 0.0, 0, 0
        for body in bodies:
            seconds, receipt = request(connection, "/intake", body, token, CDA)
            took += seconds
            items += len(receipt["items"])
            stored += sum(
                item["kind"] == "Document" and item["outcome"] == "CREATED"
                for item in receipt["items"]
            )
        times.append(took)
        rows = count_rows(url) - before
    size = sum(map(len, bodies))
    print(
        f"\n{len(bodies)} CDA documents, {size / 1e6:.1f} MB: {stored} stored,"
        f" {items} items, {rows} rows"
    )
    line("first time", times, len(bodies), "documents")
    parse = best(ROUNDS, lambda: [etree.fromstring(body) for body in bodies])
    insert = min(insert_rows(url, rows) for _ in range(ROUNDS))
    baseline("parse alone (lxml)", parse, min(times))
    baseline("INSERT of as many rows", insert, min(times))


def line(name: str, times: list[float], count: int, of: str = "items") -> None:
    middle = statistics.median(times)
    each = " ".join(f"{seconds:.2f}" for seconds in times)
    print(f"  {name:32} {middle:6.3f} s {count / middle:9.0f} {of}/s   {each}")


def baseline(name: str, seconds: float, ours: float) -> None:
    print(f"  {name:32} {seconds:6.3f} s   intake takes {ours / seconds:.1f} times as long")


def renewed(bodies: list[bytes]) -> list[bytes]:
    """Return the bodies with all their UUIDs, and their patients' numbers, replaced alike."""
    names = uuid4()
    fresh = []
    for body in bodies:
        other = _UUID.sub(lambda found: _other(names, found), body)
        bundle = orjson.loads(other)
        for entry in bundle["entry"]:
            if entry["resource"]["resourceType"] == "Patient":
                for identifier in entry["resource"].get("identifier", []):
                    identifier["value"] = f"{identifier['value']}-{names}"
        fresh.append(orjson.dumps(bundle, option=orjson.OPT_INDENT_2))
    return fresh


def _other(names: UUID, found: re.Match[bytes]) -> bytes:
    return str(uuid5(names, found[0].decode())).encode()


def enlarged(body: bytes, size: int) -> bytes:
    """Return the bundle with copies of its resources under new ids until it has that size.

    Written without spaces, it holds more than twice the items of an indented one.
    """
    bundle: dict[str, Any] = orjson.loads(body)
    entries: list[dict[str, Any]] = bundle["entry"]
    copied = [entry for entry in entries if entry["resource"]["resourceType"] not in SHARED]
    own = {str(entry["resource"]["id"]).encode() for entry in copied}
    length = len(orjson.dumps(bundle))
    while length < size:
        names = uuid4()
        for entry in copied:
            copy = _UUID.sub(
                lambda found, names=names: _other(names, found) if found[0] in own else found[0],
                orjson.dumps(entry),
            )
            entries.append(orjson.loads(copy))
            length += len(copy) + 1
            if length >= size:
                break
    return orjson.dumps(bundle)


@contextmanager
def waiting(server: Served, waits: list[float]) -> Iterator[None]:
    """Ask for the server's health all the while, and note how long each answer took."""
    over = threading.Event()

    async def ask() -> None:
        health = await Line.open(server.port)
        while not over.is_set():
            started_at = perf_counter()
            await health.send(get("/health/live"))
            waits.append(perf_counter() - started_at)
            await asyncio.sleep(0.01)  # ten milliseconds between two, to leave the cores alone
        health.close()

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def count_rows(url: URL) -> int:
    """Return how many rows all tables hold together."""

    async def count() -> int:
        connection = await connected(url)
        names = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'plain'"
        )
        query = " UNION ALL ".join(f'SELECT count(*) AS n FROM "{name[0]}"' for name in names)  # noqa: S608 — names from the catalog
        found = await connection.fetch(query)
        await connection.close()
        return sum(row["n"] for row in found)

    return asyncio.run(count())


def insert_rows(url: URL, count: int) -> float:
    """Insert so many plain rows in one transaction; return the seconds until they are safe."""
    rows = [(uuid4(), uuid4(), f"key-{n}", '{"label": "as long as most"}') for n in range(count)]

    async def insert() -> float:
        connection = await connected(url)
        await connection.execute("DROP TABLE IF EXISTS plain")
        await connection.execute(
            "CREATE TABLE plain (id uuid PRIMARY KEY, record_id uuid, key text UNIQUE, data jsonb)"
        )
        started_at = perf_counter()
        async with connection.transaction():
            await connection.executemany("INSERT INTO plain VALUES ($1, $2, $3, $4)", rows)
        seconds = perf_counter() - started_at
        await connection.execute("DROP TABLE plain")
        await connection.close()
        return seconds

    return asyncio.run(insert())


async def connected(url: URL) -> asyncpg.Connection:
    return await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)


if __name__ == "__main__":
    sys.exit(main())
