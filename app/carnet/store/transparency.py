"""Logs that only grow (RFC 9162), in PostgreSQL: complete subtrees and signed heads.

The hash of every complete subtree is a row, so that a root or a proof takes as many rows as the
tree is high. Rows are added and never changed; the server's role could not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    SmallInteger,
    and_,
    column,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from carnet.store.database import Work
from carnet.store.signing import Signer
from carnet.store.tables import LogNode
from carnet.store.tables import TreeHead as TreeHeadRow
from carnet_crypto import merkle
from carnet_crypto.treehead import TreeHead

Range = tuple[int, int]
Place = tuple[int, int]


class Frontier:
    """The complete subtrees of a growing tree, the largest first: enough to go on from."""

    def __init__(self, size: int, hashes: Sequence[bytes]) -> None:
        places = merkle.root_nodes(size)
        self.size = size
        self._stack = [(*place, hash_) for place, hash_ in zip(places, hashes, strict=True)]

    def add(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf and return the subtrees (level, index, hash) that it completes."""
        level, index, found = 0, self.size, leaf_hash
        completed = [(level, index, found)]
        while index & 1:
            _, _, left = self._stack.pop()
            level, index, found = level + 1, index >> 1, merkle.node_hash(left, found)
            completed.append((level, index, found))
        self._stack.append((level, index, found))
        self.size += 1
        return completed

    @property
    def root(self) -> bytes:
        """The root of the tree as it is."""
        return merkle.fold([hash_ for _, _, hash_ in self._stack])


async def lock(work: Work, log: str) -> bool:
    """Become the one writer of a log until the transaction ends; False when another is."""
    return bool(await work.session.scalar(select(func.pg_try_advisory_xact_lock(_lock_key(log)))))


async def lock_in_turn(work: Work, log: str) -> None:
    """Become the one writer of a log until the transaction ends, after those who came before."""
    await work.session.execute(select(func.pg_advisory_xact_lock(_lock_key(log))))


async def size(work: Work, log: str) -> int:
    """Return how many leaves a log has."""
    last = select(func.max(LogNode.index)).where(LogNode.log == log, LogNode.level == 0)
    found = await work.session.scalar(last)
    return 0 if found is None else found + 1


async def append(work: Work, log: str, leaf_hashes: Iterable[bytes], signer: Signer) -> TreeHead:
    """Add leaves and sign the head; the caller holds the log's `lock`."""
    standing = await size(work, log)
    places = merkle.root_nodes(standing)
    nodes = await _nodes(work, log, places)
    frontier = Frontier(standing, [nodes[place] for place in places])
    rows: list[dict[str, Any]] = []
    for leaf in leaf_hashes:
        rows += [
            {"log": log, "level": level, "index": index, "hash": hash_}
            for level, index, hash_ in frontier.add(leaf)
        ]
    if rows:
        await work.session.execute(insert(LogNode), rows)
    head = signer.sign(log, frontier.size, frontier.root, work.now)
    row = {
        "log": log,
        "size": head.size,
        "root": head.root,
        "signed_at": head.signed_at,
        "key_id": head.key_id,
        "signature": head.signature,
    }
    await work.session.execute(insert(TreeHeadRow), [row])
    return head


async def latest_head(work: Work, log: str) -> TreeHead | None:
    """Return the newest signed head, or None of an empty log."""
    statement = (
        select(TreeHeadRow).where(TreeHeadRow.log == log).order_by(TreeHeadRow.size.desc()).limit(1)
    )
    row = await work.session.scalar(statement)
    return head_of(row) if row else None


async def head_at(work: Work, log: str, tree_size: int) -> TreeHead | None:
    """Return the head that was signed at this size, if one was."""
    row = await work.session.get(TreeHeadRow, (log, tree_size))
    return head_of(row) if row else None


def head_of(row: TreeHeadRow) -> TreeHead:
    """Return a row as a head."""
    return TreeHead(row.log, row.size, row.root, row.signed_at, row.key_id, row.signature)


async def inclusion_proofs(
    work: Work, log: str, indexes: Sequence[int], tree_size: int
) -> dict[int, list[bytes]]:
    """Return for each leaf the hashes that prove it in the tree of this size, in one read.

    Raises:
        ValueError: there is no such leaf in a tree of that size.
    """
    ranges = {index: merkle.inclusion_ranges(index, tree_size) for index in indexes}
    hashes = await _hashes(work, log, [one for found in ranges.values() for one in found])
    return {index: [hashes[one] for one in found] for index, found in ranges.items()}


async def leaf_hashes(work: Work, log: str, indexes: Sequence[int]) -> dict[int, bytes]:
    """Return the hashes of these leaves."""
    nodes = await _nodes(work, log, [(0, index) for index in indexes])
    return {index: hash_ for (_, index), hash_ in nodes.items()}


async def consistency_proof(work: Work, log: str, old: int, new: int) -> list[bytes]:
    """Return the hashes that prove that the tree of the new size extends that of the old.

    Raises:
        ValueError: the old tree is larger than the new one.
    """
    ranges = merkle.consistency_ranges(old, new)
    hashes = await _hashes(work, log, ranges)
    return [hashes[one] for one in ranges]


def _lock_key(log: str) -> int:
    digest = sha256(b"carnet log\x00" + log.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def _hashes(work: Work, log: str, ranges: Sequence[Range]) -> dict[Range, bytes]:
    places = {one: merkle.range_nodes(*one) for one in ranges}
    nodes = await _nodes(work, log, [place for found in places.values() for place in found])
    return {one: merkle.fold([nodes[place] for place in found]) for one, found in places.items()}


async def _nodes(work: Work, log: str, places: Sequence[Place]) -> dict[Place, bytes]:
    if not places:
        return {}
    levels, indexes = zip(*sorted(set(places)), strict=True)
    # Two arrays and not a parameter for each: PostgreSQL takes 32,767 of those.
    wanted = (
        func.unnest(
            literal(list(levels), ARRAY(SmallInteger)), literal(list(indexes), ARRAY(BigInteger))
        )
        .table_valued(column("level", SmallInteger), column("index", BigInteger), name="wanted")
        .render_derived()
    )
    statement = select(LogNode.level, LogNode.index, LogNode.hash).join(
        wanted,
        and_(LogNode.log == log, LogNode.level == wanted.c.level, LogNode.index == wanted.c.index),
    )
    return {(level, index): hash_ for level, index, hash_ in await work.session.execute(statement)}
