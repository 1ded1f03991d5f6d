"""What a holder does with documents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from carnet.documents import actions
from carnet.documents.versions import DocumentDraft
from carnet.store.database import Work
from carnet_graphql.codings import CodingInput
from carnet_graphql.context import Info
from carnet_graphql.documents import Document, DocumentCategory
from carnet_graphql.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    RecordClosed,
    Unauthenticated,
    ValidationFailed,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import read_id, require_node
from carnet_graphql.records import Record


@strawberry.input(description="What a holder says of a document.")
class DocumentDescriptionInput:
    """See `carnet.documents.DocumentDraft`."""

    title: str = strawberry.field(description="Title, 1 to 500 characters.")
    category: DocumentCategory = strawberry.field(description="The folder to put it in.")
    type: CodingInput | None = strawberry.field(
        default=None, description="What kind of document it is."
    )
    language: str | None = strawberry.field(
        default=None, description="Language of the content, such as fr-FR."
    )
    service_started_at: datetime | None = strawberry.field(
        default=None, description="When the care that it tells of began."
    )
    service_ended_at: datetime | None = strawberry.field(
        default=None, description="When the care that it tells of ended."
    )
    is_hidden_from_holder: bool = strawberry.field(
        default=False,
        description="Professionals only: hide it until an announcement consultation, at most a"
        " month.",
    )
    is_hidden_from_representatives: bool = strawberry.field(
        default=False, description="Professionals only: hide it from who acts for the holder."
    )

    def value(self) -> DocumentDraft:
        """Return the input as the area's draft."""
        return DocumentDraft(
            title=self.title,
            category=self.category,
            type=self.type.value() if self.type else None,
            language=(self.language or "")[:35] or None,
            service_started_at=self.service_started_at,
            service_ended_at=self.service_ended_at,
            is_hidden_from_holder=self.is_hidden_from_holder,
            is_hidden_from_representatives=self.is_hidden_from_representatives,
        )


