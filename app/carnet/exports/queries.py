"""Reads of exports: each is seen by who asked for it, while they may have the record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, false, or_, select

from carnet.access.events import DocumentEventKind
from carnet.access.filters import speaks_for
from carnet.access.tables import Delegation, DelegationScope
from carnet.documents.tables import Document
from carnet.errors import NotFound
from carnet.exports.tables import Export, ExportState
from carnet.people.actor import Actor, Patient
from carnet.records import queries as records
from carnet.records.tables import Record
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet.store.tables import Blob, Event

_HIDDEN = DocumentEventKind.HIDDEN.value
_TAKEN = (_HIDDEN, DocumentEventKind.DELETED.value, DocumentEventKind.DELAYED.value)
NEWEST = Order("exports.newest", Export.requested_at.desc(), Export.id.desc())


def _own(actor: Actor) -> ColumnElement[bool]:
    """Return the filter on exports of records that are known to be visible."""
    return Export.account_id == actor.account_id if isinstance(actor, Patient) else false()


async def covers(actor: Actor, work: Work, record_id: UUID, *scopes: DelegationScope) -> bool:
    """Tell whether the actor holds the record, or acts for its holder in all these scopes."""
    held = [speaks_for(actor, work.now, Record.person_id, scope) for scope in scopes]
    found = exists().where(and_(Record.id == record_id, *held)).select()
    return bool(await work.session.scalar(found))


async def is_outdated(actor: Patient, work: Work, export: Export, holder_id: UUID) -> bool:
    """Tell whether an archive may hold what a delegate has lost since they asked for it: a document
    that was hidden from them or deleted, or that the holder's side sees later; or an area that a
    later delegation does not cover.

    Documents are lost by the events that tell so to whoever follows the record. Those are kept for
    longer than archives.
    """
    since = export.requested_at
    taken = (
        select(Event.id)
        .join(Document, Document.id == Event.subject_id)
        .where(
            Event.stream_id == export.record_id,
            Event.kind.in_(_TAKEN),
            Event.at >= since,
            or_(Event.kind == _HIDDEN, ~Document.is_hidden_from_representatives),
        )
    )
    standing = select(Delegation.id).where(
        Delegation.holder_person_id == holder_id,
        Delegation.delegate_person_id == actor.person_id,
        Delegation.revoked_at.is_(None),
        Delegation.accepted_at <= since,
    )
    if await work.session.scalar(standing.limit(1)) is None:
        return True
    return await work.session.scalar(taken.limit(1)) is not None


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Export]:
    """Return those of the exports that the actor sees."""
    rows = list(await work.session.scalars(select(Export).where(Export.id.in_(ids), _own(actor))))
    seen = await records.by_ids(actor, work, {row.record_id for row in rows})
    return {row.id: row for row in rows if row.record_id in seen}


async def pages(
    actor: Actor, work: Work, record_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[Export]]:
    """Return a page of the actor's own exports of each record that they see."""
    seen = list(await records.by_ids(actor, work, record_ids))
    statement = select(Export).where(_own(actor))
    return await paginate_many(
        work, statement, order, request, parent=Export.record_id, parents=seen
    )


async def counts(actor: Actor, work: Work, record_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many exports the actor has of each record that they see."""
    seen = list(await records.by_ids(actor, work, record_ids))
    statement = select(Export).where(_own(actor))
    return await count_many(work, statement, parent=Export.record_id, parents=seen)


async def sizes(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, int]:
    """Return how many bytes the archives have of those exports that the actor sees."""
    seen = await by_ids(actor, work, ids)
    statement = (
        select(Export.id, Blob.size_bytes)
        .join(Blob, Blob.id == Export.blob_id)
        .where(Export.id.in_(seen), Blob.size_bytes.is_not(None))
    )
    return {key: size or 0 for key, size in await work.session.execute(statement)}


async def archive(actor: Actor, work: Work, export_id: UUID) -> tuple[Export, Blob]:
    """Return an export and the blob of its archive.

    Raises:
        NotFound: there is none, it is another's, not made yet, or expired.
    """
    export = (await by_ids(actor, work, [export_id])).get(export_id)
    if export is None or export.state is not ExportState.READY or export.blob_id is None:
        raise NotFound()
    if export.expires_at is None or export.expires_at <= work.now:
        raise NotFound()
    blob = await work.session.get(Blob, export.blob_id)
    if blob is None:
        raise NotFound()
    return export, blob
