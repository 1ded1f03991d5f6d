"""Nodes, connections, refusals and idempotency through a small schema over real tables."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
import strawberry
from graphql import GraphQLObjectType, build_schema, validate_schema
from sqlalchemy import asc, event, func, select
from strawberry import UNSET

from carnet import errors
from carnet.people import tables
from carnet.people.actor import Actor, Anonymous, Assurance, Operator
from carnet.people.actor import Publisher as PublisherActor
from carnet.settings import Settings
from carnet.store.database import Database, Work
from carnet.store.idempotency import KEPT_FOR, forget_old_keys
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet.store.tables import IdempotencyKey as KeyRow
from carnet_crypto.encoding import to_base64url
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
from carnet_graphql.errors import (
    ERROR_TYPES,
    AccessDenied,
    Conflict,
    ErrorCode,
    NotFound,
    RateLimited,
    ValidationFailed,
    user_error,
)
from carnet_graphql.idempotency import IdempotencyKey, idempotency_key, perform
from carnet_graphql.node import Node, NodeQuery, load_node, read_id, register_node, write_id
from carnet_graphql.schema_text import schema_text

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


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SELECTs."""
    seen: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_text_is_sorted_and_valid_and_has_relays_names() -> None:
    text = schema_text(SCHEMA)
    schema = build_schema(text)
    assert validate_schema(schema) == []
    query = schema.query_type
    assert query is not None
    assert {name: str(query.fields[name].type) for name in ("node", "nodes")} == {
        "node": "Node",
        "nodes": "[Node]!",
    }
    fields = {
        name: {key: str(field.type) for key, field in kind.fields.items()}
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType)
    }
    assert fields["TestSenderConnection"] == {
        "edges": "[TestSenderEdge!]!",
        "pageInfo": "PageInfo!",
        "totalCount": "Int!",
    }
    assert fields["TestSenderEdge"] == {"cursor": "Cursor!", "node": "TestSender!"}
    assert fields["PageInfo"] == {
        "endCursor": "Cursor",
        "hasNextPage": "Boolean!",
        "hasPreviousPage": "Boolean!",
        "startCursor": "Cursor",
    }
    assert "= null" not in text
    names = re.findall(r"^(?:type|interface|union|enum|scalar|input) (\w+)", text, re.MULTILINE)
    assert names == sorted(names)
    assert text.endswith("}\n")


def test_every_refusal_has_a_type_and_every_code_is_in_the_enum() -> None:
    def leaves(kind: type[errors.Refusal]) -> set[type[errors.Refusal]]:
        return {kind}.union(*(leaves(below) for below in kind.__subclasses__()))

    refusals = leaves(errors.Refusal) - {errors.Refusal}
    assert {kind.code for kind in refusals} == {code.name for code in ErrorCode}
    # graphql-eslint's naming-convention takes no type whose name ends in Type.
    assert {kind.__name__.removesuffix("Type") for kind in ERROR_TYPES} == {
        kind.__name__ for kind in ERROR_TYPES.values()
    }
    for error in REFUSALS.values():
        assert user_error(error).code is ErrorCode(error.code)


async def test_nodes_are_read_in_one_statement_for_each_type(database: Database) -> None:
    ids = await fill(database, {"north": 1, "south": 0})
    unknown = write_id(OrganizationType, uuid4())
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on TestPlace { name } } }"
    with statements(database) as seen:
        data, problems = await run(
            database, query, ids=[ids["south"], unknown, ids["north"], ids["south"]]
        )
    assert problems == []
    assert data["nodes"] == [
        {"id": ids["south"], "name": "south"},
        None,
        {"id": ids["north"], "name": "north"},
        {"id": ids["south"], "name": "south"},
    ]
    assert len(seen) == 1


async def test_a_node_that_is_not_there_is_null_without_error(database: Database) -> None:
    query = "query ($id: ID!) { node(id: $id) { id } }"
    unknown = write_id(PublisherType, uuid4())
    assert await run(database, query, id=unknown) == ({"node": None}, [])


KEY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "é",
        "A" * 5000,
        str(KEY),
        to_base64url(b"\x01" + KEY.bytes + b"Nothing"),
        to_base64url(b"\x01" + KEY.bytes),
        to_base64url(b"\x01" + KEY.bytes[:9]),
        to_base64url(b"\x02" + KEY.bytes + b"TestSender"),
        to_base64url(b"\x01" + KEY.bytes + b"TestSender") + "==",
        to_base64url(b"\x01" + KEY.bytes + b"\xff"),
    ],
)
async def test_a_malformed_id_is_a_request_error(database: Database, text: str) -> None:
    query = "query ($id: ID!) { node(id: $id) { id } }"
    data, problems = await run(database, query, id=text)
    assert data == {"node": None}
    assert [problem["extensions"]["code"] for problem in problems] == ["BAD_ID"]


