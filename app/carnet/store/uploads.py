"""Uploads before anything refers to them: how many there may be, and how long they live."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update

from carnet.errors import NotFound, QuotaExceeded
from carnet.store.database import Database, Work
from carnet.store.sealing import Sealer
from carnet.store.tables import Blob, BlobState

UNCLAIMED_LIFE = timedelta(hours=24)  # how long an upload waits to be referred to
PENDING_LIFE = timedelta(minutes=15)  # after which an upload that stopped counts as dead
RENEWAL_INTERVAL = 300  # seconds between the renewals of a running upload
UNCLAIMED_BYTES_LIMIT = 20 * 2**30  # of one owner
UNCLAIMED_COUNT_LIMIT = 1000  # of one owner
PENDING_COUNT_LIMIT = 16  # uploads of one owner at once: each holds up to 40 MB of memory


async def check_quota(work: Work, owner: str, size_bytes: int) -> None:
    """Let an upload of this size begin; others of the owner wait until the transaction ends.

    Raises:
        QuotaExceeded: the owner has too much that nothing refers to.
    """
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))")
    await work.session.execute(lock, {"owner": f"blobs of {owner}"})
    living = (Blob.owner == owner, Blob.claimed_at.is_(None), Blob.expires_at > work.now)
    pending = func.count().filter(Blob.state == BlobState.PENDING)
    statement = select(func.count(), pending, func.sum(Blob.size_bytes))
    found = (await work.session.execute(statement.where(*living))).one()
    count, pending_count, total = (int(number or 0) for number in found)
    if pending_count >= PENDING_COUNT_LIMIT:
        raise QuotaExceeded(f"At most {PENDING_COUNT_LIMIT} uploads can run at once.")
    if count >= UNCLAIMED_COUNT_LIMIT or total + size_bytes > UNCLAIMED_BYTES_LIMIT:
        raise QuotaExceeded("Too many uploads wait to be used; use them or let them expire.")


class Renewal:
    """Keeps the row of a running upload alive; the sweeper takes those that stopped."""

    def __init__(self, database: Database, blob_id: UUID) -> None:
        self._database = database
        self._blob_id = blob_id
        self._due = monotonic() + RENEWAL_INTERVAL

    async def __call__(self) -> None:
        """Put off the end of its life, where the last time is long ago."""
        if monotonic() < self._due:
            return
        self._due = monotonic() + RENEWAL_INTERVAL
        async with self._database.write() as work:
            await work.session.execute(
                update(Blob)
                .where(Blob.id == self._blob_id, Blob.state == BlobState.PENDING)
                .values(expires_at=work.now + PENDING_LIFE)
            )


async def complete(work: Work, blob_id: UUID, sealer: Sealer) -> Blob:
    """Say that the bytes of a running upload are all there.

    Raises:
        NotFound: it stood still so long that it was swept.
    """
    statement = (
        update(Blob)
        .where(Blob.id == blob_id, Blob.state == BlobState.PENDING, Blob.expires_at > work.now)
        .values(
            state=BlobState.READY,
            size_bytes=sealer.size_bytes,
            sha256=sealer.sha256(),
            expires_at=work.now + UNCLAIMED_LIFE,
        )
        .returning(Blob)
        .execution_options(synchronize_session=False)
    )
    row = await work.session.scalar(statement)
    if row is None:
        raise NotFound("The upload stood still for too long; send it again.")
    return row


def claimable(work: Work, owner: str, blob_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Return the filter on an upload that is all there, alive and referred to by nothing yet."""
    return (
        Blob.id == blob_id,
        Blob.owner == owner,
        Blob.state == BlobState.READY,
        Blob.claimed_at.is_(None),
        Blob.expires_at > work.now,
    )
