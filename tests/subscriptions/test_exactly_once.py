"""Writers at once, and subscribers who come and go: every event once, in order, none missing."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
import scene
from following import DOCUMENTS, INBOX, Served

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.subscriptions import group

WRITERS = 4
TURNS = 25


class Undone(Exception):
    """A writer changed their mind."""


async def follow(
    served: Served,
    made: scene.Scene,
    query: str,
    random: Random,
    over: asyncio.Event,
    start: str,
) -> list[str]:
    """Follow with breaks, taking up at the last cursor, until all that was written is told."""
    told: list[str] = []
    cursor = start
    is_last = False
    variables: dict[str, Any] = {"record": made.record_id} if query == DOCUMENTS else {}
    while not is_last:
        is_last = over.is_set()
        async with served.connected(made.holder) as client:
            following = await client.subscribe(query, **variables, after=cursor)
            left = random.randint(1, 30)
            while left or is_last:
                event = await following.event()
                cursor = event["cursor"]
                if event["__typename"] == "CaughtUp":
                    if is_last or over.is_set():
                        break
                    continue
                told.append(event["eventId"])
                left -= 1
                if over.is_set() and not is_last:
                    break
    return told


@pytest.mark.parametrize("seed", range(2))
async def test_every_event_once_in_one_order(
    served: Served,
    database: Database,
    blobs: BlobStore,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    monkeypatch.setattr(group, "BATCH", 7)
    random = Random(seed)  # noqa: S311 — no secret
    made = await scene.make(database, blobs, hide_results_days=0)
    seen = [made.documents[name] for name in await made.sees(made.holder)]
    async with served.connected(made.holder) as client:
        starts = {}
        for query in (DOCUMENTS, INBOX):
            variables = {"record": made.record_id} if query == DOCUMENTS else {}
            following = await client.subscribe(query, **variables)
            _, starts[query] = await following.until_caught_up()
    over = asyncio.Event()
    followers = [
        asyncio.create_task(follow(served, made, query, Random(seed * 10 + n), over, starts[query]))  # noqa: S311
        for n, query in enumerate((DOCUMENTS, DOCUMENTS, INBOX))
    ]
    expected = 0

    async def writer() -> None:
        nonlocal expected
        for _ in range(TURNS):
            ids = tuple(random.choices(seen, k=random.choice([1, 2, 9])))
            action = random.choice([JournalAction.CORRECT_DOCUMENT, JournalAction.DEPOSIT_DOCUMENT])
            fact = Fact(made.record, action, "publisher.feeds", ObjectKind.DOCUMENT, ids)
            try:
                async with database.write() as work:
                    await write(None, work, [fact])
                    if random.random() < 0.2:
                        raise Undone
                expected += len(ids)
            except Undone:
                pass

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    over.set()
    told = await asyncio.gather(*followers)
    assert [len(each) for each in told] == [expected] * 3
    assert told[0] == told[1] and len(set(told[0])) == expected
    assert set(told[2]) == set(told[0])


async def test_more_than_every_limit_at_once(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    """A bulk of more events than a read, a batch and a tail hold; replayed and live."""
    made = await scene.make(database, blobs, hide_results_days=0)
    name = scene.PLAIN
    number = 1300
    async with served.connected(made.holder) as client:
        live = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, start = await live.until_caught_up()
        fact = Fact(
            made.record,
            JournalAction.CORRECT_DOCUMENT,
            "publisher.feeds",
            ObjectKind.DOCUMENT,
            (made.documents[name],) * number,
        )
        async with database.write() as work:
            await write(None, work, [fact])
        told = await live.events(1)
        joined = await client.subscribe(DOCUMENTS, record=made.record_id, after=start)
        told += await live.events(number - 1, within=30)
        again, _ = await joined.until_caught_up()
        assert [event["cursor"] for event in again] == [event["cursor"] for event in told]
        assert len({event["eventId"] for event in told}) == number
