"""What operations are priced at, before they run."""

from __future__ import annotations

from time import process_time
from typing import Any

import graph
import pytest
from graphql import get_introspection_query

from carnet.settings import Settings
from carnet_graphql.operations.cost import LIST_SIZE, MUTATION, OPERATION, PAGE, SIZES, WEIGHTS
from carnet_graphql.operations.operation import Operation

DOCUMENTS = "documents(first: %s) { edges { node { title } } }"
TWO = " edges { node { id title } }"


def cost(query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> int:
    found = graph.SCHEMA.operations.read(query, name)
    assert isinstance(found, Operation), found
    return graph.SCHEMA.costs.of(found, variables) - OPERATION


def record(selections: str, more: str = "") -> str:
    return f'{{ record(id: "x") {{ {selections} }} }} {more}'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ viewer { __typename } }", 2),
        (record(DOCUMENTS % 20), 1 + 1 + PAGE + 1 + 20 * 2),
        (record(DOCUMENTS % 1), 1 + 1 + PAGE + 1 + 2),
        (record("documents { totalCount pageInfo { endCursor } }"), 1 + 1 + PAGE + 3),
        (record("documents { totalCount" + TWO + "}"), 1 + 1 + PAGE + 1 + 1 + 20 * 3),
        (record("documents(last: 7) {" + TWO + "}"), 1 + 1 + PAGE + 1 + 7 * 3),
        (record("documents(first: 1000000000) {" + TWO + "}"), 1 + 1 + PAGE + 1 + 100 * 3),
        (record("documents(first: -5) {" + TWO + "}"), 1 + 1 + PAGE + 1 + 1 * 3),
        (record("documents(first: null) {" + TWO + "}"), 1 + 1 + PAGE + 1 + 20 * 3),
        # A page in a page is multiplied, a list in one too; both pages are read but once.
        (
            record("documents(first: 5) { edges { node { versions(first: 3) {" + TWO + "} } } }"),
            1 + 1 + PAGE + 1 + 5 * (1 + 1 + 1 + 3 * 3) + PAGE,
        ),
        (
            record("documents(first: 5) { edges { node { contents { url } } } }"),
            1 + 1 + PAGE + 1 + 5 * (1 + 1 + LIST_SIZE),
        ),
        # A fragment costs what it holds where it is spread, pages and all.
        (
            record("documents(first: 3) { ...F }", "fragment F on DocumentConnection {" + TWO + "}"),
            1 + 1 + PAGE + 1 + 3 * 3,
        ),
        (record("documents(first: 3) { ... {" + TWO + "} }"), 1 + 1 + PAGE + 1 + 3 * 3),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 1 + 3),
        ('{ a: node(id: "a") { id } b: node(id: "b") { id } }', 4),
        (
            "mutation { signOut { __typename } }",
            1 + MUTATION + 1,
        ),
    ],
)  # fmt: skip
def test_a_price_is_the_number_of_fields_that_may_be_resolved(query: str, expected: int) -> None:
    assert cost(query) == expected


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({"n": 50}, 50),
        ({}, 7),
        (None, 7),
        ({"n": None}, 20),
        ({"n": True}, 20),
        ({"n": "50"}, 20),
        ({"n": 10**400}, 100),
        ({"n": 50.0}, 50),
        ({"n": 1e308}, 100),
        ({"n": 50.5}, 20),
        ({"n": [1]}, 20),
    ],
)
def test_variables_count_and_what_is_none_of_their_type_does_not(
    variables: dict[str, Any] | None, size: int
) -> None:
    query = "query ($n: Int = 7) " + record("documents(first: $n) {" + TWO + "}")
    assert cost(query, variables) == 1 + 1 + PAGE + 1 + size * 3


def test_ids_in_a_variable_count_each() -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert cost(query, {"ids": ["x"] * 90}) == 91


def test_each_operation_of_a_document_has_its_own_price() -> None:
    query = "query A { viewer { __typename } } query B { a: viewer { __typename } }"
    query += " query C " + record(DOCUMENTS % 1)
    assert (cost(query, name="A"), cost(query, name="C")) == (2, 1 + 1 + PAGE + 1 + 2)


def test_what_a_client_is_likely_to_ask_is_allowed() -> None:
    assert cost(get_introspection_query()) < Settings().query_cost_limit
    assert cost(record(DOCUMENTS % 100)) < Settings().query_cost_limit / 10


def test_nested_pages_are_far_too_much() -> None:
    inner = "versions(first: 100) { edges { node { %s } } }"
    query = record(f"documents(first: 100) {{ edges {{ node {{ {inner % (inner % 'id')} }} }} }}")
    started_at = process_time()
    assert cost(query) > 100**3
    assert process_time() - started_at < 0.05  # of one that is executed, nobody would see the end


def test_what_has_a_price_of_its_own_exists() -> None:
    types = graph.SCHEMA._schema.type_map
    for coordinate in (*WEIGHTS, *SIZES):
        kind, _, name = coordinate.partition(".")
        assert name.startswith("__") or name in types[kind].fields, coordinate  # type: ignore[attr-defined]
