"""What the queue does for exports: build archives, and delete them when their time is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID

from carnet.errors import CarnetError, NotFound, Refusal
from carnet.exports import building
from carnet.exports.actions import BUILD
from carnet.exports.archive import Archive
from carnet.exports.building import EXPIRE, Begun, Stopped
from carnet.exports.rules import ARCHIVE_LIMIT, GIVE_UP_AFTER
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.jobs import Handler

MEDIA_TYPE = "application/zip"

_log = logging.getLogger(__name__)


def handlers(blobs: BlobStore, public_key: bytes) -> Mapping[str, Handler]:
    """Return what a `carnet.store.jobs.Worker` needs to know of exports.

    Args:
        blobs: where documents are and archives go.
        public_key: of who signs the journal.
    """

    async def build(database: Database, arguments: Mapping[str, Any]) -> None:
        await _build(database, blobs, public_key, UUID(arguments["export"]))

    async def expire(database: Database, arguments: Mapping[str, Any]) -> datetime | None:
        async with database.write() as work:
            return await building.expire(work, UUID(arguments["export"]))

    return {BUILD: build, EXPIRE: expire}


async def _build(database: Database, blobs: BlobStore, public_key: bytes, export_id: UUID) -> None:
    """Build an archive from the beginning; what an earlier try left behind is swept.

    Raises:
        Exception: what may pass, such as a store without room; a day after the request it is
            given up instead.
    """
    async with database.write() as work:
        begun = await building.begin(work, export_id)
    if begun is None:
        return
    try:
        await _store(database, blobs, public_key, begun)
    except Stopped as stopped:
        code = stopped.code
    except Exception as error:
        may_pass = not isinstance(error, Refusal) or isinstance(error, NotFound)
        if may_pass and database.clock.now() < begun.requested_at + GIVE_UP_AFTER:
            raise
        code = error.code if isinstance(error, CarnetError) else CarnetError.code
        _log.warning("an export is given up: %s", code)
    else:
        return
    if code is not None:
        async with database.write() as work:
            await building.fail(work, export_id, code)


async def _store(database: Database, blobs: BlobStore, public_key: bytes, begun: Begun) -> None:
    async with database.read() as work:
        owner = f"export:{work.new_id()}"  # of this try alone, so that none counts against another
    async with aclosing(Archive(database, blobs, begun, public_key).pieces()) as pieces:
        stored = await blobs.receive(
            database, owner, pieces, media_type=MEDIA_TYPE, limit_bytes=ARCHIVE_LIMIT
        )
    try:
        async with database.write() as work:
            await building.finish(work, blobs, begun, owner, stored)
    except Stopped:
        async with database.write() as work:
            await BlobStore.release(work, [stored.id])
        raise
