"""The steps of an export's life after it was asked for. `carnet.exports.jobs` takes them.

It is made with the rights of who asked for it, looked at again at every step: what they may not
see is not in it, and when they lose the record it is not finished. Two processes may build the
same export when one of them was thought dead; the first to finish makes the archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update

from carnet.documents import queries as documents
from carnet.errors import AccessDenied, NotFound, Unauthenticated
from carnet.exports.actions import note, require
from carnet.exports.rules import ARCHIVE_LIFE, OTHER_STEPS, RUNNING
from carnet.exports.tables import Export, ExportState
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Assurance, Patient
from carnet.people.sessions import actor_of
from carnet.people.tables import Account
from carnet.records.tables import Record
from carnet.store import jobs
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.database import Work

EXPIRE = "exports.expire"


class Stopped(Exception):
    """The build is not to go on: ``code`` says why it failed, None that nobody waits for it."""

    def __init__(self, code: str | None) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Begun:
    """An export that is being built, and who it is for."""

    export_id: UUID
    record_id: UUID
    requested_at: datetime
    begun_at: datetime
    actor: Patient


async def begin(work: Work, export_id: UUID) -> Begun | None:
    """Start to build, from the beginning even when somebody had started before.

    Returns:
        None when nothing is to be built: it is done, or who asked may not have it any more, with
        which it has failed.
    """
    export = await _locked(work, export_id)
    if export is None or export.state not in RUNNING:
        return None
    try:
        actor = await _requester(work, export.account_id)
        await require(actor, work, export.record_id)
    except (NotFound, AccessDenied, Unauthenticated) as refusal:
        await _set_failed(work, export, refusal.code)
        return None
    wanted = documents.DocumentFilter()
    counted = await documents.counts(actor, work, [export.record_id], wanted)
    export.state = ExportState.RUNNING
    export.steps_done = 0
    export.steps_total = OTHER_STEPS + counted.get(export.record_id, 0)
    await work.session.flush()
    return Begun(export.id, export.record_id, export.requested_at, work.now, actor)


async def step(work: Work, begun: Begun, *, done: int = 1) -> None:
    """Count steps as done, and look whether the build may go on.

    Raises:
        Stopped: it may not.
    """
    counted = (
        update(Export)
        .where(Export.id == begun.export_id, Export.state == ExportState.RUNNING)
        .values(steps_done=func.least(Export.steps_done + done, Export.steps_total))
        .returning(Export.id)
        .execution_options(synchronize_session=False)
    )
    if await work.session.scalar(counted) is None:
        raise Stopped(None)
    await _still_theirs(work, begun)


async def finish(
    work: Work, blobs: BlobStore, begun: Begun, owner: str, archive: StoredBlob
) -> None:
    """Make the archive downloadable, and tell who asked for it.

    Args:
        owner: who the archive was stored for.

    Raises:
        Stopped: they may not have it any more, or another process was faster.
    """
    export = await _locked(work, begun.export_id)
    if export is None or export.state is not ExportState.RUNNING:
        raise Stopped(None)
    record = await _still_theirs(work, begun)
    await blobs.claim(work, owner, archive.id)
    export.state = ExportState.READY
    export.blob_id = archive.id
    export.steps_done = export.steps_total or 0
    export.finished_at = work.now
    export.expires_at = work.now + ARCHIVE_LIFE
    await work.session.flush()
    await jobs.ask(
        work,
        EXPIRE,
        str(export.id),
        due_at=export.expires_at,
        arguments={"export": str(export.id)},
    )
    await note(begun.actor, work, export, record, "built")
    await notify(
        work,
        NotificationKind.EXPORT_READY,
        export.id,
        person_id=begun.actor.person_id,
        record_id=export.record_id,
    )


async def fail(work: Work, export_id: UUID, code: str) -> None:
    """Give an export up that is not ready; ``code`` is that of the error."""
    export = await _locked(work, export_id)
    if export is not None and export.state in RUNNING:
        await _set_failed(work, export, code)


async def expire(work: Work, export_id: UUID) -> datetime | None:
    """Let an archive go whose time is over.

    Returns:
        When to come again, None for never.
    """
    export = await _locked(work, export_id)
    if export is None or export.state is not ExportState.READY or export.expires_at is None:
        return None
    if export.expires_at > work.now:
        return export.expires_at
    blob_id, export.blob_id = export.blob_id, None
    export.state = ExportState.EXPIRED
    await work.session.flush()
    if blob_id is not None:
        await BlobStore.release(work, [blob_id])
    await _note_end(work, export, "expired")
    return None


async def _locked(work: Work, export_id: UUID) -> Export | None:
    statement = (
        select(Export)
        .where(Export.id == export_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await work.session.scalars(statement)).one_or_none()


async def _requester(work: Work, account_id: UUID) -> Patient:
    """Return who asked, as far as their account still stands for them.

    No session is needed any more, so they have proved who they are in no special way.
    """
    account = await work.session.get(Account, account_id)
    if account is None:
        raise Unauthenticated()
    actor = actor_of(account, Assurance.PASSWORD)
    if not isinstance(actor, Patient):
        raise Unauthenticated()
    return actor


async def _still_theirs(work: Work, begun: Begun) -> Record:
    try:
        actor = await _requester(work, begun.actor.account_id)
        record, _ = await require(actor, work, begun.record_id)
    except (NotFound, AccessDenied, Unauthenticated) as refusal:
        raise Stopped(refusal.code) from None
    return record


async def _set_failed(work: Work, export: Export, code: str) -> None:
    export.state = ExportState.FAILED
    export.error_code = code
    export.finished_at = work.now
    await work.session.flush()
    await _note_end(work, export, "failed", code=code)


async def _note_end(work: Work, export: Export, event: str, **details: str) -> None:
    record = await work.session.get(Record, export.record_id)
    if record is not None:
        await note(None, work, export, record, event, **details)
