"""Publishers' deposits: idempotent, versioned, and the same whatever order they come in.

A replacement may arrive before what it replaces, and a deletion before what it deletes; the
state after all have arrived is that of the right order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.facts import RESULT_CATEGORIES, SettingsFacts
from carnet.access.queries import document_facts, settings
from carnet.access.rules import is_told_to_all
from carnet.documents.landed import Landed, Landing
from carnet.documents.rules import file_name, released_at
from carnet.documents.tables import (
    ContentRole,
    DepositorKind,
    Document,
    DocumentCategory,
    DocumentContent,
    DocumentStatus,
    DocumentWithdrawal,
)
from carnet.errors import Conflict
from carnet.records.doses import retract_doses
from carnet.records.facts import retract_entries
from carnet.store.database import Work
from carnet.values import Coding

ORPHAN = "ORPHAN_REPLACEMENT"
SAME_ID = "SAME_ID_NEW_CONTENT"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a document whose bytes are stored already."""

    blob_id: UUID
    media_type: str
    file_name: str | None = field(default=None, repr=False)
    claimed_size_bytes: int | None = None
    claimed_sha1: bytes | None = None


@dataclass(frozen=True, slots=True)
class Deposit:
    """A document as its publisher describes it; health data, so out of reprs."""

    record_id: UUID
    publisher_id: UUID
    unique_id: str
    content_key: bytes = field(repr=False)  # SHA-256 of what was deposited
    title: str = field(repr=False)
    category: DocumentCategory
    type: Coding | None = field(default=None, repr=False)
    set_id: str | None = None
    format_code: str | None = None
    language: str | None = None
    confidentiality_codes: tuple[str, ...] = ()
    practice_setting: Coding | None = field(default=None, repr=False)
    facility_type: Coding | None = field(default=None, repr=False)
    source_created_at: datetime | None = None
    service_started_at: datetime | None = None
    service_ended_at: datetime | None = None
    authors: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    author_rpps: tuple[str, ...] = ()
    author_text: str = field(default="", repr=False)
    replaces_unique_id: str | None = None
    is_superseded: bool = False
    is_masked: bool = False
    is_hidden_from_holder: bool = False
    is_hidden_from_representatives: bool = False
    flags: tuple[str, ...] = ()


async def find_deposit(
    work: Work, publisher_id: UUID, unique_id: str, content_key: bytes
) -> Document | None:
    """Return the version that already holds exactly this content, if any."""
    statement = select(Document).where(
        Document.publisher_id == publisher_id,
        Document.unique_id == unique_id,
        Document.content_key == content_key,
    )
    return (await work.session.scalars(statement)).one_or_none()


async def land(work: Work, deposit: Deposit, parts: Sequence[StoredPart]) -> Landed:
    """Store a deposit as a new document, or as a further version of one that stands.

    The caller holds the record's lock and has made sure that it may be fed.

    Raises:
        Conflict: the publisher deposited the same in another person's record.
    """
    same = await find_deposit(work, deposit.publisher_id, deposit.unique_id, deposit.content_key)
    if same is not None:
        if same.record_id != deposit.record_id:
            raise Conflict("The same document was deposited in another record.")
        renewed = await _renew(work, same, deposit)
        if deposit.is_superseded and same.status is DocumentStatus.CURRENT:
            same.status = DocumentStatus.SUPERSEDED
            await work.session.flush()
            await retract_facts(work, [same])
            return replace(renewed, landing=Landing.UPDATED)
        return renewed
    flags = set(deposit.flags)
    former = await _latest(work, deposit, deposit.unique_id)
    landing = Landing.CREATED
    if former is not None:
        flags.add(SAME_ID)
        landing = Landing.UPDATED
    elif deposit.replaces_unique_id:
        former = await _latest(work, deposit, deposit.replaces_unique_id)
        if former is None:
            flags.add(ORPHAN)
    later = await _replacement_of(work, deposit)
    document = _row(work, deposit, flags)
    chosen = (await settings(work, [deposit.record_id])).get(deposit.record_id)
    kin = [each for each in (former, later) if each is not None]
    if kin:  # the holder's decisions outlive a version, also one that came too early
        document.is_masked = any(each.is_masked for each in kin)
        is_hidden = any(each.is_hidden_from_representatives for each in (document, *kin))
        document.is_hidden_from_representatives = is_hidden
    elif chosen is not None and chosen.is_masked_by_default:
        document.is_masked = True
    if former is not None:
        document.lineage_id = former.lineage_id
        document.version = await _last_version(work, former.lineage_id) + 1
        if not deposit.is_superseded:  # what its source calls a former version replaces nothing
            of_lineage = Document.lineage_id == former.lineage_id
            is_current = Document.status == DocumentStatus.CURRENT
            facts = document_facts(document)
            is_told = is_told_to_all(chosen or SettingsFacts(), facts, work.now)
            await _end(work, DocumentStatus.SUPERSEDED, of_lineage, is_current, is_told=is_told)
    if later is not None and later.lineage_id != document.lineage_id:
        await _put_before(work, document, later, is_first=former is None)
    if await _is_withdrawn(work, deposit):
        document.status = DocumentStatus.WITHDRAWN
    work.session.add(document)
    await work.session.flush()
    work.session.add_all(_contents(work, document, parts))
    await work.session.flush()
    landed = Landed(document, landing)
    return await _decide_together(work, landed) if len(kin) == 2 else landed


