"""Nodes and connections: read in few statements, and what is no id or page is a request error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from foundation import REFUSALS, OrganizationType, PublisherType, fill, run
from sqlalchemy import event

from carnet import errors
from carnet.store.database import Database
from carnet_crypto.encoding import to_base64url
from carnet_graphql.node import read_id, write_id


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
