import itertools
from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID

import pytest
import world
from sqlalchemy import select

from carnet.documents.deposits import Deposit, land, withdraw
from carnet.documents.landed import Landing
from carnet.documents.tables import Document, DocumentCategory, DocumentStatus
from carnet.errors import Conflict
from carnet.people.actor import Publisher
from carnet.store.database import Database, Work


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


@pytest.fixture
async def record_id(database: Database) -> UUID:
    return await world.record_of(database, await world.holder(database))


def deposit(
    publisher: Publisher,
    record_id: UUID,
    unique_id: str,
    content: str,
    replaces: str | None = None,
    title: str = "Bilan",
) -> Deposit:
    return Deposit(
        record_id=record_id,
        publisher_id=publisher.publisher_id,
        unique_id=unique_id,
        content_key=sha256(content.encode()).digest(),
        title=title,
        category=DocumentCategory.LABORATORY,
        replaces_unique_id=replaces,
    )


async def state(database: Database) -> list[tuple[str, int, str, list[str]]]:
    async with database.read() as work:
        rows = await work.session.scalars(select(Document).order_by(Document.version))
        return [(row.unique_id, row.version, row.status.value, row.flags) for row in rows]


async def test_the_same_deposit_again_is_a_duplicate(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    for expected in (Landing.CREATED, Landing.DUPLICATE, Landing.DUPLICATE):
        async with database.write() as work:
            landed = await land(work, deposit(publisher, record_id, "1", "a"), [])
        assert landed.landing is expected
    assert await state(database) == [("1", 1, "CURRENT", [])]


async def test_other_metadata_for_the_same_content_updates_it(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    async with database.write() as work:
        await land(work, deposit(publisher, record_id, "1", "a"), [])
    async with database.write() as work:
        changed = deposit(publisher, record_id, "1", "a", title="Autre")
        landed = await land(work, changed, [])
    document = landed.document
    assert (landed.landing, document.title, document.revision) == (Landing.UPDATED, "Autre", 2)


async def test_other_content_under_the_same_id_is_a_flagged_version(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    async with database.write() as work:
        await land(work, deposit(publisher, record_id, "1", "a"), [])
    async with database.write() as work:
        landed = await land(work, deposit(publisher, record_id, "1", "b"), [])
    assert landed.landing is Landing.UPDATED
    assert await state(database) == [
        ("1", 1, "SUPERSEDED", []),
        ("1", 2, "CURRENT", ["SAME_ID_NEW_CONTENT"]),
    ]


STEPS = ("original", "replacement", "second replacement", "deletion")


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids=" > ".join)
async def test_every_order_of_arrival_ends_the_same(
    database: Database, publisher: Publisher, record_id: UUID, order: tuple[str, ...]
) -> None:
    async def original(work: Work) -> None:
        await land(work, deposit(publisher, record_id, "1", "a"), [])

    async def replacement(work: Work) -> None:
        await land(work, deposit(publisher, record_id, "2", "b", replaces="1"), [])

    async def second(work: Work) -> None:
        await land(work, deposit(publisher, record_id, "3", "c", replaces="2"), [])

    async def deletion(work: Work) -> None:
        await withdraw(work, record_id, publisher.publisher_id, "3")

    steps: dict[str, Callable[[Work], Awaitable[None]]] = dict(
        zip(STEPS, (original, replacement, second, deletion), strict=True)
    )
    for name in (*order, *order):  # everything is sent a second time
        async with database.write() as work:
            await steps[name](work)
    assert await state(database) == [
        ("1", 1, "SUPERSEDED", []),
        ("2", 2, "SUPERSEDED", []),
        ("3", 3, "WITHDRAWN", []),
    ]


async def test_an_orphan_replacement_is_accepted_and_flagged(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    async with database.write() as work:
        await land(work, deposit(publisher, record_id, "2", "b", replaces="1"), [])
    assert await state(database) == [("2", 1, "CURRENT", ["ORPHAN_REPLACEMENT"])]


async def test_another_publishers_document_is_not_replaced(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    other = await world.publisher(database)
    async with database.write() as work:
        await land(work, deposit(publisher, record_id, "1", "a"), [])
        await land(work, deposit(other, record_id, "2", "b", replaces="1"), [])
        await withdraw(work, record_id, other.publisher_id, "1")
    assert await state(database) == [
        ("1", 1, "CURRENT", []),
        ("2", 1, "CURRENT", ["ORPHAN_REPLACEMENT"]),
    ]


async def test_the_same_document_in_another_record_is_refused(
    database: Database, publisher: Publisher, record_id: UUID
) -> None:
    other = await world.record_of(database, await world.holder(database))
    async with database.write() as work:
        await land(work, deposit(publisher, record_id, "1", "a"), [])
    with pytest.raises(Conflict):
        async with database.write() as work:
            await land(work, deposit(publisher, other, "1", "a"), [])
    assert [row[0] for row in await state(database)] == ["1"]
    async with database.read() as work:
        (row,) = list(await work.session.scalars(select(Document)))
        assert row.record_id == record_id
        assert row.status is DocumentStatus.CURRENT