async def withdraw(
    work: Work, record_id: UUID, publisher_id: UUID, unique_id: str
) -> tuple[list[UUID], Landing]:
    """Delete a publisher's document by its unique id, now or when it arrives.

    The caller holds the record's lock.

    Returns:
        The ids of all its versions that went, the newest first, and what the call did.
    """
    noted = await work.session.scalar(
        upsert(DocumentWithdrawal)
        .values(
            id=work.new_id(),
            record_id=record_id,
            publisher_id=publisher_id,
            unique_id=unique_id,
            withdrawn_at=work.now,
        )
        .on_conflict_do_nothing()
        .returning(DocumentWithdrawal.id)
    )
    documents = await _end(
        work,
        DocumentStatus.WITHDRAWN,
        Document.record_id == record_id,
        Document.publisher_id == publisher_id,
        Document.unique_id == unique_id,
        Document.status != DocumentStatus.WITHDRAWN,
    )
    landing = Landing.UPDATED if documents else Landing.DUPLICATE
    if noted is not None and not documents:
        landing = Landing.CREATED
    newest = sorted(documents, key=lambda document: document.version, reverse=True)
    return [document.id for document in newest], landing


async def retract_facts(work: Work, documents: Sequence[Document]) -> None:
    """Take what was read from these versions out of the profile: facts live with their source."""
    if not documents:
        return
    ids = [document.id for document in documents]
    await retract_entries(work, ids)
    for record_id in sorted({document.record_id for document in documents}):
        await retract_doses(work, record_id, ids)


async def _latest(work: Work, deposit: Deposit, unique_id: str) -> Document | None:
    """Return the newest version under a unique id: the publisher's own, in the same record."""
    statement = (
        select(Document)
        .where(
            Document.publisher_id == deposit.publisher_id,
            Document.unique_id == unique_id,
            Document.record_id == deposit.record_id,
        )
        .order_by(Document.version.desc())
        .limit(1)
    )
    return (await work.session.scalars(statement)).one_or_none()


async def _replacement_of(work: Work, deposit: Deposit) -> Document | None:
    """Return the version that came before what it replaces: the original is arriving now."""
    statement = (
        select(Document)
        .where(
            Document.publisher_id == deposit.publisher_id,
            Document.replaces_unique_id == deposit.unique_id,
            Document.record_id == deposit.record_id,
        )
        .order_by(Document.version)
        .limit(1)
    )
    return (await work.session.scalars(statement)).one_or_none()


async def _last_version(work: Work, lineage_id: UUID) -> int:
    statement = select(func.max(Document.version)).where(Document.lineage_id == lineage_id)
    return await work.session.scalar(statement) or 0


async def _end(
    work: Work, status: DocumentStatus, *which: ColumnElement[bool], is_told: bool = True
) -> list[Document]:
    """Make documents what is no longer current, and take back what was read from them.

    Where it ``is_told`` not to all who see them, they bear no trace of it.
    """
    ended = update(Document).where(*which).values(status=status)
    if is_told:
        ended = ended.values(revision=Document.revision + 1, updated_at=work.now)
    documents = list(await work.session.scalars(ended.returning(Document)))
    await retract_facts(work, documents)
    return documents


async def _put_before(work: Work, document: Document, later: Document, *, is_first: bool) -> None:
    """Put a late document before its replacement, which came first and began a lineage.

    Where the document itself replaces another, it joins the two lineages.
    """
    document.status = DocumentStatus.SUPERSEDED
    if is_first:
        document.lineage_id = later.lineage_id
        document.version = later.version
    moved = (
        update(Document)
        .where(Document.lineage_id == later.lineage_id, Document.version >= later.version)
        .values(
            lineage_id=document.lineage_id,
            version=Document.version - later.version + document.version + 1,
        )
    )
    await work.session.execute(moved)
    known = (
        update(Document)
        .where(Document.id == later.id)
        .values(flags=func.array_remove(Document.flags, ORPHAN), updated_at=work.now)
    )
    await work.session.execute(known)


async def _decide_together(work: Work, landed: Landed) -> Landed:
    """Let what was decided on either of two lineages hold for all that is one lineage now."""
    joining = landed.document
    hidden: tuple[UUID, ...] = ()
    masked: tuple[UUID, ...] = ()
    if joining.is_hidden_from_representatives:
        hidden = await _spread(work, joining, Document.is_hidden_from_representatives)
    if joining.is_masked:
        masked = await _spread(work, joining, Document.is_masked)
    return replace(landed, hidden=hidden, masked=masked)


