"""Versions of documents as people deposit them: the draft, who deposits, and the rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from carnet.access.deciding import Granted
from carnet.access.facts import DocumentFacts
from carnet.access.journal import JournalAction, ObjectKind
from carnet.documents.rules import TITLE_LIMIT, file_name, released_at
from carnet.documents.tables import (
    ContentRole,
    DepositorKind,
    Document,
    DocumentCategory,
    DocumentContent,
    DocumentStatus,
)
from carnet.errors import AccessDenied, ValidationFailed
from carnet.people.actor import Actor, Patient, Professional, actor_key
from carnet.people.identifiers import ID_NAT_PS
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.blobs import BlobStore, is_sealed_file
from carnet.store.database import Work
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


def facts_of(work: Work, draft: DocumentDraft) -> DocumentFacts:
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


async def write_entry(
    granted: Granted,
    action: JournalAction,
    document: Document,
    work: Work,
    version_ids: Collection[UUID] = (),
    *,
    is_told: bool = True,
) -> None:
    """Write what was done with a document, or several of its versions, into the journal.

    Versions that their holder may not know of yet have an entry of their own: of one entry for all
    the holder would see nothing but its number's gap.
    """
    ids = set(version_ids) or {document.id}
    held = select(Document.id).where(
        Document.id.in_(ids), Document.hidden_from_holder_until > work.now
    )
    unknown = set(await work.session.scalars(held))
    for kin, is_unknown in ((ids - unknown, False), (unknown, True)):
        if kin:
            await granted.journal(
                action,
                ObjectKind.DOCUMENT,
                *sorted(kin),
                is_held=is_unknown,
                is_told=is_told,
                details={"category": document.category.value},
            )


def is_held(document: Document, work: Work) -> bool:
    """Tell whether the holder may not know of the document yet."""
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


async def store_version(
    actor: Actor,
    work: Work,
    blobs: BlobStore,
    granted: Granted,
    blob_id: UUID,
    draft: DocumentDraft,
    former: Document | None,
) -> Document:
    """Store an uploaded blob as a document, or as the next version of one.

    Raises:
        AccessDenied: the actor deposits nothing.
        NotFound: the blob is not the actor's.
        ValidationFailed: it is hidden, and the actor is no professional; or it is a file sealed for
            a message, which nobody who reads the record could open.
    """
    by = await _depositor(actor, work, granted)
    hides = draft.is_hidden_from_holder or draft.is_hidden_from_representatives
    if hides and by.kind is not DepositorKind.PROFESSIONAL:
        raise ValidationFailed("Only a professional hides a document.", path=("description",))
    blob = await blobs.claim(work, actor_key(actor), blob_id)
    if await is_sealed_file(blobs, blob):
        raise ValidationFailed("A file sealed for a message is no document.", path=("blob_id",))
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
        is_hidden_from_representatives=draft.is_hidden_from_representatives
        or (former is not None and former.is_hidden_from_representatives),
        flags=[],
        deposited_at=work.now,
    )
    describe(document, draft, work)
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
    await write_entry(granted, done, document, work)
    return document


def describe(document: Document, draft: DocumentDraft, work: Work) -> None:
    """Give a document the metadata of a draft."""
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
