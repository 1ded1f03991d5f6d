"""The event log: what happened, in streams whose number order is commit order.

A stream is a record, a thread, or what one person is told. A change says what happened with
`NewEvent` in ``work.events``; `flush` gives each event the next number of its streams under their
row locks, in the transaction of the change. So an event is there exactly when its change is, a
reader who has seen number n will never find a new one below n, and a cursor never skips. (A serial
does skip: its numbers are taken before the commit.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    FromClause,
    Text,
    and_,
    any_,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from carnet.store.tables import Event, EventStream

if TYPE_CHECKING:
    from carnet.store.database import Database, Work

EVENT_LIFE = timedelta(days=30)  # an older cursor has to start anew
ACCESS_CHANGED = "ACCESS_CHANGED"  # somebody's rights may have changed; told to no client
READ_LIMIT = 200  # events of one stream in one read
PRUNE_JOB = "events.prune"
PRUNE_INTERVAL = timedelta(hours=1)
PRUNE_BATCH = 5000


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happens in this transaction.

    ``is_hint``: only who follows the stream now needs it; a stream that nobody ever followed is
    not made for it.
    """

    id: UUID
    streams: tuple[UUID, ...]
    kind: str
    subject_id: UUID
    record_id: UUID | None = None
    is_hint: bool = False


class LoggedEvent(NamedTuple):
    """One event at its place in a stream."""

    number: int
    id: UUID
    kind: str
    subject_id: UUID
    record_id: UUID | None
    at: datetime


class Bounds(NamedTuple):
    """Where a stream ends, and the last number that is no longer kept."""

    last_number: int
    pruned_to: int


async def flush(
    session: AsyncSession, events: Sequence[NewEvent], now: datetime
) -> dict[UUID, int]:
    """Put the events into their streams and return where these end now.

    The streams are locked in the order of their ids, after every other lock of the transaction,
    so that no two writers wait for each other.
    """
    asked: dict[UUID, int] = defaultdict(int)
    must_exist: set[UUID] = set()
    told: dict[str, list[Any]] = {name: [] for name in _TOLD}
    for event in events:
        for stream_id in event.streams:
            asked[stream_id] += 1
            if not event.is_hint:
                must_exist.add(stream_id)
            row = stream_id, asked[stream_id], event.id, event.kind, event.subject_id
            for name, value in zip(_TOLD, (*row, event.record_id), strict=True):
                told[name].append(value)
    ids = sorted(asked)
    given = {
        "ids": ids,
        "counts": [asked[id_] for id_ in ids],
        "begins": [id_ in must_exist for id_ in ids],
        "now": now,
        **told,
    }
    ends = await session.execute(_writing(), given)
    return {id_: last for id_, last in ends}


_TOLD = ("stream_ids", "places", "event_ids", "kinds", "subject_ids", "record_ids")


@cache
def _writing() -> Any:
    """Return the statement that takes the next numbers of the streams that exist, begins those that
    must, and writes the events; made once, for making it would be most of what it costs.

    Between a stream that is begun and one that is there, too, locks are taken in the order of ids.
    """
    uuid, number = PG_UUID(as_uuid=True), BigInteger()
    wanted = _table("wanted", ids=uuid, counts=number, begins=Boolean())
    types: tuple[TypeEngine[Any], ...] = (uuid, number, uuid, Text(), uuid, uuid)
    told = _table("told", **dict(zip(_TOLD, types, strict=True)))
    is_there = exists().where(EventStream.id == wanted.c.ids)
    new = upsert(EventStream).from_select(
        ["id", "last_number"],
        select(wanted.c.ids, wanted.c.counts)
        .where(or_(wanted.c.begins, is_there))
        .order_by(wanted.c.ids),
    )
    taken = (
        new.on_conflict_do_update(
            index_elements=[EventStream.id],
            set_={"last_number": EventStream.last_number + new.excluded.last_number},
        )
        .returning(EventStream.id, EventStream.last_number)
        .cte("taken")
    )
    written = (
        insert(Event)
        .from_select(
            ["stream_id", "number", "id", "kind", "subject_id", "record_id", "at"],
            select(
                told.c.stream_ids,
                taken.c.last_number - wanted.c.counts + told.c.places,
                told.c.event_ids,
                told.c.kinds,
                told.c.subject_ids,
                told.c.record_ids,
                bindparam("now", type_=DateTime(timezone=True)),
            ).select_from(
                told.join(taken, taken.c.id == told.c.stream_ids).join(
                    wanted, wanted.c.ids == taken.c.id
                )
            ),
        )
        .cte("written")
    )
    return select(taken.c.id, taken.c.last_number).add_cte(written)


