"""A small schema over real tables: nodes, connections, and a mutation that can be refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import strawberry
from sqlalchemy import asc, select
from strawberry import UNSET

from carnet import errors
from carnet.people import tables
from carnet.people.actor import Actor, Assurance, Operator
from carnet.settings import Settings
from carnet.store.database import Database, Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet_graphql.assembly import build
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Context, Info
from carnet_graphql.errors import AccessDenied, Conflict, NotFound, RateLimited, ValidationFailed
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import Node, NodeQuery, load_node, read_id, register_node, write_id

START = datetime(2026, 3, 1, tzinfo=UTC)
BY_NAME = Order("publishers.name", asc(tables.Publisher.name), asc(tables.Publisher.id))


async def organizations_by_ids(
    actor: Actor, work: Work, ids: Sequence[UUID]
) -> dict[UUID, tables.Organization]:
    rows = await work.session.scalars(
        select(tables.Organization).where(tables.Organization.id.in_(ids))
    )
    return {row.id: row for row in rows}


async def publishers_by_ids(
    actor: Actor, work: Work, ids: Sequence[UUID]
) -> dict[UUID, tables.Publisher]:
    rows = await work.session.scalars(select(tables.Publisher).where(tables.Publisher.id.in_(ids)))
    return {row.id: row for row in rows}


async def pages(
    actor: Actor, work: Work, ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[tables.Publisher]]:
    return await paginate_many(
        work,
        select(tables.Publisher),
        order,
        request,
        parent=tables.Publisher.organization_id,
        parents=ids,
    )


async def counts(actor: Actor, work: Work, ids: Sequence[UUID]) -> dict[UUID, int]:
    return await count_many(
        work, select(tables.Publisher), parent=tables.Publisher.organization_id, parents=ids
    )


@strawberry.type(description="Software that publishes.", name="TestSender")
class PublisherType(Node):
    name: str = strawberry.field(description="Its name.")

    @classmethod
    def of(cls, row: tables.Publisher) -> PublisherType:
        return cls(key=row.id, name=row.name)


@strawberry.type(description="An organization.", name="TestPlace")
class OrganizationType(Node):
    name: str = strawberry.field(description="Its name.")

    @classmethod
    def of(cls, row: tables.Organization) -> OrganizationType:
        return cls(key=row.id, name=row.name)

    @strawberry.field(description="Its publishers.")
    async def publishers(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[PublisherType]:
        return await connection(
            info.context,
            self.key,
            page_request(first, after, last, before),
            PublisherType.of,
            pages=pages,
            counts=counts,
            order=BY_NAME,
        )


register_node(PublisherType, publishers_by_ids, PublisherType.of)


register_node(OrganizationType, organizations_by_ids, OrganizationType.of)


@strawberry.type(description="The root.")
class Query(NodeQuery):
    @strawberry.field(description="Refuses.")
    def refused(self, how: str) -> str | None:
        raise REFUSALS[how]


REFUSALS = {
    "denied": errors.AccessDenied("RULE_7"),
    "limited": errors.RateLimited(retry_after=30),
    "unauthenticated": errors.Unauthenticated(),
    "invalid": errors.ValidationFailed("Too long.", path=("birth_date", "0")),
    "id": errors.BadId(),
    "missing": errors.NotFound(),
    "conflict": errors.Conflict(),
}


@strawberry.input(description="A new name.")
class RenameInput:
    id: strawberry.ID = strawberry.field(description="Of the organization.")
    name: str = strawberry.field(description="New name.")
    note: str | None = strawberry.field(default=UNSET, description="Anything.")
    idempotency_key: IdempotencyKey = idempotency_key()


@strawberry.type(description="Renamed.")
class RenameSuccess:
    organization: OrganizationType = strawberry.field(description="As it is now.")


RenamePayload = Annotated[
    RenameSuccess | ValidationFailed | NotFound | Conflict | AccessDenied | RateLimited,
    strawberry.union("RenamePayload", description="What came of it."),
]


@strawberry.type(description="Changes.")
class Mutation:
    @strawberry.mutation(description="Append to the name.")
    async def rename(self, info: Info, input: RenameInput) -> RenamePayload:
        if input.name in REFUSALS:
            raise REFUSALS[input.name]
        organization_id = read_id(input.id, OrganizationType, "id")
        before = await load_node(info.context, OrganizationType, organization_id)
        assert before is not None

        async def act(work: Work) -> UUID:
            row = await work.session.get_one(tables.Organization, organization_id)
            row.name += input.name
            if input.name == "too long":
                raise errors.ValidationFailed("Too long.", path=("name",))
            return row.id

        key = await perform(info, input, act)
        organization = await load_node(info.context, OrganizationType, key)
        assert organization is not None
        return RenameSuccess(organization=organization)


SCHEMA = build(Query, Mutation, types=[OrganizationType])
OPERATOR = Operator(uuid4(), Assurance.SANDBOX)
RENAME = """
    mutation ($input: RenameInput!) {
        rename(input: $input) {
            __typename
            ... on RenameSuccess { organization { name } }
            ... on UserError { code message path }
            ... on AccessDenied { rule }
            ... on RateLimited { retryAfter }
        }
    }
"""


def context(database: Database, actor: Actor = OPERATOR) -> Context:
    return Context(
        actor=actor,
        database=database,
        blobs=None,
        gate=None,
        settings=Settings(),
        signer=None,
        cursors=None,
        feeds=None,
        address="127.0.0.1",
        correlation_id="c0ffee",
    )


async def run(
    database: Database, query: str, actor: Actor = OPERATOR, **variables: object
) -> tuple[Any, list[dict[str, Any]]]:
    result = await SCHEMA.execute(query, variables, context_value=context(database, actor))
    return result.data, [dict(error.formatted) for error in result.errors or []]


async def fill(database: Database, sizes: dict[str, int]) -> dict[str, str]:
    """Make organizations with that many publishers; return their global ids."""
    ids: dict[str, str] = {}
    async with database.write() as work:
        for name, size in sizes.items():
            key = work.new_id()
            ids[name] = write_id(OrganizationType, key)
            work.session.add(tables.Organization(id=key, name=name, created_at=START))
            await work.session.flush()
            work.session.add_all(
                tables.Publisher(
                    id=work.new_id(),
                    name=f"{name} {number}",
                    organization_id=key,
                    secret_hash=f"{name}{number}".encode(),
                    created_at=START,
                )
                for number in range(size)
            )
    return ids
