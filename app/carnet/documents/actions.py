"""What a holder does with documents: deposit, replace, correct, mask, delete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update

from carnet.documents.queries import visible_to
from carnet.documents.rules import TITLE_LIMIT, file_name
from carnet.documents.tables import (
    ContentRole,
    DepositorKind,
    Document,
    DocumentCategory,
    DocumentContent,
    DocumentStatus,
)
from carnet.errors import AccessDenied, Conflict, NotFound, ValidationFailed
from carnet.people.actor import Actor, Patient, actor_key
from carnet.records.actions import own_record
from carnet.store.blobs import BlobStore
from carnet.store.database import Work
from carnet.values import Coding


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """What a holder says of a document; health data, so out of reprs."""

    title: str = field(repr=False)
    category: DocumentCategory
    type: Coding | None = field(default=None, repr=False)
    language: str | None = None
    service_started_at: datetime | None = None
    service_ended_at: datetime | None = None

    def checked(self) -> DocumentDraft:
        """Return the draft itself when it can be stored.

        Raises:
            ValidationFailed: ``path`` names the field that is wrong.
        """
        if not self.title.strip() or len(self.title) > TITLE_LIMIT:
            raise ValidationFailed(f"A title has 1 to {TITLE_LIMIT} characters.", path=("title",))
        start, end = self.service_started_at, self.service_ended_at
        if start and end and end < start:
            raise ValidationFailed("The end is before the start.", path=("serviceEndedAt",))
        return self


async def deposit(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    record_id: UUID,
    blob_id: UUID,
    draft: DocumentDraft,
) -> Document:
    """Make an uploaded blob a document of the actor's own record.

    Raises:
        NotFound: the record or the blob does not exist or is not theirs.
        RecordClosed: the record takes nothing.
        ValidationFailed: the draft cannot be stored.
    """
    record = await own_record(actor, work, record_id)
    return await _store_version(actor, work, blobs, record.id, blob_id, draft.checked(), None)


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
    former = await own_document(actor, work, document_id)
    if former.status is not DocumentStatus.CURRENT:
        raise Conflict("Only the current version can be replaced.")
    former.status = DocumentStatus.SUPERSEDED
    former.revision += 1
    former.updated_at = work.now
    return await _store_version(
        actor, work, blobs, former.record_id, blob_id, draft.checked(), former
    )


async def correct(
    actor: Actor, work: Work, document_id: UUID, draft: DocumentDraft, revision: int
) -> Document:
    """Change the metadata of a document that the actor deposited.

    Args:
        revision: the revision that the actor saw.

    Raises:
        Conflict: it changed since.
    """
    document = await own_document(actor, work, document_id)
    if document.revision != revision:
        raise Conflict()
    _describe(document, draft.checked(), work)
    document.revision += 1
    await work.session.flush()
    return document


async def set_masked(actor: Actor, work: Work, document_id: UUID, masked: bool) -> Document:
    """Mask a document from professionals, or show it again (R1111-49).

    All versions are masked together: an older one says as much as the newest.
    """
    document = await seen_document(actor, work, document_id)
    if not isinstance(actor, Patient):
        raise AccessDenied("documents.only-holder-masks", "Only the holder masks documents.")
    changed = (
        update(Document)
        .where(Document.lineage_id == document.lineage_id, Document.is_masked != masked)
        .values(is_masked=masked, revision=Document.revision + 1, updated_at=work.now)
    )
    await work.session.execute(changed)
    await work.session.refresh(document)
    return document


async def remove(actor: Actor, work: Work, document_id: UUID) -> UUID:
    """Delete a document that the actor deposited, all its versions and their content.

    Returns:
        The id of the document.

    Raises:
        AccessDenied: somebody else deposited it; it can be masked instead.
    """
    document = await own_document(actor, work, document_id)
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
    )
    await work.session.execute(withdrawn)
    return document.id


async def seen_document(actor: Actor, work: Work, document_id: UUID) -> Document:
    """Return a document that the actor sees, locked, in a record that takes changes.

    Raises:
        NotFound: it does not exist or is not theirs to see.
        RecordClosed: the record takes nothing.
    """
    seen = Document.id == document_id, visible_to(actor, work.now)
    record_id = await work.session.scalar(select(Document.record_id).where(*seen))
    if record_id is None:
        raise NotFound()
    await own_record(actor, work, record_id)  # its lock comes first, as in intake: no deadlock
    statement = (
        select(Document)
        .where(*seen)
        .with_for_update(of=Document)
        .execution_options(populate_existing=True)
    )
    document = (await work.session.scalars(statement)).one_or_none()
    if document is None:
        raise NotFound()
    return document


async def own_document(actor: Actor, work: Work, document_id: UUID) -> Document:
    """Return a document that the actor deposited, locked.

    Raises:
        NotFound: it does not exist or is not theirs to see.
        AccessDenied: somebody else deposited it.
    """
    document = await seen_document(actor, work, document_id)
    match actor:
        case Patient(account_id=account_id) if document.depositor_account_id == account_id:
            return document
    raise AccessDenied(
        "documents.only-depositor-changes", "Only who deposited a document changes or deletes it."
    )


async def _store_version(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    record_id: UUID,
    blob_id: UUID,
    draft: DocumentDraft,
    former: Document | None,
) -> Document:
    if not isinstance(actor, Patient):
        raise AccessDenied("documents.only-holder-deposits")
    blob = await blobs.claim(work, actor_key(actor), blob_id)
    id_ = work.new_id()
    version = 1
    if former is not None:
        newest = select(func.max(Document.version)).where(Document.lineage_id == former.lineage_id)
        version = (await work.session.scalar(newest) or 0) + 1
    document = Document(
        id=id_,
        record_id=record_id,
        lineage_id=former.lineage_id if former else id_,
        version=version,
        status=DocumentStatus.CURRENT,
        depositor=DepositorKind.HOLDER,
        depositor_account_id=actor.account_id,
        unique_id=f"urn:uuid:{id_}",
        content_key=blob.sha256,
        replaces_unique_id=former.unique_id if former else None,
        confidentiality_codes=["N"],
        authors=[],
        author_text="",
        is_masked=former.is_masked if former else False,
        flags=[],
        deposited_at=work.now,
    )
    _describe(document, draft, work)
    work.session.add(document)
    await work.session.flush()
    work.session.add(
        DocumentContent(
            id=work.new_id(),
            document_id=id_,
            part=0,
            role=ContentRole.ORIGINAL,
            blob_id=blob.id,
            media_type=blob.media_type,
            file_name=file_name(draft.title, blob.media_type),
        )
    )
    await work.session.flush()
    return document


def _describe(document: Document, draft: DocumentDraft, work: Work) -> None:
    document.title = draft.title
    document.category = draft.category
    document.type_system = draft.type.system if draft.type else None
    document.type_code = draft.type.code if draft.type else None
    document.type_display = draft.type.display if draft.type else None
    document.language = draft.language
    document.service_started_at = draft.service_started_at
    document.service_ended_at = draft.service_ended_at
    document.sort_at = draft.service_started_at or document.deposited_at
    document.updated_at = work.now
