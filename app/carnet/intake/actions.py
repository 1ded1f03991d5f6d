"""The publishers' one operation: take in a body, idempotently, and answer item by item."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from carnet.errors import AccessDenied, Conflict, PayloadTooLarge, Unauthenticated
from carnet.intake.formats import reader_for
from carnet.intake.landing import land
from carnet.intake.model import Reading
from carnet.intake.receipt import ItemOutcome, Receipt
from carnet.intake.tables import Submission
from carnet.people.actor import Actor, Anonymous, Publisher, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database, Work

ATTEMPTS = 5  # a submission that meets another on the same rows is tried again
_RACES = frozenset({"23505", "40001", "40P01"})  # unique violation, serialization, deadlock
_READING = asyncio.Semaphore(2)  # bodies parsed at once: each takes a processor and its memory


def publisher_of(actor: Actor) -> Publisher:
    """Return the actor as a publisher.

    Raises:
        Unauthenticated: nobody has signed in.
        AccessDenied: they are somebody else; only publishers feed records in bulk.
    """
    match actor:
        case Publisher():
            return actor
        case Anonymous():
            raise Unauthenticated()
    raise AccessDenied("intake.only-publishers", "Only a publisher's credential feeds records.")


async def take_in(
    actor: Actor, database: Database, blobs: BlobStore, body: bytes, media_type: str
) -> Receipt:
    """Read a body and land everything in it, in one transaction.

    The same body from the same publisher changes nothing a second time. This action opens its
    own transaction, because reading comes before it and a lost race repeats it.

    Raises:
        Unauthenticated, AccessDenied: the actor is no publisher.
        UnsupportedMediaType: no reader for the content type.
        ValidationFailed: the body as a whole is not of its format.
        Conflict: others changed the same rows all the time; send it again.
    """
    publisher = publisher_of(actor)
    reader = reader_for(media_type, body)
    digest = sha256(body).digest()
    async with database.read() as work:
        known = await _known(publisher, work, digest)
    if known is not None and known.is_settled:
        return _repeated(known)
    async with _READING:
        reading = await asyncio.to_thread(reader, body)
    for attempt in range(ATTEMPTS):
        try:
            async with database.write() as work:
                return await _land(publisher, work, blobs, digest, reading)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _RACES:
                raise
            await asyncio.sleep(0.02 * 2**attempt)
    raise Conflict("The records were busy; send the same body again.")


async def take_in_blob(
    actor: Actor,
    database: Database,
    blobs: BlobStore,
    blob_id: UUID,
    limit_bytes: int,
    media_type: str | None = None,
) -> Receipt:
    """Take in a body that was uploaded as a blob; the blob is let go afterwards.

    Args:
        limit_bytes: the largest body that is read.
        media_type: what to read it as; None for what the upload said.

    Raises:
        NotFound: no such blob, or not the actor's.
        PayloadTooLarge: it is larger than intake reads.
    """
    owner = actor_key(publisher_of(actor))
    async with database.read() as work:
        blob = await blobs.uploaded(work, owner, blob_id)
    if blob.size_bytes > limit_bytes:
        raise PayloadTooLarge(f"Intake reads at most {limit_bytes} bytes.")
    body = b"".join([chunk async for chunk in blobs.read(blob)])
    receipt = await take_in(actor, database, blobs, body, media_type or blob.media_type)
    async with database.write() as work:
        await BlobStore.release(work, [blob_id])
    return receipt


async def _known(publisher: Publisher, work: Work, digest: bytes) -> Submission | None:
    statement = select(Submission).where(
        Submission.publisher_id == publisher.publisher_id, Submission.sha256 == digest
    )
    return (await work.session.scalars(statement)).one_or_none()


def _repeated(known: Submission) -> Receipt:
    return Receipt(known.id, known.format, [ItemOutcome.repeated(item) for item in known.items])


async def _land(
    publisher: Publisher, work: Work, blobs: BlobStore, digest: bytes, reading: Reading
) -> Receipt:
    items = await land(publisher, work, blobs, reading)
    receipt = Receipt(work.new_id(), reading.format, items)
    statement = insert(Submission).values(
        id=receipt.submission_id,
        publisher_id=publisher.publisher_id,
        sha256=digest,
        format=reading.format,
        is_settled=receipt.is_settled,
        items=[item.as_json() for item in items],
        received_at=work.now,
    )
    renewed = statement.on_conflict_do_update(
        index_elements=["publisher_id", "sha256"],
        set_={"is_settled": statement.excluded.is_settled, "items": statement.excluded["items"]},
    )
    standing = await work.session.scalar(renewed.returning(Submission.id))
    return Receipt(standing or receipt.submission_id, reading.format, items)
