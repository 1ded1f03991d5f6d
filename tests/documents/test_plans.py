"""How PostgreSQL finds a page of documents: in the record's own rows, and no more than it shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import reaching
import world
from sqlalchemy import URL, event, insert, text

from carnet.documents import queries
from carnet.documents.tables import Document
from carnet.people.actor import Actor
from carnet.store.database import Database
from carnet.store.keyset import PageRequest

OTHERS, MANY = 60, 1000  # records of others, documents of one record
PAGE = 20


def rows(record_id: UUID, at: Any, number: int, *, held: int = 0) -> Iterator[dict[str, Any]]:
    """Yield documents of a record; of the first ones there is a held version."""
    for place in range(number):
        first = uuid4()
        for version in (1, 2) if place < held else (1,):
            id_ = first if version == 1 else uuid4()
            yield {
                "id": id_,
                "record_id": record_id,
                "lineage_id": first,
                "version": version,
                "status": "SUPERSEDED" if version == 1 and place < held else "CURRENT",
                "depositor": "PROFESSIONAL",
                "unique_id": str(id_),
                "content_key": id_.bytes * 2,
                "category": "REPORT",
                "type_code": "34105-7",
                "title": "Bilan",
                "confidentiality_codes": [],
                "author_text": "",
                "flags": [],
                "hidden_from_holder_until": at + timedelta(days=30) if version == 2 else None,
                "sort_at": at - timedelta(days=place),
                "deposited_at": at,
                "updated_at": at,
            }


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.mark.parametrize("who", ["holder", "caregiver", "doctor"])
async def test_a_page_reads_no_more_than_it_shows(
    database: Database, owner_url: URL, who: str
) -> None:
    holder = await world.holder(database)
    record_id = await world.record_of(database, holder)
    actors: dict[str, Actor] = {
        "holder": holder,
        "caregiver": await world.holder(database),
        "doctor": await world.professional(database),
    }
    await world.delegation(database, holder, actors["caregiver"])  # type: ignore[arg-type]
    await world.care_team(database, holder, actors["doctor"])  # type: ignore[arg-type]
    others = await reaching.records(database, OTHERS)
    async with database.write() as work:
        made = [row for other in others for row in rows(other, work.now, 50, held=5)]
        made += rows(record_id, work.now, MANY, held=3)
        await work.session.execute(insert(Document), made)
    owner = Database.connect(owner_url)
    async with owner.write() as work:
        await work.session.execute(text("ANALYZE"))
    await owner.close()
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    request, wanted = PageRequest.of(first=PAGE), queries.DocumentFilter()
    async with database.read() as work:
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        try:
            found = await queries.pages(
                actors[who], work, [record_id], request, queries.NEWEST, wanted
            )
        finally:
            event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        assert [row.version for row in found[record_id].items[:3]] == [2 - (who != "doctor")] * 3
        ((statement, parameters),) = sent
        connection = await work.session.connection()
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        explained = await raw.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters)
    plan = explained[0]["Plan"]
    read = [node for node in nodes(plan) if node.get("Relation Name") == "documents"]
    assert not [node for node in read if node["Node Type"] == "Seq Scan"], read
    loops = [
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in read
    ]
    assert sum(loops) < 5 * PAGE, read
