"""Asking for an export, and letting archives go. `carnet.exports.building` makes them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from carnet.access.journal import Fact, JournalAction, ObjectKind, behalf, write
from carnet.access.tables import DelegationScope
from carnet.errors import AccessDenied, NotFound, QuotaExceeded, Unauthenticated
from carnet.exports import queries
from carnet.exports.rules import READY_LIMIT, RUNNING
from carnet.exports.tables import Export, ExportState
from carnet.people.actor import Actor, Anonymous, Patient
from carnet.records import queries as records
from carnet.records.actions import lock_records
from carnet.records.tables import Record
from carnet.store import jobs
from carnet.store.database import Work
from carnet.store.tables import Blob

BUILD = "exports.build"
EXPIRE = "exports.expire"

ONLY_HOLDER = "exports.only-holder-or-delegate"
BY_HOLDER = "exports.holder"
BY_DELEGATE = "exports.delegate"
BY_ITSELF = "exports.system"  # nobody acts: an archive's time is over, or it cannot be made


async def request(actor: Actor, work: Work, record_id: UUID) -> Export:
    """Ask for everything in a record; one that is under way already is returned as it is.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: the record does not exist or is not theirs to see.
        AccessDenied: they see it, but neither hold it nor act for its holder in all of it.
        QuotaExceeded: several archives of it wait for them already.
    """
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    record, requester = await require(actor, work, record_id)
    await lock_records(work, [record.id])  # so that two requests at once become one export
    theirs = Export.record_id == record.id, Export.account_id == requester.account_id
    running = select(Export).where(*theirs, Export.state.in_(RUNNING))
    export = await work.session.scalar(running)
    if export is not None:
        return export
    ready = select(func.count()).select_from(Export).where(*theirs)
    waiting = await work.session.scalar(ready.where(Export.state == ExportState.READY))
    if (waiting or 0) >= READY_LIMIT:
        raise QuotaExceeded(f"{READY_LIMIT} exports wait to be downloaded; use one of them.")
    export = Export(
        id=work.new_id(),
        record_id=record.id,
        account_id=requester.account_id,
        state=ExportState.QUEUED,
        steps_done=0,
        requested_at=work.now,
    )
    work.session.add(export)
    await work.session.flush()
    await jobs.ask(work, BUILD, str(export.id), arguments={"export": str(export.id)})
    await note(requester, work, export, record, "requested")
    return export


async def require(actor: Actor, work: Work, record_id: UUID) -> tuple[Record, Patient]:
    """Return the record, and the actor as somebody who may have all of it.

    Raises:
        NotFound: the record does not exist or is not theirs to see.
        AccessDenied: they see it, but may not have all of it.
    """
    record = await records.record(actor, work, record_id)
    scopes = (DelegationScope.DOCUMENTS, DelegationScope.PROFILE)
    if not isinstance(actor, Patient) or not await queries.covers(actor, work, record_id, *scopes):
        raise AccessDenied(ONLY_HOLDER, "Only the holder, or who acts for them, exports a record.")
    return record, actor


async def note(
    actor: Patient | None, work: Work, export: Export, record: Record, event: str, **details: str
) -> None:
    """Write what became of an export into the journal.

    Args:
        actor: who asked for it; None for what happens by itself.
        event: a code, such as ``downloaded``.
        details: further codes.
    """
    holder = behalf(actor, record.person_id) if actor else None
    rule = BY_ITSELF if actor is None else BY_DELEGATE if holder else BY_HOLDER
    fact = Fact(
        export.record_id,
        JournalAction.EXPORT,
        rule,
        ObjectKind.EXPORT,
        (export.id,),
        on_behalf_of=holder,
        details={"event": event, **details},
    )
    await write(actor, work, [fact])


async def find_archive(actor: Actor, work: Work, export_id: UUID) -> tuple[Export, Blob]:
    """Return an archive that the actor asked for and may have now.

    Raises:
        NotFound: there is none, it is another's, not made yet or expired, or they may not have
            all of it any more.
    """
    export, blob = await queries.archive(actor, work, export_id)
    try:
        record, requester = await require(actor, work, export.record_id)
    except AccessDenied:
        raise NotFound() from None
    is_delegate = behalf(requester, record.person_id) is not None
    if is_delegate and await queries.is_outdated(requester, work, export, record.person_id):
        raise NotFound()
    return export, blob


async def note_download(actor: Actor, work: Work, export: Export) -> None:
    """Write down that the archive is about to be sent to the actor.

    Raises:
        NotFound, AccessDenied: they may not have it any more.
    """
    record, requester = await require(actor, work, export.record_id)
    await note(requester, work, export, record, "downloaded")