def test_an_id_of_another_type_is_refused() -> None:
    text = write_id(PublisherType, KEY)
    assert read_id(text, PublisherType) == KEY
    with pytest.raises(errors.BadId) as caught:
        read_id(text, OrganizationType, "organization_id")
    assert caught.value.path == ("organization_id",)


async def test_at_most_100_nodes(database: Database) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    _, problems = await run(database, query, ids=["x"] * 101)
    assert problems[0]["message"] == "At most 100 ids."


async def test_lists_within_lists_cost_one_statement_for_each_level(database: Database) -> None:
    ids = await fill(database, {name: 3 for name in "abcdefgh"})
    query = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on TestPlace {
        one: publishers(first: 2) { totalCount edges { cursor node { name } } pageInfo {
            hasNextPage hasPreviousPage startCursor endCursor } }
        two: publishers(first: 2) { edges { node { id } } }
    } } }"""
    with statements(database) as seen:
        data, problems = await run(database, query, ids=list(ids.values()))
    assert problems == []
    assert len(seen) == 3  # the organizations, their pages, their counts
    for name, organization in zip(ids, data["nodes"], strict=True):
        page = organization["one"]
        assert [edge["node"]["name"] for edge in page["edges"]] == [f"{name} 0", f"{name} 1"]
        assert page["totalCount"] == 3
        assert page["pageInfo"] == {
            "hasNextPage": True,
            "hasPreviousPage": False,
            "startCursor": page["edges"][0]["cursor"],
            "endCursor": page["edges"][1]["cursor"],
        }


async def test_the_total_is_counted_only_when_asked_for(database: Database) -> None:
    ids = await fill(database, {"north": 2})
    query = "query ($id: ID!) { node(id: $id) { ... on TestPlace { publishers { edges { cursor } } } } }"
    with statements(database) as seen:
        await run(database, query, id=ids["north"])
    assert len(seen) == 2
    assert [statement for statement in seen if "count(" in statement] == []


async def test_paging_on_through_graphql(database: Database) -> None:
    ids = await fill(database, {"north": 5})
    query = """query ($id: ID!, $after: Cursor, $before: Cursor, $first: Int, $last: Int) {
        node(id: $id) { ... on TestPlace {
            publishers(first: $first, after: $after, last: $last, before: $before) {
                edges { node { name } } pageInfo { hasNextPage endCursor startCursor } } } } }"""
    data, _ = await run(database, query, id=ids["north"], first=3)
    info = data["node"]["publishers"]["pageInfo"]
    data, _ = await run(database, query, id=ids["north"], first=3, after=info["endCursor"])
    page = data["node"]["publishers"]
    assert [edge["node"]["name"] for edge in page["edges"]] == ["north 3", "north 4"]
    assert not page["pageInfo"]["hasNextPage"]
    before = page["pageInfo"]["startCursor"]
    data, _ = await run(database, query, id=ids["north"], last=1, before=before, after=None)
    edges = data["node"]["publishers"]["edges"]
    assert [edge["node"]["name"] for edge in edges] == ["north 2"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('after: "nonsense"', "BAD_CURSOR"),
        ('last: 2, before: ""', "BAD_CURSOR"),
        ("first: 0", "VALIDATION_FAILED"),
        ("first: 101", "VALIDATION_FAILED"),
        ("last: -1", "VALIDATION_FAILED"),
        ("first: 1, last: 1", "VALIDATION_FAILED"),
    ],
)
async def test_a_bad_page_is_a_request_error(database: Database, arguments: str, code: str) -> None:
    ids = await fill(database, {"north": 1})
    query = "query ($id: ID!) { node(id: $id) { ... on TestPlace { publishers(ARGUMENTS) { edges { cursor } } } } }"
    query = query.replace("ARGUMENTS", arguments)
    _, problems = await run(database, query, id=ids["north"])
    assert [problem["extensions"]["code"] for problem in problems] == [code]


@pytest.mark.parametrize(
    ("how", "extensions"),
    [
        ("denied", {"code": "ACCESS_DENIED", "rule": "RULE_7"}),
        ("limited", {"code": "RATE_LIMITED", "retryAfter": 30}),
        ("unauthenticated", {"code": "UNAUTHENTICATED"}),
        ("invalid", {"code": "VALIDATION_FAILED", "input": ["birthDate", "0"]}),
        ("id", {"code": "BAD_ID"}),
    ],
)
async def test_a_refusal_of_a_query_keeps_its_code(
    database: Database, how: str, extensions: dict[str, Any]
) -> None:
    data, problems = await run(database, "query ($how: String!) { refused(how: $how) }", how=how)
    assert data == {"refused": None}
    assert problems[0]["message"] == REFUSALS[how].message
    assert problems[0]["extensions"] == extensions | {"correlationId": "c0ffee"}


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("denied", {"__typename": "AccessDenied", "code": "ACCESS_DENIED", "rule": "RULE_7"}),
        ("limited", {"__typename": "RateLimited", "code": "RATE_LIMITED", "retryAfter": 30}),
        (
            "invalid",
            {
                "__typename": "ValidationFailed",
                "code": "VALIDATION_FAILED",
                "path": ["birthDate", "0"],
            },
        ),
        ("id", {"__typename": "ValidationFailed", "code": "BAD_ID"}),
        ("missing", {"__typename": "NotFound", "code": "NOT_FOUND"}),
        ("conflict", {"__typename": "Conflict", "code": "CONFLICT"}),
    ],
)
async def test_a_refusal_of_a_mutation_is_a_member_of_its_union(
    database: Database, how: str, answer: dict[str, Any]
) -> None:
    data, problems = await run(database, RENAME, input={"id": "x", "name": how})
    assert problems == []
    assert data["rename"] == {"path": None, "message": REFUSALS[how].message} | answer


async def test_a_refusal_outside_the_union_is_a_top_level_error(database: Database) -> None:
    data, problems = await run(database, RENAME, input={"id": "x", "name": "unauthenticated"})
    assert data is None
    assert problems[0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_without_a_key_every_call_acts(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    for expected in ("north!", "north!!"):
        data, _ = await run(database, RENAME, input={"id": ids["north"], "name": "!"})
        assert data["rename"]["organization"]["name"] == expected


async def test_a_repeated_key_repeats_the_answer_and_not_the_action(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    key = str(uuid4())
    given = {"id": ids["north"], "name": "!", "idempotencyKey": key}
    answers = [await run(database, RENAME, input=given) for _ in range(3)]
    assert (
        answers
        == [
            (
                {
                    "rename": {
                        "__typename": "RenameSuccess",
                        "organization": {"name": "north!"},
                    }
                },
                [],
            )
        ]
        * 3
    )
    async with database.read() as work:
        rows = (await work.session.scalars(select(KeyRow))).all()
        assert len(rows) == 1
        assert set(rows[0].answer) == {"id"}  # an id, and nothing of what was said


@pytest.mark.parametrize(
    "change", [{"name": "?"}, {"note": None}, {"note": ""}, {"note": "!"}], ids=str
)
async def test_the_same_key_with_another_input_is_a_conflict(
    database: Database, change: dict[str, Any]
) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    await run(database, RENAME, input=given)
    data, _ = await run(database, RENAME, input=given | change)
    assert data["rename"]["__typename"] == "Conflict"
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north!"


async def test_another_actor_may_use_the_same_key(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    await run(database, RENAME, input=given)
    data, _ = await run(database, RENAME, PublisherActor(uuid4()), input=given)
    assert data["rename"]["organization"]["name"] == "north!!"


async def test_nobody_has_no_keys(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    _, problems = await run(database, RENAME, Anonymous(), input=given)
    assert problems[0]["extensions"]["code"] == "UNAUTHENTICATED"
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north"


async def test_twins_at_the_same_moment_act_once(database: Database) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "!", "idempotencyKey": str(uuid4())}
    answers = await asyncio.gather(*(run(database, RENAME, input=given) for _ in range(8)))
    names = {data["rename"]["organization"]["name"] for data, _ in answers}
    assert names == {"north!"}


async def test_a_refused_action_leaves_nothing_and_may_be_tried_again(
    database: Database,
) -> None:
    ids = await fill(database, {"north": 0})
    given = {"id": ids["north"], "name": "too long", "idempotencyKey": str(uuid4())}
    for _ in range(2):
        data, _ = await run(database, RENAME, input=given)
        assert data["rename"]["path"] == ["name"]
    async with database.read() as work:
        assert await work.session.scalar(select(tables.Organization.name)) == "north"
        assert await work.session.scalar(select(func.count()).select_from(KeyRow)) == 0


async def test_old_keys_are_forgotten(database: Database) -> None:
    async with database.write() as work:
        for age in (timedelta(), KEPT_FOR - timedelta(hours=1), KEPT_FOR + timedelta(hours=1)):
            work.session.add(
                KeyRow(
                    id=work.new_id(),
                    actor="account:x",
                    key=uuid4(),
                    request_hash=b"x",
                    answer={},
                    created_at=work.now - age,
                )
            )
    async with database.write() as work:
        assert await forget_old_keys(work) == 1
        assert await forget_old_keys(work) == 0
