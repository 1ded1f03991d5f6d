"""Where a viewer is signed in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry import UNSET

from carnet.people import queries, tables
from carnet.people.actor import Operator as OperatorActor
from carnet.people.actor import Patient as PatientActor
from carnet.people.actor import Professional as ProfessionalActor
from carnet.store.keyset import LARGEST_PAGE, Page, PageRequest
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection_of,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.node import Node, register_node

EVERY_SESSION = PageRequest(first=LARGEST_PAGE)  # an account has fewer


@strawberry.type(description="A signed-in browser, phone or program.")
class Session(Node):
    """See `carnet.people.tables.Session`."""

    row: strawberry.Private[tables.Session]

    @classmethod
    def of(cls, row: tables.Session) -> Session:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="The name it gave itself.")
    def device_name(self) -> str | None:
        """Return the name."""
        return self.row.device_name

    @strawberry.field(description="When it signed in.")
    def created_at(self) -> datetime:
        """Return the start."""
        return self.row.created_at

    @strawberry.field(description="When it was last used, to the minute.")
    def last_used_at(self) -> datetime:
        """Return the last use."""
        return self.row.last_used_at

    @strawberry.field(description="When it ends at the latest.")
    def expires_at(self) -> datetime:
        """Return the end."""
        return self.row.expires_at

    @strawberry.field(description="Whether it is the one that asks.")
    def is_current(self, info: Info) -> bool:
        """Tell whether this request came through it."""
        actor = info.context.actor
        match actor:
            case PatientActor() | ProfessionalActor() | OperatorActor():
                return actor.session_id == self.key
        return False


register_node(Session, queries.own_sessions, Session.of)


async def _sessions(info: Info, key: UUID, request: PageRequest) -> Connection[Session]:
    """Return the viewer's sessions where the object is the viewer, else an empty page."""
    actor, database = info.context.actor, info.context.database
    match actor:
        case PatientActor(person_id=own) | ProfessionalActor(professional_id=own) if own == key:
            async with database.read() as work:
                page = await queries.sessions(actor, work, request)
        case _:
            page = Page([], [], False, False)

    async def count() -> int:
        if not page.items:
            return 0
        async with database.read() as work:
            return len((await queries.sessions(actor, work, EVERY_SESSION)).items)

    return connection_of(page, Session.of, count)


@strawberry.type
class ViewerSessions:
    """Where a viewer is signed in, on the types that a viewer may be."""

    key: strawberry.Private[UUID]

    @strawberry.field(description="Where you are signed in, the latest first.")
    async def sessions(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Session]:
        """Return a page of the viewer's sessions; none on anybody else."""
        return await _sessions(info, self.key, page_request(first, after, last, before))
