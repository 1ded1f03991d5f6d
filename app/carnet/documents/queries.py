"""Reads of documents. Every one passes `visible_to`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select

from carnet.access.deciding import Deciding
from carnet.access.filters import document_visible, document_visible_as
from carnet.access.queries import document_facts
from carnet.access.rules import Action, Decision, Role
from carnet.access.succession import is_current
from carnet.documents.tables import Document, DocumentCategory, DocumentContent, DocumentStatus
from carnet.errors import NotFound
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet.store.tables import Blob


def visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the one filter on documents; `carnet.access.rules.decide` says why."""
    return document_visible(actor, now, Document.__table__.c)


def visible_as(role: Role, now: datetime) -> ColumnElement[bool]:
    """Return the filter on documents that somebody in this role would see."""
    return document_visible_as(role, now, Document.__table__.c)


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Document]:
    """Return those of the documents that the actor sees."""
    statement = select(Document).where(Document.id.in_(ids), visible_to(actor, work.now))
    return {row.id: row for row in await work.session.scalars(statement)}


async def statuses_of(
    actor: Actor, work: Work, document_ids: Collection[UUID]
) -> dict[UUID, DocumentStatus]:
    """Return what each of the documents that the actor sees is to them: current, or former."""
    statement = select(Document.id, is_current(actor, work.now, Document.__table__.c)).where(
        Document.id.in_(document_ids), visible_to(actor, work.now)
    )
    return {
        id_: DocumentStatus.CURRENT if current else DocumentStatus.SUPERSEDED
        for id_, current in await work.session.execute(statement)
    }


async def contents_of(
    actor: Actor, work: Work, document_ids: Collection[UUID]
) -> dict[UUID, list[tuple[DocumentContent, Blob]]]:
    """Return the content parts of visible documents, each list by part."""
    statement = (
        select(DocumentContent, Blob)
        .join(Blob, Blob.id == DocumentContent.blob_id)
        .join(Document, Document.id == DocumentContent.document_id)
        .where(DocumentContent.document_id.in_(document_ids), visible_to(actor, work.now))
        .order_by(DocumentContent.document_id, DocumentContent.part)
    )
    parts: dict[UUID, list[tuple[DocumentContent, Blob]]] = defaultdict(list)
    for content, blob in await work.session.execute(statement):
        parts[content.document_id].append((content, blob))
    return parts


async def content(
    actor: Actor, work: Work, document_id: UUID, part: int
) -> tuple[DocumentContent, Blob]:
    """Return one content part of a document.

    Raises:
        NotFound: no such document or part, or not theirs to see.
    """
    statement = (
        select(DocumentContent, Blob)
        .join(Blob, Blob.id == DocumentContent.blob_id)
        .join(Document, Document.id == DocumentContent.document_id)
        .where(
            DocumentContent.document_id == document_id,
            DocumentContent.part == part,
            visible_to(actor, work.now),
        )
    )
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    return found


