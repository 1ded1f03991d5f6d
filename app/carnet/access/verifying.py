"""Proving that the journal is whole: everything is computed again from the entries themselves.

Memory stays flat: entries are streamed in the order of their leaves, and the tree is kept as its
frontier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    SmallInteger,
    and_,
    column,
    exists,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from carnet.access.journal_tables import (
    JournalChain,
    JournalCounter,
    JournalEntry,
    JournalLeaf,
    UnsealedEntry,
)
from carnet.access.sealing import LOG, leaf_bytes
from carnet.store.database import Database, Work
from carnet.store.signing import Signer
from carnet.store.tables import LogNode
from carnet.store.tables import TreeHead as TreeHeadRow
from carnet.store.transparency import Frontier, head_of
from carnet_crypto.merkle import leaf_hash
from carnet_crypto.treehead import TreeHead

BATCH = 5000  # leaves read at a time
FINDINGS_LIMIT = 100  # shown; more are counted
SEALED_WITHIN = timedelta(minutes=1)  # of service; a server seals every second


class Problem(StrEnum):
    """What can be wrong."""

    ENTRY_CHANGED = "ENTRY_CHANGED"
    ENTRY_MISSING = "ENTRY_MISSING"
    LEAF_MISSING = "LEAF_MISSING"
    LEAF_MISPLACED = "LEAF_MISPLACED"
    NODE_CHANGED = "NODE_CHANGED"
    NODE_EXTRA = "NODE_EXTRA"
    HEAD_WRONG = "HEAD_WRONG"
    HEAD_UNSIGNED = "HEAD_UNSIGNED"
    HEAD_MISSING = "HEAD_MISSING"
    LOG_TRUNCATED = "LOG_TRUNCATED"
    NOT_EXTENDED = "NOT_EXTENDED"
    NUMBER_GAP = "NUMBER_GAP"
    COUNTER_WRONG = "COUNTER_WRONG"
    NEVER_SEALED = "NEVER_SEALED"
    SEALED_LATE = "SEALED_LATE"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, in one line."""

    problem: Problem
    message: str


@dataclass(slots=True)
class Verification:
    """What was found. ``waiting`` entries are not sealed yet, as in a running server."""

    entries: int = 0
    size: int = 0
    root: bytes = b""
    waiting: int = 0
    findings: list[Finding] = field(default_factory=list)
    further: int = 0  # findings beyond the limit

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, problem: Problem, message: str) -> None:
        """Note a finding."""
        if len(self.findings) < FINDINGS_LIMIT:
            self.findings.append(Finding(problem, message))
        else:
            self.further += 1


Told = Callable[[int, int], None]
"""Hears how many leaves of how many were verified."""


async def verify(
    database: Database,
    signer: Signer,
    saved: TreeHead | None = None,
    told: Told = lambda _done, _all: None,
) -> Verification:
    """Verify the whole journal, in one snapshot.

    Args:
        database: read only.
        signer: knows whose signatures count.
        saved: a head that was kept elsewhere; the log must extend it.
        told: hears the progress.
    """
    found = Verification()
    async with database.read() as work:
        checker = _Checker(work, signer, found, saved, told)
        await checker.leaves()
        await checker.numbers()
        await checker.unsealed()
    return found


