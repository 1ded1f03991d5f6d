"""Events of documents, and the subscription to those of one record."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry

from carnet.access.deciding import standing
from carnet.access.events import DocumentEventKind
from carnet.access.journal import JournalAction
from carnet.access.rules import Action
from carnet.documents import following, queries
from carnet.errors import NotFound
from carnet.people.actor import Actor, Patient, Professional
from carnet.records import queries as record_queries
from carnet.store.events import LoggedEvent
from carnet_graphql.context import Context, Info
from carnet_graphql.documents import Document
from carnet_graphql.node import GlobalId, read_id, write_id
from carnet_graphql.records import Record
from carnet_graphql.subscriptions.topic import AfterEvent, CaughtUp, Event, Follow, Topic

KINDS = {kind.value: kind for kind in DocumentEventKind}
_ONLY_TAKING = {
    DocumentEventKind.DELAYED.value,
    DocumentEventKind.SHUT.value,
    DocumentEventKind.CONFINED.value,
}


@strawberry.interface(description="Something that happened in a record.")
class RecordEvent(Event):
    """Base of events of records."""

    event_id: strawberry.ID = strawberry.field(
        description="The event's own id, the same in every subscription that tells it."
    )
    at: datetime = strawberry.field(description="When it happened.")
    record_id: strawberry.ID = strawberry.field(description="Id of the record.")


@strawberry.type(description="A document came into the record, or came into your sight.")
class DocumentDeposited(RecordEvent):
    """A new document."""

    document: Document = strawberry.field(description="The document, as it is now.")


@strawberry.type(description="A new version took a document's place.")
class DocumentReplaced(RecordEvent):
    """A new version."""

    document: Document = strawberry.field(
        description="The new version, as it is now; its `versions` hold the one it replaced."
    )


@strawberry.type(description="Something about a document changed, such as its title or a mask.")
class DocumentChanged(RecordEvent):
    """A changed document."""

    document: Document = strawberry.field(description="The document, as it is now.")


@strawberry.type(
    description="A document is no longer there for you: deleted, or hidden from you. Forget it."
)
class DocumentRemoved(RecordEvent):
    """A document that went."""

    document_id: strawberry.ID = strawberry.field(description="Id of the document.")


DocumentEvent = Annotated[
    CaughtUp | DocumentDeposited | DocumentReplaced | DocumentChanged | DocumentRemoved,
    strawberry.union("DocumentEvent", description="What happened to the documents of a record."),
]


@dataclass(frozen=True, slots=True)
class DocumentTopic(Topic):
    """The documents of one record; the stream is the record's."""

    kind: ClassVar[str] = "documentEvents"

    async def standing(self, context: Context) -> datetime | None:
        """Return until when the actor may see the record."""
        async with context.database.read() as work:
            return await standing(context.actor, work, self.stream_id, Action.SEE_RECORD)

    async def open(self, context: Context) -> None:
        """Read the record."""
        if await context.load(record_queries.by_ids, self.stream_id) is None:
            raise NotFound()

    async def present(self, context: Context, rows: Sequence[Any]) -> list[Event | None]:
        """Return the events of documents that the actor sees, or saw until then."""
        return await present_documents(self, context, rows)

    def told(self, rows: Sequence[Any]) -> set[tuple[UUID, JournalAction]]:
        """Return the reads of documents."""
        return documents_told(rows)


def documents_told(rows: Sequence[LoggedEvent]) -> set[tuple[UUID, JournalAction]]:
    """Return the reads that events of documents consist in: of a document and its versions."""
    records = {row.record_id for row in rows if row.kind in KINDS and row.record_id is not None}
    return {(record_id, JournalAction.READ_DOCUMENT) for record_id in records}


async def present_documents(
    topic: Topic, context: Context, rows: Sequence[LoggedEvent]
) -> list[Event | None]:
    """Return each row that tells of a document as its event, None for the others."""
    # What only takes something away shows it to nobody, so it is read for nobody.
    showing = KINDS.keys() - _ONLY_TAKING
    ids = list(dict.fromkeys(row.subject_id for row in rows if row.kind in showing))
    loaded = await context.load_many(queries.by_ids, ids) if ids else []
    seen = {document.id: document for document in loaded if document is not None}
    keys = [
        (row.subject_id, KINDS[row.kind], row.at)
        for row in rows
        if row.kind in KINDS and row.subject_id not in seen
    ]
    gone: dict[following.Key, UUID] = {}
    if keys:
        async with context.database.read() as work:
            gone = await following.taken_away(context.actor, work, keys)
    events: list[Event | None] = []
    for row in rows:
        kind = KINDS.get(row.kind)
        if kind is None:
            events.append(None)
            continue
        document, key = seen.get(row.subject_id), (row.subject_id, kind, row.at)
        is_seen = document is not None and row.kind in showing
        if not is_seen and key not in gone:
            events.append(None)
            continue
        shared: dict[str, Any] = {
            "cursor": topic.cursor(context, row.number, row.id),
            "event_id": strawberry.ID(str(row.id)),
            "at": row.at,
        }
        if document is None:
            record_id = write_id(Record, gone[key])
            document_id = write_id(Document, row.subject_id)
            events.append(DocumentRemoved(**shared, record_id=record_id, document_id=document_id))
        else:
            record_id = write_id(Record, document.record_id)
            made = _made(kind, context.actor, document.version)
            events.append(made(**shared, record_id=record_id, document=Document.of(document)))
    return events


def _made(kind: DocumentEventKind, actor: Actor, version: int) -> Any:
    """Return as what somebody is told of a document that they see."""
    match kind:
        case DocumentEventKind.DEPOSITED:
            return DocumentDeposited
        case DocumentEventKind.REPLACED:
            return DocumentReplaced
        # What was hidden from the holder's side comes into their sight, what was masked into a
        # professional's; the others saw it all the time.
        case DocumentEventKind.RELEASED if isinstance(actor, Patient):
            return DocumentReplaced if version > 1 else DocumentDeposited
        case DocumentEventKind.UNMASKED if isinstance(actor, Professional):
            return DocumentDeposited
    return DocumentChanged


@strawberry.type
class DocumentSubscription:
    """Subscription to a record's documents."""

    @strawberry.subscription(
        description="What happens to the documents of a record that you see. It ends with"
        " ACCESS_ENDED when you see the record no more."
    )
    async def document_events(
        self, info: Info, record: GlobalId, after: AfterEvent = strawberry.UNSET
    ) -> AsyncGenerator[DocumentEvent, None]:
        """Return what to follow."""
        topic = DocumentTopic(read_id(record, Record, "record"))
        return Follow.of(topic, after)  # type: ignore[return-value]
