"""A repeated key repeats the answer and not the action."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from foundation import RENAME, fill, run
from sqlalchemy import func, select

from carnet.people import tables
from carnet.people.actor import Anonymous
from carnet.people.actor import Publisher as PublisherActor
from carnet.store.database import Database
from carnet.store.idempotency import KEPT_FOR, forget_old_keys
from carnet.store.tables import IdempotencyKey as KeyRow


async def test_without_a_key_every_call_acts(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    for expected in ("north!", "north!!"):
        data, _ = await run(database, RENAME, input={"id": ids["north"], "name": "!"})
        assert data["rename"]["organization"]["name"] == expected


async def test_a_repeated_key_repeats_the_answer_and_not_the_action(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    key = str(uuid4())
    given = {"id": ids["north"], "name": "!", "idempotencyKey": key}
    answers = [await run(database, RENAME, input=given) for _ in range(3)]
    assert (
        answers
        == [
            (
                {
                    "rename": {
                        "__typename": "RenameSuccess",
                        "organization": {"name": "north!"},
                    }
                },
                [],
            )
        ]
        * 3
    )
    async with database.read() as work:
        rows = (await work.session.scalars(select(KeyRow))).all()
        assert len(rows) == 1
        assert set(rows[0].answer) == {"id"}  # an id, and nothing of what was said


@pytest.mark.parametrize(
    "change", [{"name": "?"}, {"note": None}, {"note": ""}, {"note": "!"}], ids=str
)
async def test_the_same_key_with_another_input_is_a_conflict(
    database: Database, change: dict[str, Any]
) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    await run(database, RENAME, input=given)
    data, _ = await run(database, RENAME, input=given | change)
    assert data["rename"]["__typename"] == "Conflict"
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north!"


async def test_another_actor_may_use_the_same_key(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    await run(database, RENAME, input=given)
    data, _ = await run(database, RENAME, PublisherActor(uuid4()), input=given)
    assert data["rename"]["organization"]["name"] == "north!!"


async def test_nobody_has_no_keys(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    _, problems = await run(database, RENAME, Anonymous(), input=given)
    assert problems[0]["extensions"]["code"] == "UNAUTHENTICATED"
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north"


async def test_twins_at_the_same_moment_act_once(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    answers = await asyncio.gather(*(run(database, RENAME, input=given) for _ in range(8)))
    names = {data["rename"]["organization"]["name"] for data, _ in answers}
    assert names == {"north!"}


async def test_a_refused_action_leaves_nothing_and_may_be_tried_again(
    database: Database,
) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "too long", "idempotencyKey": str(uuid4())}
    for _ in range(2):
        data, _ = await run(database, RENAME, input=given)
        assert data["rename"]["path"] == ["name"]
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north"
        assert await work.session.scalar(select(func.count()).select_from(KeyRow)) == 0


async def test_old_keys_are_forgotten(database: Database) -> None:
    async with database.write() as work:
        for age in (timedelta(), KEPT_FOR - timedelta(hours=1), KEPT_FOR + timedelta(hours=1)):
            work.session.add(
                KeyRow(
                    id=work.new_id(),
                    actor="account:x",
                    key=uuid4(),
                    request_hash=b"x",
                    answer={},
                    created_at=work.now - age,
                )
            )
    async with database.write() as work:
        assert await forget_old_keys(work) == 1
        assert await forget_old_keys(work) == 0