def _table(name: str, **columns: TypeEngine[Any]) -> FromClause:
    """Return a table made of arrays, each a parameter of its column's name."""
    arrays = [bindparam(given, type_=ARRAY(type_)) for given, type_ in columns.items()]
    made = [column(given, type_) for given, type_ in columns.items()]
    return func.unnest(*arrays).table_valued(*made, name=name).render_derived()


async def ensure_streams(work: Work, ids: Collection[UUID]) -> None:
    """Make the streams exist, so that hints are kept for those who begin to follow them."""
    rows = [{"id": id_} for id_ in sorted(ids)]
    await work.session.execute(upsert(EventStream).on_conflict_do_nothing(), rows)


async def bounds(work: Work, ids: Collection[UUID]) -> dict[UUID, Bounds]:
    """Return where the streams end; without those that nothing ever happened in."""
    wanted = literal(list(ids), ARRAY(PG_UUID(as_uuid=True)))  # one parameter, however many
    statement = select(EventStream.id, EventStream.last_number, EventStream.pruned_to).where(
        EventStream.id == any_(wanted)
    )
    return {
        id_: Bounds(last, pruned) for id_, last, pruned in await work.session.execute(statement)
    }


async def id_at(work: Work, stream_id: UUID, number: int) -> UUID | None:
    """Return the id of the event at a place of a stream, if it is kept."""
    statement = select(Event.id).where(Event.stream_id == stream_id, Event.number == number)
    return await work.session.scalar(statement)


async def read_after(
    work: Work, positions: Mapping[UUID, int], limit: int = READ_LIMIT
) -> dict[UUID, list[LoggedEvent]]:
    """Return what follows the positions, of each stream at most ``limit`` events, in order."""
    wanted = _pairs(positions, "after")
    following = (
        select(
            Event.stream_id,
            Event.number,
            Event.id,
            Event.kind,
            Event.subject_id,
            Event.record_id,
            Event.at,
        )
        .where(and_(Event.stream_id == wanted.c.id, Event.number > wanted.c.after))
        .order_by(Event.number)
        .limit(limit)
        .lateral("following")
    )
    statement = (
        select(following)
        .select_from(wanted.join(following, true()))
        .order_by(following.c.stream_id, following.c.number)
    )
    found: dict[UUID, list[LoggedEvent]] = defaultdict(list)
    for stream_id, *event in await work.session.execute(statement):
        found[stream_id].append(LoggedEvent(*event))
    return found


async def prune(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    """Delete events that are older than `EVENT_LIFE`, in batches; returns when to come again.

    A batch and the streams' ``pruned_to`` are one transaction.
    """
    more = True
    while more:
        async with database.write() as work:
            more = await _prune_batch(work)
    return database.clock.now() + PRUNE_INTERVAL


async def _prune_batch(work: Work) -> bool:
    old = (
        select(Event.stream_id, Event.number)
        .where(Event.at < work.now - EVENT_LIFE)
        .order_by(Event.at)
        .limit(PRUNE_BATCH)
    )
    found = (await work.session.execute(old)).all()
    ends: dict[UUID, int] = {}
    for stream_id, number in found:
        ends[stream_id] = max(number, ends.get(stream_id, 0))
    if not ends:
        return False
    wanted = _pairs(ends, "pruned_to")
    locked = (
        select(EventStream.id)
        .where(EventStream.id.in_(ends))
        .order_by(EventStream.id)
        .with_for_update()
        .cte("locked")
    )
    await work.session.execute(
        update(EventStream)
        .where(EventStream.id == locked.c.id, EventStream.id == wanted.c.id)
        .values(pruned_to=func.greatest(EventStream.pruned_to, wanted.c.pruned_to))
        .execution_options(synchronize_session=False)
    )
    # Everything up to there: a stream's numbers follow commits, its moments nearly do.
    await work.session.execute(
        delete(Event)
        .where(Event.stream_id == wanted.c.id, Event.number <= wanted.c.pruned_to)
        .execution_options(synchronize_session=False)
    )
    return len(found) == PRUNE_BATCH


def _pairs(values: Mapping[UUID, int], name: str) -> FromClause:
    """Return a table of ids and numbers, in the order of the ids."""
    ids = sorted(values)
    return (
        func.unnest(
            literal(ids, ARRAY(PG_UUID(as_uuid=True))),
            literal([values[id_] for id_ in ids], ARRAY(BigInteger)),
        )
        .table_valued(column("id", PG_UUID(as_uuid=True)), column(name, BigInteger), name="wanted")
        .render_derived()
    )
