"""The text of a schema, and the refusals that a small one answers with."""

from __future__ import annotations

import re
from typing import Any

import pytest
from foundation import REFUSALS, RENAME, SCHEMA, run
from graphql import GraphQLObjectType, build_schema, validate_schema

from carnet import errors
from carnet.store.database import Database
from carnet_graphql.errors import ERROR_TYPES, ErrorCode, user_error
from carnet_graphql.schema_text import schema_text


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