NEWEST = Order("documents.newest", Document.sort_at.desc(), Document.id.desc())
OLDEST = Order("documents.oldest", Document.sort_at, Document.id)
LATEST_DEPOSIT = Order("documents.deposited", Document.deposited_at.desc(), Document.id.desc())
TITLE = Order("documents.title", Document.title, Document.id)
VERSIONS = Order("documents.versions", Document.version.desc(), Document.id.desc())


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Which documents of a list are wanted; every criterion that is given must hold."""

    categories: tuple[DocumentCategory, ...] = ()
    type_codes: tuple[str, ...] = ()
    author: str | None = field(default=None, repr=False)  # part of an author's name
    title: str | None = field(default=None, repr=False)  # part of the title
    since: datetime | None = None  # by service start, else creation, else deposit
    until: datetime | None = None
    with_former: bool = False  # superseded versions too

    def criteria(self, actor: Actor, now: datetime) -> list[ColumnElement[bool]]:
        """Return the conditions for a WHERE."""
        wanted: list[ColumnElement[bool]] = []
        if not self.with_former:
            wanted.append(is_current(actor, now, Document.__table__.c))
        if self.categories:
            wanted.append(Document.category.in_(self.categories))
        if self.type_codes:
            wanted.append(Document.type_code.in_(self.type_codes))
        if self.author:
            wanted.append(Document.author_text.contains(self.author.lower(), autoescape=True))
        if self.title:
            wanted.append(Document.title.icontains(self.title, autoescape=True))
        if self.since is not None:
            wanted.append(Document.sort_at >= self.since)
        if self.until is not None:
            wanted.append(Document.sort_at < self.until)
        return wanted


async def pages(
    actor: Actor,
    work: Work,
    record_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    wanted: DocumentFilter,
) -> dict[UUID, Page[Document]]:
    """Return a page of documents for each record."""
    statement = select(Document).where(
        visible_to(actor, work.now), *wanted.criteria(actor, work.now)
    )
    return await paginate_many(
        work, statement, order, request, parent=Document.record_id, parents=record_ids
    )


async def counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID], wanted: DocumentFilter
) -> dict[UUID, int]:
    """Return how many of the documents the actor sees in each record."""
    statement = select(Document).where(
        visible_to(actor, work.now), *wanted.criteria(actor, work.now)
    )
    return await count_many(work, statement, parent=Document.record_id, parents=record_ids)


async def ids_visible_as(role: Role, work: Work, record_id: UUID) -> set[UUID]:
    """Return which documents of a record somebody in this role would see."""
    statement = select(Document.id).where(
        Document.record_id == record_id, visible_as(role, work.now)
    )
    return set(await work.session.scalars(statement))


async def version_pages(
    actor: Actor, work: Work, lineage_ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[Document]]:
    """Return a page of versions for each lineage."""
    statement = select(Document).where(visible_to(actor, work.now))
    return await paginate_many(
        work, statement, order, request, parent=Document.lineage_id, parents=lineage_ids
    )


async def version_counts(actor: Actor, work: Work, lineage_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many versions of each lineage the actor sees."""
    statement = select(Document).where(visible_to(actor, work.now))
    return await count_many(work, statement, parent=Document.lineage_id, parents=lineage_ids)


async def preview_pages(
    actor: Actor,
    work: Work,
    record_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    role: Role,
) -> dict[UUID, Page[Document]]:
    """Return a page of what somebody in this role would see, of what the actor sees."""
    statement = _previewed(actor, work, role)
    return await paginate_many(
        work, statement, order, request, parent=Document.record_id, parents=record_ids
    )


async def preview_counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID], role: Role
) -> dict[UUID, int]:
    """Return how many documents somebody in this role would see, of what the actor sees."""
    statement = _previewed(actor, work, role)
    return await count_many(work, statement, parent=Document.record_id, parents=record_ids)


def _previewed(actor: Actor, work: Work, role: Role) -> Select[Document]:
    return select(Document).where(
        is_current(actor, work.now, Document.__table__.c, role),
        visible_to(actor, work.now),
        visible_as(role, work.now),
    )


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an actor may do with a document that they see; ``rule`` lets them see it."""

    read: Decision
    mask: bool
    change: bool


async def permissions_of(
    actor: Actor, work: Work, document_ids: Collection[UUID]
) -> dict[UUID, Permissions]:
    """Return what the actor may do with each of the documents that they see."""
    rows = list(
        await work.session.scalars(
            select(Document).where(Document.id.in_(document_ids), visible_to(actor, work.now))
        )
    )
    deciding = await Deciding.on(actor, work, {row.record_id for row in rows})

    def of(row: Document) -> Permissions:
        facts = document_facts(row)
        read, mask, change = (
            deciding.decide(action, row.record_id, facts)
            for action in (Action.READ_DOCUMENT, Action.MASK_DOCUMENT, Action.CHANGE_DOCUMENT)
        )
        return Permissions(read, mask.is_allowed, change.is_allowed)

    return {row.id: of(row) for row in rows}