class _Checker:
    def __init__(
        self,
        work: Work,
        signer: Signer,
        found: Verification,
        saved: TreeHead | None,
        told: Told,
    ) -> None:
        self.work = work
        self.signer = signer
        self.found = found
        self.saved = saved
        self.told = told
        self.frontier = Frontier(0, [])
        self.heads: list[TreeHead] = []
        self.heads_after = -1  # size of the last head that was read
        self.signed_size = 0  # of the last head that was checked
        self.signed_at: datetime | None = None

    async def leaves(self) -> None:
        """Go through all leaves, by index, up to the last that anything speaks of."""
        end = await self._end()
        await self._check_heads()
        for start in range(0, end, BATCH):
            stop = min(start + BATCH, end)
            if not await self._batch(start, stop):
                break
            self.told(stop, end)
        self.found.size, self.found.root = self.frontier.size, self.frontier.root
        await self._remaining_heads()
        await self._edges()

    async def _edges(self) -> None:
        """Check that a signature covers all leaves, and that there is nothing beside the tree.

        Without the first, whoever owns the database and not the key could write the whole log
        anew and drop its heads.
        """
        size = self.frontier.size
        if self.signed_size < size:
            self.found.add(
                Problem.HEAD_MISSING, f"{size - self.signed_size} leaves follow the last head"
            )
        is_node = LogNode.log == LOG
        for misplaced in (
            select(JournalLeaf.index).where(JournalLeaf.index < 0),
            select(LogNode.index).where(is_node, (LogNode.index < 0) | (LogNode.level < 0)),
            select(TreeHeadRow.size).where(TreeHeadRow.log == LOG, TreeHeadRow.size < 1),
        ):
            async for index in await self.work.session.stream_scalars(misplaced):
                self.found.add(Problem.LEAF_MISPLACED, f"no log has a leaf or size {index}")
        nodes = await self.work.session.scalar(select(func.count()).where(is_node)) or 0
        extra = nodes - sum(size >> level for level in range(63))
        if extra > 0:
            self.found.add(Problem.NODE_EXTRA, f"{extra} nodes are of no leaves")

    async def _end(self) -> int:
        last_leaf = await self.work.session.scalar(select(func.max(JournalLeaf.index)))
        last_node = await self.work.session.scalar(
            select(func.max(LogNode.index)).where(LogNode.log == LOG, LogNode.level == 0)
        )
        return max(-1 if n is None else n for n in (last_leaf, last_node)) + 1

    async def _batch(self, start: int, stop: int) -> bool:
        """Verify some leaves; False where the tree cannot be followed any further."""
        statement = (
            select(JournalLeaf, JournalEntry)
            .outerjoin(JournalEntry, JournalEntry.id == JournalLeaf.entry_id)
            .where(JournalLeaf.index >= start, JournalLeaf.index < stop)
        )
        rows = {leaf.index: entry for leaf, entry in await self.work.session.execute(statement)}
        nodes = await self._stored_nodes(start, stop)
        for index in range(start, stop):
            stored = nodes.get((0, index))
            if index not in rows:
                self.found.add(Problem.LEAF_MISSING, f"leaf {index} leads to no entry")
            elif rows[index] is None:
                self.found.add(Problem.ENTRY_MISSING, f"the entry of leaf {index} is gone")
            else:
                self.found.entries += 1
                if leaf_hash(leaf_bytes(rows[index])) != stored:
                    self.found.add(
                        Problem.ENTRY_CHANGED,
                        f"entry {rows[index].id} is not what leaf {index} was made of",
                    )
            if stored is None:
                self.found.add(Problem.NODE_CHANGED, f"the hash of leaf {index} is gone")
                return False
            for level, place, hash_ in self.frontier.add(stored):
                if nodes.get((level, place)) != hash_:
                    self.found.add(Problem.NODE_CHANGED, f"node {place} of level {level} is wrong")
            await self._check_heads()
        self.work.session.expunge_all()
        return True

    async def _stored_nodes(self, start: int, stop: int) -> dict[tuple[int, int], bytes]:
        """Return the stored nodes that the leaves from start to stop complete.

        A range of the primary key for each level: the work does not grow with the log.
        """
        ranges = [(level, start >> level, stop >> level) for level in range(63)]
        levels, lows, highs = zip(*(part for part in ranges if part[1] < part[2]), strict=True)
        wanted = (
            func.unnest(
                literal(list(levels), ARRAY(SmallInteger)),
                literal(list(lows), ARRAY(BigInteger)),
                literal(list(highs), ARRAY(BigInteger)),
            )
            .table_valued(
                column("level", SmallInteger),
                column("low", BigInteger),
                column("high", BigInteger),
                name="wanted",
            )
            .render_derived()
        )
        statement = select(LogNode.level, LogNode.index, LogNode.hash).join(
            wanted,
            and_(
                LogNode.log == LOG,
                LogNode.level == wanted.c.level,
                LogNode.index >= wanted.c.low,
                LogNode.index < wanted.c.high,
            ),
        )
        rows = await self.work.session.execute(statement)
        return {(level, index): hash_ for level, index, hash_ in rows}

    async def _check_heads(self) -> None:
        """Check the heads that were signed at the size that is reached now."""
        size = self.frontier.size
        if not self.heads and self.heads_after < size:
            self.heads = await self._next_heads()
        while self.heads and self.heads[0].size == size:
            head = self.heads.pop(0)
            self._check_head(head)
            if not self.heads:
                self.heads = await self._next_heads()
        if self.saved is not None and self.saved.size == size:
            if self.saved.root != self.frontier.root:
                self.found.add(
                    Problem.NOT_EXTENDED, f"the log is not what the saved head {size} was made of"
                )
            self.saved = None

    def _check_head(self, head: TreeHead) -> None:
        if head.root != self.frontier.root:
            self.found.add(Problem.HEAD_WRONG, f"the head of size {head.size} has another root")
        if not self.signer.has_signed(head):
            self.found.add(Problem.HEAD_UNSIGNED, f"the head of size {head.size} is not signed")
        self.signed_size, self.signed_at = head.size, head.signed_at

    async def _next_heads(self) -> list[TreeHead]:
        statement = (
            select(TreeHeadRow)
            .where(TreeHeadRow.log == LOG, TreeHeadRow.size > self.heads_after)
            .order_by(TreeHeadRow.size)
            .limit(BATCH)
        )
        heads = [head_of(row) for row in await self.work.session.scalars(statement)]
        self.heads_after = heads[-1].size if heads else 2**62
        return heads

    async def _remaining_heads(self) -> None:
        size = self.frontier.size
        while self.heads:
            for head in self.heads:
                self.found.add(
                    Problem.LOG_TRUNCATED,
                    f"a head of size {head.size} was signed, and the log ends at {size}",
                )
            self.heads = await self._next_heads()
        if self.saved is not None:
            self.found.add(
                Problem.LOG_TRUNCATED,
                f"the saved head has size {self.saved.size}, and the log ends at {size}",
            )

    async def numbers(self) -> None:
        """Check that each record's chains are numbered from 1 without a gap, as counted."""
        of_chain = (
            select(
                JournalEntry.record_id,
                JournalEntry.chain,
                func.count().label("entries"),
                func.min(JournalEntry.number).label("first"),
                func.max(JournalEntry.number).label("last"),
            )
            .group_by(JournalEntry.record_id, JournalEntry.chain)
            .subquery()
        )
        gaps = select(of_chain).where(
            (of_chain.c.first != 1) | (of_chain.c.last != of_chain.c.entries)
        )
        async for row in await self.work.session.stream(gaps):
            self.found.add(
                Problem.NUMBER_GAP,
                f"record {row.record_id}: {row.entries} entries of chain {row.chain} are numbered"
                f" {row.first} to {row.last}",
            )
        for chain, counted in (
            (JournalChain.MAIN, JournalCounter.last_main),
            (JournalChain.HELD, JournalCounter.last_held),
        ):
            theirs = select(of_chain).where(of_chain.c.chain == chain).subquery()
            last = func.coalesce(theirs.c.last, 0)
            counts = func.coalesce(counted, 0)
            wrong = (
                select(
                    func.coalesce(JournalCounter.record_id, theirs.c.record_id).label("record_id"),
                    counts.label("counted"),
                    last.label("last"),
                )
                .select_from(JournalCounter)
                .join(theirs, theirs.c.record_id == JournalCounter.record_id, full=True)
                .where(counts != last)
            )
            async for row in await self.work.session.stream(wrong):
                self.found.add(
                    Problem.COUNTER_WRONG,
                    f"record {row.record_id}: {row.counted} entries of chain {chain.value} were"
                    f" numbered, and the last is {row.last}",
                )

    async def unsealed(self) -> None:
        """Count what waits to be sealed, and find what never will be."""
        count = select(func.count()).select_from(UnsealedEntry)
        self.found.waiting = await self.work.session.scalar(count) or 0
        lost = (
            select(JournalEntry.id)
            .outerjoin(JournalLeaf, JournalLeaf.entry_id == JournalEntry.id)
            .outerjoin(UnsealedEntry, UnsealedEntry.entry_id == JournalEntry.id)
            .where(JournalLeaf.index.is_(None), UnsealedEntry.entry_id.is_(None))
        )
        async for row in await self.work.session.stream(lost):
            self.found.add(Problem.NEVER_SEALED, f"entry {row.id} is in no log")
        is_there = exists().where(JournalEntry.id == UnsealedEntry.entry_id)
        gone = select(UnsealedEntry.entry_id).where(~is_there)
        async for row in await self.work.session.stream(gone):
            self.found.add(
                Problem.ENTRY_MISSING, f"entry {row.entry_id}, which waited to be sealed, is gone"
            )
        await self._late()

    async def _late(self) -> None:
        """Find what should have been sealed: something happened over a minute after it.

        By the service's own time, so that nothing is late because no server ran.
        """
        newest = await self.work.session.scalar(select(func.max(JournalEntry.at)))
        seen = [at for at in (newest, self.signed_at) if at is not None]
        if not seen:
            return
        late = (
            select(JournalEntry.id)
            .join(UnsealedEntry, UnsealedEntry.entry_id == JournalEntry.id)
            .where(JournalEntry.at < max(seen) - SEALED_WITHIN)
            .order_by(JournalEntry.at, JournalEntry.id)
        )
        async for row in await self.work.session.stream(late):
            self.found.add(Problem.SEALED_LATE, f"entry {row.id} waits for over a minute")
