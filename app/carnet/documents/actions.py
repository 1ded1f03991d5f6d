"""What people do with documents: deposit, replace, correct, mask, delete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from carnet.access.deciding import Deciding, Granted, require
from carnet.access.facts import DocumentFacts
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.queries import document_facts
from carnet.access.rules import Action
from carnet.documents.queries import content, visible_to
from carnet.documents.rules import TITLE_LIMIT, file_name, released_at
from carnet.documents.tables import (
    ContentRole,
    DepositorKind,
    Document,
    DocumentCategory,
    DocumentContent,
    DocumentStatus,
)
from carnet.errors import AccessDenied, Conflict, NotFound, ValidationFailed
from carnet.people.actor import Actor, Patient, Professional, actor_key
from carnet.people.identifiers import ID_NAT_PS
from carnet.people.tables import Professional as ProfessionalRow
from carnet.records.actions import lock_for
from carnet.records.queries import visible_to as record_visible_to
from carnet.records.tables import Record
from carnet.store.blobs import BlobStore
from carnet.store.database import Work
from carnet.store.tables import Blob
from carnet.values import Coding


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """What somebody says of a document; health data, so out of reprs.

    The last two are for professionals (R1111-53, TRE_A07).
    """

    title: str = field(repr=False)
    category: DocumentCategory
    type: Coding | None = field(default=None, repr=False)
    language: str | None = None
    service_started_at: datetime | None = None
    service_ended_at: datetime | None = None
    is_hidden_from_holder: bool = False
    is_hidden_from_representatives: bool = False

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
    facts = _facts(work, draft.checked())
    granted = await lock_for(actor, work, record_id, Action.DEPOSIT_DOCUMENT, facts)
    return await _store_version(actor, work, blobs, granted, blob_id, draft, None)


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
    former.revision += 1
    former.updated_at = work.now
    return await _store_version(actor, work, blobs, granted, blob_id, draft.checked(), former)


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
    _describe(document, draft.checked(), work)
    document.revision += 1
    await work.session.flush()
    await _journal(granted, JournalAction.CORRECT_DOCUMENT, document, work)
    return document


async def set_masked(actor: Actor, work: Work, document_id: UUID, masked: bool) -> Document:
    """Mask a document from professionals, or show it again (R1111-49).

    All versions are masked together: an older one says as much as the newest.
    """
    document, granted = await seen_document(actor, work, document_id, Action.MASK_DOCUMENT)
    changed = (
        update(Document)
        .where(Document.lineage_id == document.lineage_id, Document.is_masked != masked)
        .values(is_masked=masked, revision=Document.revision + 1, updated_at=work.now)
    )
    await work.session.execute(changed)
    await work.session.refresh(document)
    done = JournalAction.MASK_DOCUMENT if masked else JournalAction.UNMASK_DOCUMENT
    await _journal(granted, done, document, work)
    return document


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
    )
    await work.session.execute(withdrawn)
    await _journal(granted, JournalAction.DELETE_DOCUMENT, document, work)
    return document.id


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
        is_held=_is_held(document, work),
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
    facts = _facts(work, draft)
    decision = deciding.decide(Action.DEPOSIT_DOCUMENT, document.record_id, facts)
    if not decision.is_allowed:
        raise AccessDenied(decision.rule)


def _facts(work: Work, draft: DocumentDraft) -> DocumentFacts:
    """Return a document that is about to be deposited as what a decision is made from."""
    return DocumentFacts(
        id=UUID(int=0),
        status=DocumentStatus.CURRENT.value,
        category=draft.category.value,
        type_code=draft.type.code if draft.type else None,
        is_masked=False,
        hidden_from_holder_until=None,
        is_hidden_from_representatives=False,
        author_rpps=(),
        depositor=DepositorKind.HOLDER.value,
        depositor_account_id=None,
        deposited_at=work.now,
    )


async def _journal(granted: Granted, action: JournalAction, document: Document, work: Work) -> None:
    await granted.journal(
        action,
        ObjectKind.DOCUMENT,
        document.id,
        is_held=_is_held(document, work),
        details={"category": document.category.value},
    )


def _is_held(document: Document, work: Work) -> bool:
    until = document.hidden_from_holder_until
    return until is not None and until > work.now


@dataclass(frozen=True, slots=True)
class _Depositor:
    """Who deposits, as the document's row has it."""

    kind: DepositorKind
    account_id: UUID
    authors: list[dict[str, Any]] = field(default_factory=list, repr=False)
    author_text: str = field(default="", repr=False)
    author_rpps: list[str] = field(default_factory=list)


async def _depositor(actor: Actor, work: Work, granted: Granted) -> _Depositor:
    match actor:
        case Patient(account_id=account_id):
            kind = DepositorKind.DELEGATE if granted.is_for_another else DepositorKind.HOLDER
            return _Depositor(kind, account_id)
        case Professional(professional_id=id_, account_id=account_id):
            known = await work.session.get_one(ProfessionalRow, id_)
            author = {
                "familyName": known.family_name,
                "givenName": known.given_name,
                "identifier": {"system": ID_NAT_PS, "value": f"8{known.rpps}"},
            }
            return _Depositor(
                DepositorKind.PROFESSIONAL,
                account_id,
                [author],
                f"{known.given_name} {known.family_name}".lower(),
                [known.rpps],
            )
    raise AccessDenied("access.no-role")


async def _store_version(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    granted: Granted,
    blob_id: UUID,
    draft: DocumentDraft,
    former: Document | None,
) -> Document:
    by = await _depositor(actor, work, granted)
    hides = draft.is_hidden_from_holder or draft.is_hidden_from_representatives
    if hides and by.kind is not DepositorKind.PROFESSIONAL:
        raise ValidationFailed("Only a professional hides a document.", path=("description",))
    blob = await blobs.claim(work, actor_key(actor), blob_id)
    id_ = work.new_id()
    version = 1
    if former is not None:
        newest = select(func.max(Document.version)).where(Document.lineage_id == former.lineage_id)
        version = (await work.session.scalar(newest) or 0) + 1
    document = Document(
        id=id_,
        record_id=granted.record.id,
        lineage_id=former.lineage_id if former else id_,
        version=version,
        status=DocumentStatus.CURRENT,
        depositor=by.kind,
        depositor_account_id=by.account_id,
        unique_id=f"urn:uuid:{id_}",
        content_key=blob.sha256,
        replaces_unique_id=former.unique_id if former else None,
        confidentiality_codes=["N"],
        authors=by.authors,
        author_text=by.author_text,
        author_rpps=by.author_rpps,
        is_masked=former.is_masked if former else granted.record.settings.is_masked_by_default,
        hidden_from_holder_until=released_at(draft.is_hidden_from_holder, work.now),
        is_hidden_from_representatives=draft.is_hidden_from_representatives,
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
    done = JournalAction.REPLACE_DOCUMENT if former else JournalAction.DEPOSIT_DOCUMENT
    await _journal(granted, done, document, work)
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
