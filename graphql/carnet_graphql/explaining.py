"""Saying why: the explanation of a decision, and what somebody else would see."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.access.explaining import explain
from carnet.access.lists import settings_of
from carnet.access.rules import Role, Standing
from carnet.documents import queries
from carnet.errors import AccessDenied
from carnet_graphql.access import AccessExplanation
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.documents import Document
from carnet_graphql.node import read_id


@strawberry.input(description="Somebody imagined: a profession and a standing.")
class RoleInput:
    """See `carnet.access.rules.Role`."""

    standing: Standing = strawberry.field(description="What they would be to the holder.")
    profession: str | None = strawberry.field(
        default=None, description="Profession (TRE_G15), such as 60; of no use for representatives."
    )

    def value(self) -> Role:
        """Return the input as the area's value."""
        return Role(self.standing, (self.profession or "")[:40] or None)


@strawberry.type
class RecordPreview:
    """What others would see of a record."""

    key: strawberry.Private[UUID]
    row: strawberry.Private[Any]

    @strawberry.field(
        description="The documents that somebody in this role would see, of those that you see."
        " For the holder and who manages access."
    )
    async def preview_as(
        self,
        info: Info,
        role: Annotated[RoleInput, strawberry.argument(description="Who would look.")],
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Document]:
        """Return a page of documents."""
        if await info.context.load(settings_of, self.key) is None:
            raise AccessDenied("access.holder-only")
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Document.of,
            pages=queries.preview_pages,
            counts=queries.preview_counts,
            order=queries.NEWEST,
            arguments=(role.value(),),
        )


@strawberry.type
class ExplainingQuery:
    """Root field that explains decisions."""

    @strawberry.field(
        description="Whether a professional may read a document of a record that you manage, and"
        " the rule that decides; null when you see no such document."
    )
    async def access_explanation(
        self,
        info: Info,
        document: Annotated[strawberry.ID, strawberry.argument(description="The document.")],
        professional: Annotated[
            strawberry.ID, strawberry.argument(description="Anybody in the directory.")
        ],
    ) -> AccessExplanation | None:
        """Explain a decision."""
        from carnet_graphql.people import Professional

        document_id = read_id(document, Document, "document")
        professional_id = read_id(professional, Professional, "professional")
        context = info.context
        async with context.database.read() as work:
            seen = await queries.by_ids(context.actor, work, [document_id])
            if document_id not in seen:
                return None
            record_id = seen[document_id].record_id
            decision = await explain(context.actor, work, record_id, document_id, professional_id)
        await context.load(settings_of, record_id)  # so that the read of access is written down
        return AccessExplanation.of(decision)
