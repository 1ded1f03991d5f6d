"""What people do with documents: deposit, replace, correct, mask, delete."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select, update

from carnet.access.deciding import Deciding, Granted, require
from carnet.access.delays import lost_by_category
from carnet.access.events import tell_delayed
from carnet.access.facts import RESULT_CATEGORIES
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.journal_tables import JournalEntry
from carnet.access.queries import document_facts
from carnet.access.rules import Action, is_told_to_all
from carnet.access.volume import reached
from carnet.access.volume_rules import Pace
from carnet.documents.queries import content, visible_to
from carnet.documents.tables import Document, DocumentContent, DocumentStatus
from carnet.documents.versions import (
    DocumentDraft,
    describe,
    facts_of,
    is_held,
    store_version,
    write_entry,
)
from carnet.errors import AccessDenied, Conflict, NotFound
from carnet.people.actor import Actor, Patient, Professional
from carnet.records.actions import lock_for
from carnet.records.queries import visible_to as record_visible_to
from carnet.records.tables import ImmunizationSource, ProfileEntry, Record
from carnet.store.blobs import BlobStore
from carnet.store.database import Work
from carnet.store.tables import Blob


async def deposit(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    record_id: UUID,
    blob_id: UUID,
    draft: DocumentDraft,
) -> Document:
    """Make an uploaded blob a document of a record.

    Raises:
        NotFound: the record or the blob does not exist or is not theirs.
        AccessDenied: the actor may not deposit this type of document.
        RecordClosed: the record takes nothing.
        ValidationFailed: the draft cannot be stored.
    """
    seen = select(Record.id).where(Record.id == record_id, record_visible_to(actor, work.now))
    if await work.session.scalar(seen) is None:
        raise NotFound()
    facts = facts_of(work, draft.checked())
    granted = await lock_for(actor, work, record_id, Action.DEPOSIT_DOCUMENT, facts)
    return await store_version(actor, work, blobs, granted, blob_id, draft, None)


async def replace(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    document_id: UUID,
    blob_id: UUID,
    draft: DocumentDraft,
) -> Document:
    """Put a new version in the place of one that the actor deposited; the old one is kept.

    Raises:
        NotFound, AccessDenied, RecordClosed, ValidationFailed: as in `deposit`, `own_document`.
        Conflict: it was replaced already.
    """
    former, granted = await own_document(actor, work, document_id)
    await _check_type(actor, work, former, draft)
    if former.status is not DocumentStatus.CURRENT:
        raise Conflict("Only the current version can be replaced.")
    former.status = DocumentStatus.SUPERSEDED
    document = await store_version(actor, work, blobs, granted, blob_id, draft.checked(), former)
    if is_told_to_all(granted.record.settings, document_facts(document), work.now):
        former.revision += 1
        former.updated_at = work.now
    return document


async def correct(
    actor: Actor, work: Work, document_id: UUID, draft: DocumentDraft, revision: int
) -> Document:
    """Change the metadata of a document that the actor deposited.

    Args:
        revision: the revision that the actor saw.

    Raises:
        Conflict: it changed since.
    """
    document, granted = await own_document(actor, work, document_id)
    if document.revision != revision:
        raise Conflict()
    await _check_type(actor, work, document, draft)
    was_result = document.category.value in RESULT_CATEGORIES
    describe(document, draft.checked(), work)
    document.revision += 1
    await work.session.flush()
    await write_entry(granted, JournalAction.CORRECT_DOCUMENT, document, work)
    if not was_result:
        lost = await lost_by_category(work, document.record_id, [document.id])
        await tell_delayed(work, document.record_id, lost)
    return document


async def set_masked(actor: Actor, work: Work, document_id: UUID, masked: bool) -> Document:
    """Mask a document from professionals, or show it again (R1111-49).

    All versions are masked together: an older one says as much as the newest. What is as it
    should be stays as it is.
    """
    document, granted = await seen_document(actor, work, document_id, Action.MASK_DOCUMENT)
    changed = (
        update(Document)
        .where(Document.lineage_id == document.lineage_id, Document.is_masked != masked)
        .values(is_masked=masked, revision=Document.revision + 1, updated_at=work.now)
        .returning(Document.id)
    )
    ids = list(await work.session.scalars(changed))
    if ids:  # else who never saw it would be told that it went
        await work.session.refresh(document)
        done = JournalAction.MASK_DOCUMENT if masked else JournalAction.UNMASK_DOCUMENT
        await write_entry(granted, done, document, work, ids)
    return document


async def release(actor: Actor, work: Work, document_id: UUID) -> Document:
    """Show a document to its holder before its time: the announcement took place (R1111-53).

    All versions are shown together. One that is not hidden stays as it is.

    Raises:
        AccessDenied: the actor is not who deposited it.
    """
    document, granted = await own_document(actor, work, document_id)
    hidden = (
        Document.lineage_id == document.lineage_id,
        Document.hidden_from_holder_until > work.now,
    )
    shown = (
        update(Document)
        .where(*hidden)
        .values(
            hidden_from_holder_until=work.now,
            released_at=work.now,
            revision=Document.revision + 1,
            updated_at=work.now,
        )
        .returning(Document.id)
    )
    released = list(await work.session.scalars(shown))
    if released:
        for table in (ProfileEntry, ImmunizationSource):
            await work.session.execute(
                update(table)
                .where(table.source_document_id.in_(released))
                .values(hidden_from_holder_until=work.now)
            )
        await work.session.refresh(document)
        await write_entry(granted, JournalAction.RELEASE_DOCUMENT, document, work, released)
    return document


async def hide_from_representatives(
    actor: Actor, work: Work, document_id: UUID, hidden: bool
) -> Document:
    """Hide a document from who acts for the holder, or show it to them again: a minor's secret.

    What the holder hides is hidden until they show it, also where it was hidden already; that is
    written down for them, and told to nobody.

    Raises:
        AccessDenied: the actor is neither the holder nor the professional who deposited it; or is
            that professional, and the holder hid it.
    """
    action = Action.CHANGE_DOCUMENT if isinstance(actor, Professional) else Action.MASK_DOCUMENT
    document, granted = await seen_document(actor, work, document_id, action)
    if granted.is_for_another:
        raise AccessDenied("access.holder-only", "Only the holder, or a professional, does this.")
    stands = await _hid_by_holder(work, document)
    if isinstance(actor, Professional) and not hidden and stands:
        raise AccessDenied("access.holder-only", "The holder hid it, and shows it again.")
    changed = (
        update(Document)
        .where(
            Document.lineage_id == document.lineage_id,
            Document.is_hidden_from_representatives != hidden,
        )
        .values(
            is_hidden_from_representatives=hidden,
            revision=Document.revision + 1,
            updated_at=work.now,
        )
        .returning(Document.id)
    )
    ids = list(await work.session.scalars(changed))
    if ids:
        await work.session.refresh(document)
        done = JournalAction.HIDE_DOCUMENT if hidden else JournalAction.RELEASE_DOCUMENT
        await write_entry(granted, done, document, work, ids)
    elif hidden and isinstance(actor, Patient) and not stands:
        await write_entry(granted, JournalAction.HIDE_DOCUMENT, document, work, is_told=False)
    return document


async def _hid_by_holder(work: Work, document: Document) -> bool:
    """Tell whether the holder hid a document, in any version, and has not shown it since."""
    versions = select(Document.id).where(Document.lineage_id == document.lineage_id)
    decided = (
        select(JournalEntry.action)
        .where(
            JournalEntry.record_id == document.record_id,
            JournalEntry.actor_kind == Patient.kind,
            JournalEntry.action.in_((JournalAction.HIDE_DOCUMENT, JournalAction.RELEASE_DOCUMENT)),
            JournalEntry.object_ids.overlap(list(await work.session.scalars(versions))),
        )
        .order_by(JournalEntry.at.desc(), JournalEntry.number.desc())
        .limit(1)
    )
    return await work.session.scalar(decided) == JournalAction.HIDE_DOCUMENT


async def remove(actor: Actor, work: Work, document_id: UUID) -> UUID:
    """Delete a document that the actor deposited, all its versions and their content.

    Returns:
        The id of the document.

    Raises:
        AccessDenied: somebody else deposited it; it can be masked instead.
    """
    document, granted = await own_document(actor, work, document_id)
    lineage = select(Document.id).where(Document.lineage_id == document.lineage_id)
    blob_ids = list(
        await work.session.scalars(
            delete(DocumentContent)
            .where(DocumentContent.document_id.in_(lineage))
            .returning(DocumentContent.blob_id)
        )
    )
    await BlobStore.release(work, blob_ids)
    withdrawn = (
        update(Document)
        .where(Document.lineage_id == document.lineage_id)
        .values(
            status=DocumentStatus.WITHDRAWN, revision=Document.revision + 1, updated_at=work.now
        )
        .returning(Document.id)
    )
    ids = list(await work.session.scalars(withdrawn))
    await write_entry(granted, JournalAction.DELETE_DOCUMENT, document, work, ids)
    return document.id


async def reach_content(actor: Actor, work: Work, document_id: UUID, part: int) -> Pace:
    """Count the record whose content is about to be read, and return what follows.

    Raises:
        NotFound: no such document or part, or not theirs to see.
    """
    await content(actor, work, document_id, part)
    document = await work.session.get_one(Document, document_id)
    granted = await require(
        actor, work, document.record_id, Action.READ_DOCUMENT, document_facts(document)
    )
    is_emergency = granted.decision.is_emergency
    return await reached(actor, work, [document.record_id], is_emergency=is_emergency)


async def open_content(
    actor: Actor, work: Work, document_id: UUID, part: int
) -> tuple[DocumentContent, Blob]:
    """Return one content part of a document, about to be read, and write that down.

    Raises:
        NotFound: no such document or part, or not theirs to see.
    """
    found, blob = await content(actor, work, document_id, part)
    document = await work.session.get_one(Document, document_id)
    granted = await require(
        actor, work, document.record_id, Action.READ_DOCUMENT, document_facts(document)
    )
    await granted.journal(
        JournalAction.READ_CONTENT,
        ObjectKind.DOCUMENT,
        document_id,
        is_held=is_held(document, work),
        details={"part": str(part)},
    )
    return found, blob


async def seen_document(
    actor: Actor, work: Work, document_id: UUID, action: Action
) -> tuple[Document, Granted]:
    """Return a document that the actor may do something with, locked, and what allows it.

    Raises:
        NotFound: it does not exist or is not theirs to see.
        AccessDenied: it is theirs to see, and they may not do this.
        RecordClosed: the record takes nothing.
    """
    seen = Document.id == document_id, visible_to(actor, work.now)
    found = await work.session.scalar(select(Document).where(*seen))
    if found is None:
        raise NotFound()
    # The record's lock comes first, as in intake: no deadlock.
    granted = await lock_for(actor, work, found.record_id, action, document_facts(found))
    statement = (
        select(Document)
        .where(*seen)
        .with_for_update(of=Document)
        .execution_options(populate_existing=True)
    )
    document = (await work.session.scalars(statement)).one_or_none()
    if document is None:
        raise NotFound()
    return document, granted


async def own_document(actor: Actor, work: Work, document_id: UUID) -> tuple[Document, Granted]:
    """Return a document that the actor deposited, locked, and what allows to change it.

    Raises:
        NotFound: it does not exist or is not theirs to see.
        AccessDenied: somebody else deposited it.
    """
    return await seen_document(actor, work, document_id, Action.CHANGE_DOCUMENT)


async def _check_type(actor: Actor, work: Work, document: Document, draft: DocumentDraft) -> None:
    """Refuse a type that the actor might not deposit, for a document of theirs to become."""
    if document.type_code == (draft.type.code if draft.type else None):
        return
    deciding = await Deciding.on(actor, work, [document.record_id])
    decision = deciding.decide(Action.DEPOSIT_DOCUMENT, document.record_id, facts_of(work, draft))
    if not decision.is_allowed:
        raise AccessDenied(decision.rule)
