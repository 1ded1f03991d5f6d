"""Sealing: journal entries become leaves of the log, in order, under a signed head.

An entry's leaf is its canonical JSON (`leaf_bytes`): UTF-8, keys sorted, no spaces, times in
microseconds since 1970, ids in their usual form, bytes in base64url without padding. Whoever has
the entry can make its leaf again, and prove its place in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, insert, select

from carnet.access.journal_tables import JournalEntry, JournalLeaf, UnsealedEntry
from carnet.store import transparency
from carnet.store.database import Database, Work
from carnet.store.signing import Signer
from carnet_crypto.encoding import to_base64url
from carnet_crypto.merkle import leaf_hash

LOG = "journal"
JOB = "journal.seal"
BATCH = 1000  # entries in one transaction
INTERVAL = timedelta(seconds=1)

_log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def leaf_bytes(entry: JournalEntry) -> bytes:
    """Return what the log holds the hash of; see the module."""
    shape: dict[str, Any] = {
        "v": 1,
        "id": str(entry.id),
        "recordId": str(entry.record_id),
        "chain": entry.chain.value,
        "number": entry.number,
        "at": (entry.at - _EPOCH) // timedelta(microseconds=1),
        "actorKind": entry.actor_kind,
        "actorId": str(entry.actor_id) if entry.actor_id else None,
        "onBehalfOf": str(entry.on_behalf_of) if entry.on_behalf_of else None,
        "action": entry.action,
        "objectKind": entry.object_kind,
        "objectIds": [str(id_) for id_ in entry.object_ids],
        "rule": entry.rule,
        "isEmergency": entry.is_emergency,
        "details": entry.details,
        "textDigest": to_base64url(entry.text_digest) if entry.text_digest else None,
    }
    return orjson.dumps(shape, option=orjson.OPT_SORT_KEYS)


async def seal(database: Database, signer: Signer, limit: int = BATCH) -> int:
    """Seal the oldest entries that wait, and return how many; of two sealers one does it."""
    async with database.write() as work:
        if not await transparency.lock(work, LOG):
            return 0
        return await _seal(work, signer, limit)


async def _seal(work: Work, signer: Signer, limit: int) -> int:
    waiting = (
        select(JournalEntry, JournalLeaf.index)
        .join(UnsealedEntry, UnsealedEntry.entry_id == JournalEntry.id)
        .outerjoin(JournalLeaf, JournalLeaf.entry_id == JournalEntry.id)
        .order_by(JournalEntry.at, JournalEntry.id)
        .limit(limit)
    )
    rows = (await work.session.execute(waiting)).all()
    # One that is in the log already, however it came into the queue, must not stop the others.
    entries = [entry for entry, index in rows if index is None]
    if entries:
        first = await transparency.size(work, LOG)
        await work.session.execute(
            insert(JournalLeaf),
            [{"index": first + i, "entry_id": entry.id} for i, entry in enumerate(entries)],
        )
        hashes = [leaf_hash(leaf_bytes(entry)) for entry in entries]
        await transparency.append(work, LOG, hashes, signer)
    ids = [entry.id for entry, _ in rows]
    await work.session.execute(delete(UnsealedEntry).where(UnsealedEntry.entry_id.in_(ids)))
    return len(rows)


async def run(database: Database, signer: Signer, _arguments: Mapping[str, Any]) -> datetime:
    """Seal all that waits: the job that is always in the queue. Returns when to do it again.

    A failure is logged and tried again after a second: the queue would wait longer each time, up
    to an hour, and entries should be sealed as soon as whatever was wrong is repaired.
    """
    try:
        while await seal(database, signer) == BATCH:
            pass
    except Exception as error:
        _log.warning("the journal was not sealed: %s", type(error).__name__)
    return database.clock.now() + INTERVAL