@strawberry.input(description="A new document of your record.")
class AddDocumentInput:
    """Input of `addDocument`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    blob_id: UUID = strawberry.field(description="What `POST /blobs` answered.")
    description: DocumentDescriptionInput = strawberry.field(description="What it is.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="A new version of a document that you deposited.")
class ReplaceDocumentInput:
    """Input of `replaceDocument`."""

    document_id: strawberry.ID = strawberry.field(description="The current version.")
    blob_id: UUID = strawberry.field(description="What `POST /blobs` answered.")
    description: DocumentDescriptionInput = strawberry.field(description="What it is now.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Other metadata for a document that you deposited.")
class CorrectDocumentInput:
    """Input of `correctDocument`."""

    document_id: strawberry.ID = strawberry.field(description="The document.")
    revision: int = strawberry.field(description="The revision that you saw.")
    description: DocumentDescriptionInput = strawberry.field(description="What it should say.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Whether professionals see a document.")
class MaskDocumentInput:
    """Input of `maskDocument`."""

    document_id: strawberry.ID = strawberry.field(description="The document, any version.")
    masked: bool = strawberry.field(
        default=True, description="True masks it from professionals, false shows it again."
    )
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which document to delete.")
class DeleteDocumentInput:
    """Input of `deleteDocument`."""

    document_id: strawberry.ID = strawberry.field(description="A document that you deposited.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Which document to show to its holder before its time.")
class ReleaseDocumentInput:
    """Input of `releaseDocument`."""

    document_id: strawberry.ID = strawberry.field(description="A document that you deposited.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.input(description="Whether those who act for the holder see a document.")
class HideFromRepresentativesInput:
    """Input of `hideFromRepresentatives`."""

    document_id: strawberry.ID = strawberry.field(description="The document, any version.")
    hidden: bool = strawberry.field(default=True, description="False shows it to them again.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The document was stored.")
class AddDocumentSuccess:
    """Success of `addDocument`."""

    document: Document = strawberry.field(description="The new document.")


@strawberry.type(description="The new version was stored; the former one is kept.")
class ReplaceDocumentSuccess:
    """Success of `replaceDocument`."""

    document: Document = strawberry.field(description="The new version.")


@strawberry.type(description="The metadata was changed.")
class CorrectDocumentSuccess:
    """Success of `correctDocument`."""

    document: Document = strawberry.field(description="The document as it is now.")


@strawberry.type(description="The document was masked or shown, all its versions together.")
class MaskDocumentSuccess:
    """Success of `maskDocument`."""

    document: Document = strawberry.field(description="The document as it is now.")


@strawberry.type(description="The holder sees the document now, all its versions together.")
class ReleaseDocumentSuccess:
    """Success of `releaseDocument`."""

    document: Document = strawberry.field(description="The document as it is now.")


@strawberry.type(description="The document was hidden from representatives, or shown to them.")
class HideFromRepresentativesSuccess:
    """Success of `hideFromRepresentatives`."""

    document: Document = strawberry.field(description="The document as it is now.")


@strawberry.type(description="The document, all its versions and their content were deleted.")
class DeleteDocumentSuccess:
    """Success of `deleteDocument`."""

    deleted_document_id: strawberry.ID = strawberry.field(description="Its former id.")


AddDocumentPayload = Annotated[
    AddDocumentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("AddDocumentPayload", description="What came of adding a document."),
]
ReplaceDocumentPayload = Annotated[
    ReplaceDocumentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("ReplaceDocumentPayload", description="What came of replacing a document."),
]
CorrectDocumentPayload = Annotated[
    CorrectDocumentSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated
    | ValidationFailed,
    strawberry.union("CorrectDocumentPayload", description="What came of correcting a document."),
]
MaskDocumentPayload = Annotated[
    MaskDocumentSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("MaskDocumentPayload", description="What came of masking a document."),
]
ReleaseDocumentPayload = Annotated[
    ReleaseDocumentSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("ReleaseDocumentPayload", description="What came of releasing a document."),
]
HideFromRepresentativesPayload = Annotated[
    HideFromRepresentativesSuccess
    | AccessDenied
    | Conflict
    | NotFound
    | RecordClosed
    | Unauthenticated,
    strawberry.union("HideFromRepresentativesPayload", description="What came of hiding it."),
]
DeleteDocumentPayload = Annotated[
    DeleteDocumentSuccess | AccessDenied | Conflict | NotFound | RecordClosed | Unauthenticated,
    strawberry.union("DeleteDocumentPayload", description="What came of deleting a document."),
]


@strawberry.type
class DocumentMutation:
    """Mutations of documents."""

    @strawberry.mutation(description="Make an uploaded file a document of your record.")
    async def add_document(self, info: Info, input: AddDocumentInput) -> AddDocumentPayload:
        """Add a document."""
        record_id = read_id(input.record_id, Record, "recordId")
        draft = input.description.value()

        async def act(work: Work) -> UUID:
            context = info.context
            document = await actions.deposit(
                context.actor, work, context.blobs, record_id, input.blob_id, draft
            )
            return document.id

        return AddDocumentSuccess(
            document=await require_node(info.context, Document, await perform(info, input, act))
        )

    @strawberry.mutation(description="Put a new version in the place of one that you deposited.")
    async def replace_document(
        self, info: Info, input: ReplaceDocumentInput
    ) -> ReplaceDocumentPayload:
        """Replace a document."""
        document_id = read_id(input.document_id, Document, "documentId")
        draft = input.description.value()

        async def act(work: Work) -> UUID:
            context = info.context
            document = await actions.replace(
                context.actor, work, context.blobs, document_id, input.blob_id, draft
            )
            return document.id

        return ReplaceDocumentSuccess(
            document=await require_node(info.context, Document, await perform(info, input, act))
        )

    @strawberry.mutation(description="Change the metadata of a document that you deposited.")
    async def correct_document(
        self, info: Info, input: CorrectDocumentInput
    ) -> CorrectDocumentPayload:
        """Correct a document's metadata."""
        document_id = read_id(input.document_id, Document, "documentId")
        draft = input.description.value()

        async def act(work: Work) -> UUID:
            actor = info.context.actor
            return (await actions.correct(actor, work, document_id, draft, input.revision)).id

        return CorrectDocumentSuccess(
            document=await require_node(info.context, Document, await perform(info, input, act))
        )

    @strawberry.mutation(description="Mask a document from professionals, or show it again.")
    async def mask_document(self, info: Info, input: MaskDocumentInput) -> MaskDocumentPayload:
        """Mask a document."""
        document_id = read_id(input.document_id, Document, "documentId")

        async def act(work: Work) -> UUID:
            actor = info.context.actor
            return (await actions.set_masked(actor, work, document_id, input.masked)).id

        return MaskDocumentSuccess(
            document=await require_node(info.context, Document, await perform(info, input, act))
        )

    @strawberry.mutation(
        description="Show a document that you hid from its holder: the announcement took place."
    )
    async def release_document(
        self, info: Info, input: ReleaseDocumentInput
    ) -> ReleaseDocumentPayload:
        """Release a document."""
        document_id = read_id(input.document_id, Document, "documentId")

        async def act(work: Work) -> UUID:
            return (await actions.release(info.context.actor, work, document_id)).id

        return ReleaseDocumentSuccess(
            document=await require_node(info.context, Document, await perform(info, input, act))
        )

    @strawberry.mutation(
        description="Hide a document from those who act for the holder: a minor's secret."
    )
    async def hide_from_representatives(
        self, info: Info, input: HideFromRepresentativesInput
    ) -> HideFromRepresentativesPayload:
        """Hide a document from representatives."""
        document_id = read_id(input.document_id, Document, "documentId")

        async def act(work: Work) -> UUID:
            actor = info.context.actor
            return (
                await actions.hide_from_representatives(actor, work, document_id, input.hidden)
            ).id

        done = await perform(info, input, act)
        return HideFromRepresentativesSuccess(
            document=await require_node(info.context, Document, done)
        )

    @strawberry.mutation(
        description="Delete a document that you deposited, with all versions and their content."
        " What others deposited can be masked."
    )
    async def delete_document(
        self, info: Info, input: DeleteDocumentInput
    ) -> DeleteDocumentPayload:
        """Delete a document."""
        document_id = read_id(input.document_id, Document, "documentId")

        async def act(work: Work) -> UUID:
            return await actions.remove(info.context.actor, work, document_id)

        await perform(info, input, act)
        return DeleteDocumentSuccess(deleted_document_id=input.document_id)
