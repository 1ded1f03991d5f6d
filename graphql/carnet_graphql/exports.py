"""Exports: a whole record as one archive, asked for here and made in the background."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.exports import queries, rules, tables
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
from carnet_graphql.node import Node, register_node, write_id
from carnet_graphql.scalars import URL

ExportState = tables.ExportState
strawberry.enum(ExportState, description="How far an export is.")


@strawberry.type(
    description="A whole record as one ZIP archive. Only who asked for it sees it; it can be"
    " downloaded for a week."
)
class Export(Node):
    """See `carnet.exports.tables.Export`."""

    row: strawberry.Private[tables.Export]

    @classmethod
    def of(cls, row: tables.Export) -> Export:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="How far it is.")
    def state(self) -> ExportState:
        """Return the state."""
        return self.row.state

    @strawberry.field(description="How far it is, from 0 to 1.")
    def progress(self) -> float:
        """Return the progress."""
        return rules.progress(self.row)

    @strawberry.field(description="Steps that are done: one for each document, and a few more.")
    def steps_done(self) -> int:
        """Return the steps that are done."""
        return self.row.steps_done

    @strawberry.field(description="All steps; null until it runs.")
    def steps_total(self) -> int | None:
        """Return the number of steps."""
        return self.row.steps_total

    @strawberry.field(description="When it was asked for.")
    def requested_at(self) -> datetime:
        """Return the time of the request."""
        return self.row.requested_at

    @strawberry.field(description="Until when it can be downloaded; null until it is ready.")
    def expires_at(self) -> datetime | None:
        """Return the time at which the archive is deleted."""
        return self.row.expires_at

    @strawberry.field(
        description="Why it failed, such as ACCESS_DENIED; null for one that did not."
    )
    def error_code(self) -> str | None:
        """Return the code of the error."""
        return self.row.error_code

    @strawberry.field(description="Size of the archive in bytes; null unless it is ready.")
    async def size_bytes(self, info: Info) -> float | None:
        """Return the size; a Float, since Int ends at 2 GiB."""
        if self.row.state is not ExportState.READY:
            return None
        size = await info.context.load(queries.sizes, self.key)
        return None if size is None else float(size)

    @strawberry.field(
        description="Where to download it, with the same authorization, relative to the server;"
        " null unless it is ready."
    )
    def content_url(self) -> URL | None:
        """Return the download link."""
        if self.row.state is not ExportState.READY:
            return None
        return URL(f"/exports/{write_id(Export, self.key)}/content")


register_node(Export, queries.by_ids, Export.of)


@strawberry.type
class RecordExports:
    """What a record has of exports. ``key`` is the record's id."""

    key: strawberry.Private[UUID]

    @strawberry.field(description="Your exports of this record, the newest first.")
    async def exports(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Export]:
        """Return a page of the viewer's exports."""
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            Export.of,
            pages=queries.pages,
            counts=queries.counts,
            order=queries.NEWEST,
        )
