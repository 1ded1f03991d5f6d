"""Keyset pages over real rows: publishers of organizations, by name and by time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import asc, desc, event, select

from carnet.errors import BadCursor, ValidationFailed
from carnet.people.tables import Organization, Publisher
from carnet.store.database import Database, Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate, paginate_many
from carnet_crypto.encoding import to_base64url

NEWEST = Order("publishers.newest", desc(Publisher.created_at), desc(Publisher.id))
BY_NAME = Order("publishers.name", asc(Publisher.name), desc(Publisher.id))
START = datetime(2026, 3, 1, tzinfo=UTC)


async def fill(database: Database, sizes: dict[str, int]) -> dict[str, UUID]:
    """Make organizations with that many publishers; every third shares its second's time."""
    ids: dict[str, UUID] = {}
    async with database.write() as work:
        for name, size in sizes.items():
            ids[name] = work.new_id()
            work.session.add(Organization(id=ids[name], name=name, created_at=START))
            await work.session.flush()
            for number in range(size):
                work.session.add(
                    Publisher(
                        id=work.new_id(),
                        name=f"{name} {number:03}",
                        organization_id=ids[name],
                        secret_hash=f"{name}{number}".encode(),
                        created_at=START + timedelta(hours=number // 3, microseconds=number // 3),
                    )
                )
    return ids


def names(page: Page[Publisher]) -> list[str]:
    return [publisher.name for publisher in page.items]


async def whole(work: Work, order: Order) -> list[str]:
    statement = select(Publisher.name).order_by(*order.sorted_by(order.columns, backwards=False))
    return list((await work.session.scalars(statement)).all())


@pytest.mark.parametrize("order", [NEWEST, BY_NAME], ids=lambda order: order.name)
async def test_walking_forwards_meets_every_row_once(database: Database, order: Order) -> None:
    await fill(database, {"north": 17})
    async with database.read() as work:
        expected, met, after = await whole(work, order), [], None
        while True:
            page = await paginate(work, select(Publisher), order, PageRequest.of(5, after))
            met += names(page)
            assert page.has_previous == (after is not None)
            if not page.has_next:
                break
            after = page.cursors[-1]
    assert met == expected
    assert len(page.items) == 2


@pytest.mark.parametrize("order", [NEWEST, BY_NAME], ids=lambda order: order.name)
async def test_walking_backwards_meets_every_row_once(database: Database, order: Order) -> None:
    await fill(database, {"north": 17})
    async with database.read() as work:
        expected, met, before = await whole(work, order), [], None
        while True:
            request = PageRequest.of(last=5, before=before)
            page = await paginate(work, select(Publisher), order, request)
            met = names(page) + met
            assert page.has_next == (before is not None)
            if not page.has_previous:
                break
            before = page.cursors[0]
    assert met == expected


async def test_a_window_between_two_cursors(database: Database) -> None:
    await fill(database, {"north": 10})
    async with database.read() as work:
        every = await paginate(work, select(Publisher), BY_NAME, PageRequest.of(10))
        window = PageRequest.of(3, every.cursors[1], None, every.cursors[7])
        page = await paginate(work, select(Publisher), BY_NAME, window)
        assert names(page) == ["north 002", "north 003", "north 004"]
        assert (page.has_previous, page.has_next) == (True, True)
        nothing = PageRequest.of(3, every.cursors[4], None, every.cursors[5])
        page = await paginate(work, select(Publisher), BY_NAME, nothing)
        assert (names(page), page.cursors) == ([], [])
        assert (page.has_previous, page.has_next) == (True, True)


async def test_whether_there_is_more_is_told_from_rows_not_from_cursors(
    database: Database,
) -> None:
    await fill(database, {"north": 3})
    async with database.read() as work:
        every = await paginate(work, select(Publisher), BY_NAME, PageRequest.of(3))
    async with database.write() as work:
        await work.session.delete(every.items[0])
    async with database.read() as work:
        rest = await paginate(work, select(Publisher), BY_NAME, PageRequest.of(2, every.cursors[0]))
        assert names(rest) == ["north 001", "north 002"]
        assert (rest.has_previous, rest.has_next) == (False, False)


async def test_a_row_added_meanwhile_shifts_no_page(database: Database) -> None:
    ids = await fill(database, {"north": 6})
    async with database.read() as work:
        first = await paginate(work, select(Publisher), NEWEST, PageRequest.of(3))
    async with database.write() as work:
        work.session.add(
            Publisher(
                id=work.new_id(),
                name="newer",
                organization_id=ids["north"],
                secret_hash=b"newer",
                created_at=START + timedelta(days=9),
            )
        )
    async with database.read() as work:
        second = await paginate(
            work, select(Publisher), NEWEST, PageRequest.of(3, first.cursors[-1])
        )
    assert sorted(names(first) + names(second)) == [f"north {n:03}" for n in range(6)]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_pages_of_many_parents_come_in_one_statement(database: Database) -> None:
    ids = await fill(database, {"north": 7, "south": 2, "empty": 0})
    parents = [ids["south"], ids["empty"], ids["north"]]
    async with database.read() as work:
        with statements(database) as seen:
            pages = await paginate_many(
                work,
                select(Publisher),
                BY_NAME,
                PageRequest.of(last=4),
                parent=Publisher.organization_id,
                parents=parents,
            )
            counts = await count_many(
                work, select(Publisher), parent=Publisher.organization_id, parents=parents
            )
    assert len(seen) == 2
    assert names(pages[ids["north"]]) == [f"north {n:03}" for n in range(3, 7)]
    assert (pages[ids["north"]].has_previous, pages[ids["north"]].has_next) == (True, False)
    assert names(pages[ids["south"]]) == ["south 000", "south 001"]
    assert not pages[ids["south"]].has_previous
    assert pages[ids["empty"]] == Page([], [], False, False)
    assert counts == {ids["north"]: 7, ids["south"]: 2, ids["empty"]: 0}


async def test_pages_of_many_parents_equal_the_pages_of_each(database: Database) -> None:
    ids = await fill(database, {"north": 9, "south": 4})
    async with database.read() as work:
        middle = await paginate(work, select(Publisher), NEWEST, PageRequest.of(6))
        request = PageRequest.of(3, middle.cursors[2])
        together = await paginate_many(
            work,
            select(Publisher),
            NEWEST,
            request,
            parent=Publisher.organization_id,
            parents=list(ids.values()),
        )
        for parent in ids.values():
            alone = select(Publisher).where(Publisher.organization_id == parent)
            page = await paginate(work, alone, NEWEST, request)
            assert names(together[parent]) == names(page)
            assert together[parent].cursors == page.cursors
            assert together[parent].has_next == page.has_next
            assert together[parent].has_previous == page.has_previous


async def test_no_parents_no_pages(database: Database) -> None:
    async with database.read() as work:
        assert (
            await paginate_many(
                work,
                select(Publisher),
                NEWEST,
                PageRequest(),
                parent=Publisher.organization_id,
                parents=[],
            )
            == {}
        )


async def test_one_column_can_be_paged_too(database: Database) -> None:
    await fill(database, {"north": 3})
    async with database.read() as work:
        page = await paginate(work, select(Publisher.name), BY_NAME, PageRequest.of(2))
    assert page.items == ["north 000", "north 001"]
    assert page.map(len).items == [9, 9]


@pytest.mark.parametrize("count", [0, -1, 101, 2**31])
def test_a_page_is_1_to_100(count: int) -> None:
    with pytest.raises(ValidationFailed, match="first is from 1 to 100"):
        PageRequest.of(first=count)
    with pytest.raises(ValidationFailed, match="last is from 1 to 100"):
        PageRequest.of(last=count)


def test_first_and_last_are_not_both() -> None:
    with pytest.raises(ValidationFailed, match="not for both"):
        PageRequest.of(first=1, last=1)
    assert PageRequest.of() == PageRequest(first=20)


def forged(value: object, version: bytes = b"\x01") -> str:
    return to_base64url(version + orjson.dumps(value))


UUID_TEXT = "01890a5d-ac96-774b-bcce-b302099a8057"
GOOD = ["publishers.newest", "2026-03-01T00:00:00+00:00", UUID_TEXT]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "****",
        "é",
        forged(GOOD) + "=",
        forged(GOOD) + "A" * 9000,
        forged(GOOD, b"\x02"),
        forged(None),
        forged({}),
        forged([]),
        forged(GOOD[:2]),
        forged([*GOOD, 1]),
        forged(["publishers.name", *GOOD[1:]]),
        forged([GOOD[0], "2026-03-01T00:00:00", UUID_TEXT]),
        forged([GOOD[0], "2026-03-01T01:00:00+01:00", UUID_TEXT]),
        forged([GOOD[0], "0001-01-01T00:00:00+14:00", UUID_TEXT]),
        forged([GOOD[0], 5, UUID_TEXT]),
        forged([GOOD[0], GOOD[1], UUID_TEXT.upper()]),
        forged([GOOD[0], GOOD[1], {}]),
        to_base64url(b"\x01" + b"[" * 100_000),
        to_base64url(b"\x01\xff"),
    ],
)
async def test_a_bad_cursor_is_refused(database: Database, cursor: str) -> None:
    assert len(NEWEST.position(forged(GOOD))) == 2
    async with database.read() as work:
        for request in (PageRequest.of(after=cursor), PageRequest.of(last=1, before=cursor)):
            with pytest.raises(BadCursor):
                await paginate(work, select(Publisher), NEWEST, request)


