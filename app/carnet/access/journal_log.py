"""The journals of records as streams to follow: their main chains are gapless already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, any_, column, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from carnet.access.journal import stream_of
from carnet.access.journal_tables import JournalChain, JournalCounter, JournalEntry
from carnet.store.database import Work
from carnet.store.events import READ_LIMIT, Bounds


class Place(NamedTuple):
    """An entry's place. What is in it is read with the rights of whoever follows."""

    number: int
    id: UUID


class JournalLog:
    """The main chains, by the id of their record (a `carnet.store.tails.Source`)."""

    async def bounds(self, work: Work, ids: Sequence[UUID]) -> Mapping[UUID, Bounds]:
        """Return where the chains end; nothing of a journal is ever deleted."""
        statement = select(JournalCounter.record_id, JournalCounter.last_main).where(
            JournalCounter.record_id == any_(literal(list(ids), ARRAY(PG_UUID(as_uuid=True))))
        )
        return {id_: Bounds(end, 0) for id_, end in await work.session.execute(statement)}

    async def id_at(self, work: Work, stream_id: UUID, number: int) -> UUID | None:
        """Return the id of the entry at a place."""
        statement = select(JournalEntry.id).where(
            JournalEntry.record_id == stream_id,
            JournalEntry.chain == JournalChain.MAIN,
            JournalEntry.number == number,
        )
        return await work.session.scalar(statement)

    async def read_after(
        self, work: Work, positions: Mapping[UUID, int]
    ) -> Mapping[UUID, Sequence[Place]]:
        """Return the places after the positions, in order; a bounded number of each chain."""
        ids = sorted(positions)
        wanted = (
            func.unnest(
                literal(ids, ARRAY(PG_UUID(as_uuid=True))),
                literal([positions[id_] for id_ in ids], ARRAY(BigInteger)),
            )
            .table_valued(
                column("id", PG_UUID(as_uuid=True)), column("after", BigInteger), name="wanted"
            )
            .render_derived()
        )
        following = (
            select(JournalEntry.record_id, JournalEntry.number, JournalEntry.id)
            .where(
                JournalEntry.record_id == wanted.c.id,
                JournalEntry.chain == JournalChain.MAIN,
                JournalEntry.number > wanted.c.after,
            )
            .order_by(JournalEntry.number)
            .limit(READ_LIMIT)
            .lateral("following")
        )
        statement = (
            select(following)
            .select_from(wanted.join(following, true()))
            .order_by(following.c.record_id, following.c.number)
        )
        found: dict[UUID, list[Place]] = defaultdict(list)
        for record_id, number, id_ in await work.session.execute(statement):
            found[record_id].append(Place(number, id_))
        return found

    def wake_id(self, stream_id: UUID) -> UUID:
        """Return what names the journal of the record in wake-ups."""
        return stream_of(stream_id)


JOURNAL_LOG = JournalLog()
