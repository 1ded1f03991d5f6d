"""Asking for exports."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from carnet.exports import actions
from carnet.store.database import Work
from carnet_graphql.context import Info
from carnet_graphql.errors import AccessDenied, Conflict, NotFound, QuotaExceeded, Unauthenticated
from carnet_graphql.exports import Export
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import read_id, require_node
from carnet_graphql.records import Record


@strawberry.input(description="Which record to export.")
class RequestExportInput:
    """Input of `requestExport`."""

    record_id: strawberry.ID = strawberry.field(description="The record.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="The export is under way.")
class RequestExportSuccess:
    """See `carnet.exports.actions.request`."""

    export: Export = strawberry.field(description="The export.")


RequestExportPayload = Annotated[
    RequestExportSuccess | Unauthenticated | NotFound | AccessDenied | QuotaExceeded | Conflict,
    strawberry.union("RequestExportPayload", description="What came of `requestExport`."),
]


@strawberry.type
class ExportMutation:
    """Mutations of exports."""

    @strawberry.mutation(
        description="Ask for everything in a record as one archive: a FHIR International Patient"
        " Summary, all documents, the journal. For the holder, and for who acts for them in"
        " documents and profile. While one is under way, asking again returns it."
    )
    async def request_export(self, info: Info, input: RequestExportInput) -> RequestExportPayload:
        """Ask for an export."""
        record_id = read_id(input.record_id, Record, "record_id")

        async def act(work: Work) -> UUID:
            return (await actions.request(info.context.actor, work, record_id)).id

        export = await require_node(info.context, Export, await perform(info, input, act))
        return RequestExportSuccess(export=export)