async def _spread(
    work: Work, document: Document, column: InstrumentedAttribute[bool]
) -> tuple[UUID, ...]:
    """Make a lineage what the document is; returns the versions that were seen until then."""
    spread = (
        update(Document)
        .where(Document.lineage_id == document.lineage_id, ~column)
        .values({column: True})
        .returning(Document.id, Document.status)
    )
    rows = await work.session.execute(spread)
    return tuple(id_ for id_, status in rows if status is not DocumentStatus.WITHDRAWN)


async def _is_withdrawn(work: Work, deposit: Deposit) -> bool:
    statement = select(DocumentWithdrawal.id).where(
        DocumentWithdrawal.record_id == deposit.record_id,
        DocumentWithdrawal.publisher_id == deposit.publisher_id,
        DocumentWithdrawal.unique_id == deposit.unique_id,
    )
    return await work.session.scalar(statement) is not None


async def _renew(work: Work, document: Document, deposit: Deposit) -> Landed:
    """Take over metadata that changed although the content did not.

    Who acts for the holder may be kept from it, and is not let in: the holder may have hidden it.
    """
    fresh = _metadata(work, deposit)
    kept = {"hidden_from_holder_until", "is_masked", "sort_at"}  # the holder's and the clock's
    if document.is_hidden_from_representatives:
        kept.add("is_hidden_from_representatives")
    changed = {
        name: value
        for name, value in fresh.items()
        if name not in kept and getattr(document, name) != value
    }
    if not changed:
        return Landed(document, Landing.DUPLICATE)
    was_result = document.category.value in RESULT_CATEGORIES
    for name, value in changed.items():
        setattr(document, name, value)
    document.revision += 1
    document.updated_at = work.now
    await work.session.flush()
    is_taken = (
        "is_hidden_from_representatives" in changed
        and document.status is not DocumentStatus.WITHDRAWN
    )
    hidden = (document.id,) if is_taken else ()
    is_result_now = document.category.value in RESULT_CATEGORIES and not was_result
    return Landed(document, Landing.UPDATED, hidden=hidden, is_result_now=is_result_now)


def _metadata(work: Work, deposit: Deposit) -> dict[str, Any]:
    kind, practice, facility = deposit.type, deposit.practice_setting, deposit.facility_type
    return {
        "set_id": deposit.set_id,
        "category": deposit.category,
        "type_system": kind.system if kind else None,
        "type_code": kind.code if kind else None,
        "type_display": kind.display if kind else None,
        "format_code": deposit.format_code,
        "title": deposit.title,
        "language": deposit.language,
        "confidentiality_codes": list(deposit.confidentiality_codes),
        "practice_setting_code": practice.code if practice else None,
        "practice_setting_display": practice.display if practice else None,
        "facility_type_code": facility.code if facility else None,
        "facility_type_display": facility.display if facility else None,
        "source_created_at": deposit.source_created_at,
        "service_started_at": deposit.service_started_at,
        "service_ended_at": deposit.service_ended_at,
        "authors": list(deposit.authors),
        "author_rpps": list(deposit.author_rpps),
        "author_text": deposit.author_text,
        "is_masked": deposit.is_masked,
        "hidden_from_holder_until": released_at(deposit.is_hidden_from_holder, work.now),
        "is_hidden_from_representatives": deposit.is_hidden_from_representatives,
        "sort_at": deposit.service_started_at or deposit.source_created_at or work.now,
    }


def _row(work: Work, deposit: Deposit, flags: set[str]) -> Document:
    id_ = work.new_id()
    status = DocumentStatus.SUPERSEDED if deposit.is_superseded else DocumentStatus.CURRENT
    return Document(
        id=id_,
        record_id=deposit.record_id,
        lineage_id=id_,
        version=1,
        status=status,
        depositor=DepositorKind.PUBLISHER,
        publisher_id=deposit.publisher_id,
        unique_id=deposit.unique_id,
        content_key=deposit.content_key,
        replaces_unique_id=deposit.replaces_unique_id,
        flags=sorted(flags),
        deposited_at=work.now,
        updated_at=work.now,
        **_metadata(work, deposit),
    )


def _contents(work: Work, document: Document, parts: Sequence[StoredPart]) -> list[DocumentContent]:
    return [
        DocumentContent(
            id=work.new_id(),
            document_id=document.id,
            part=number,
            role=ContentRole.EMBEDDED if number else ContentRole.ORIGINAL,
            blob_id=part.blob_id,
            media_type=part.media_type,
            file_name=part.file_name or file_name(document.title, part.media_type, number),
            claimed_size_bytes=part.claimed_size_bytes,
            claimed_sha1=part.claimed_sha1,
        )
        for number, part in enumerate(parts)
    ]