def test_a_text_key_holds_no_nul() -> None:
    with pytest.raises(BadCursor):
        BY_NAME.position(forged(["publishers.name", "a\0b", UUID_TEXT]))


@given(st.binary(max_size=60), st.text(max_size=80))
def test_no_cursor_is_a_crash(data: bytes, text: str) -> None:
    for cursor in (to_base64url(data), to_base64url(b"\x01" + data), text):
        try:
            keys = NEWEST.position(cursor)
        except BadCursor:
            continue
        assert NEWEST.cursor(keys) == cursor


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200),
)
def test_a_cursor_gives_back_its_keys(moment: datetime, key: UUID, name: str) -> None:
    assert NEWEST.position(NEWEST.cursor((moment, key))) == (moment, key)
    assert BY_NAME.position(BY_NAME.cursor((name, key))) == (name, key)


def test_a_column_that_cannot_be_a_key_is_refused_when_the_order_is_declared() -> None:
    with pytest.raises(TypeError, match="cannot be a key"):
        Order("bad", asc(Publisher.secret_hash))


async def test_one_direction_is_one_row_comparison(database: Database) -> None:
    await fill(database, {"north": 4})
    async with database.read() as work:
        first = await paginate(work, select(Publisher), NEWEST, PageRequest.of(1))
        with statements(database) as seen:
            await paginate(work, select(Publisher), NEWEST, PageRequest.of(1, first.cursors[0]))
    (statement,) = seen
    assert "(publishers.created_at, publishers.id) < (" in statement
    assert "OFFSET" not in statement
