"""What operations are priced at, before they run."""

from __future__ import annotations

from time import process_time
from typing import Any

import graph
import pytest
import strawberry
from graphql import (
    Undefined,
    get_introspection_query,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    is_object_type,
)

from carnet.settings import Settings
from carnet_client import operations
from carnet_graphql.assembly import ROOM, build
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


@pytest.mark.parametrize("text", operations.registry().values())
def test_what_the_terminal_client_asks_is_allowed_at_its_largest(text: str) -> None:
    """Clients of the last release too: what they ask may not become dearer than is allowed."""
    found = graph.SCHEMA.operations.read(text, None)
    assert isinstance(found, Operation), found
    assert graph.SCHEMA.costs.of(found, {"first": 100}) <= Settings().query_cost_limit


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


# Lists of objects that are no page and are taken to hold 5: the most that each can hold. What can
# hold more than `LONGEST` is in SIZES, or takes its size from an argument.
LONGEST = 50
SHORT = {
    "codings": 20,  # records.sections.CODINGS_LIMIT, intake.cda.codes.CODINGS_LIMIT
    "Document.authors": 50,  # AUTHORS_LIMIT of intake.fhir.authors and intake.cda.authors
    "DocumentMonth.categories": 15,  # an enum's
    "Immunization.diseases": 10,  # of one vaccine, as the tables have them
    "ImportAppointmentsSuccess.skipped": 10,  # reasons, an enum's
    "Message.attachments": 16,  # messaging.message_actions.MOST_FILES
    "MessagingAccount.bindings": 5,  # one for each name that its owner had
    "NotificationPreferences.channels": 2,  # an enum's
    "NotificationPreferences.devices": 10,  # notifications.rules.DEVICES_LIMIT
    "NotificationPreferences.kinds": 21,  # an enum's
    "Patient.identifiers": 20,  # people.queries.IDENTIFIERS_LIMIT
    "Prevention.feeds": 10,  # prevention.feeds.FEEDS_LIMIT
    "PreventionItem.why": 20,  # conditions of one rule
    "Profile.nothingToDeclare": 13,  # one for each section
    "Query.pairingMessages": 8,  # messaging.pairing.MOST_MESSAGES
    "RecordCounts.states": 8,  # an enum's
    "TakeInSuccess.counts": 5,  # an enum's
}


def test_every_list_has_a_bound_or_a_size() -> None:
    schema = graph.SCHEMA._schema
    lists = {
        f"{kind.name}.{name}": field
        for kind in schema.type_map.values()
        if is_object_type(kind) and not kind.name.endswith("Connection")
        for name, field in kind.fields.items()
        if is_list_type(get_nullable_type(field.type))
        and is_composite_type(get_named_type(field.type))
        and not kind.name.startswith("__")
    }
    found = {
        coordinate
        for coordinate, field in lists.items()
        if coordinate not in SIZES
        and coordinate.partition(".")[2] not in SHORT
        and "first" not in field.args
        and not any(
            is_list_type(get_nullable_type(given.type)) and given.default_value is Undefined
            for given in field.args.values()
        )
    }
    assert found == {name for name in SHORT if "." in name}
    assert max(SHORT.values()) <= LONGEST
    assert all(name.startswith("__") or name in lists for name in SIZES)


def test_a_list_that_has_a_default_size_is_taken_to_hold_it() -> None:
    thread = '{ node(id: "x") { ... on Thread { wraps%s { epoch } } } }'
    assert cost(thread % "") == 1 + 1 + 200
    assert cost(thread % "(first: 1000)") == 1 + 1 + 1000
    assert cost("query ($n: Int = 3) " + thread % "(first: $n)") == 1 + 1 + 3


@strawberry.type(description="Something in a list.")
class Thing:
    a: int = strawberry.field(description="One.", default=1)
    b: int = strawberry.field(description="Two.", default=2)

    @strawberry.field(description="More of it.")
    def more(self, size: int) -> list[Thing]:
        made.append(size)
        return [Thing() for _ in range(size)]


made: list[int] = []


@strawberry.type(description="The root.")
class Query:
    @strawberry.field(description="As many as one likes.")
    def things(self, size: int) -> list[Thing]:
        return [Thing() for _ in range(size)]

    @strawberry.field(description="One.")
    def thing(self) -> Thing:
        return Thing()


@strawberry.type(description="Changes.")
class Mutation:
    @strawberry.mutation(description="Do it.")
    def act(self) -> Thing:
        return Thing()


async def test_what_was_done_is_told_whole() -> None:
    schema = build(Query, Mutation)
    most = ROOM * Settings().query_cost_limit
    query = "mutation ($n: Int!) { act { more(size: $n) { a b%s } } }"
    result = await schema.execute(query % "", {"n": most})
    assert result.errors is None and len((result.data or {})["act"]["more"]) == most
    result = await schema.execute(query % " more(size: 9) { a }", {"n": most})
    assert result.data is None and len(result.errors or ()) == 1


async def test_what_lists_hold_is_bounded_although_it_was_not_foreseen() -> None:
    schema = build(Query)
    most = ROOM * Settings().query_cost_limit
    result = await schema.execute(
        "query ($n: Int!) { things(size: $n) { a b } }", {"n": most // 2 - 1}
    )
    assert result.errors is None
    result = await schema.execute(
        "query ($n: Int!) { thing { a } things(size: $n) { a b } }", {"n": most // 2}
    )
    (error,) = result.errors or ()
    assert (error.extensions or {})["code"] == "OPERATION_TOO_COSTLY"
    assert (error.path, result.data) == (["things"], None)
    # The first lists fill the room, the next ends it: nothing is made after that.
    made.clear()
    query = "query ($n: Int!) { things(size: $n) { more(size: $n) { a b } } }"
    result = await schema.execute(query, {"n": most // 100})
    assert len(result.errors or ()) == 1 and most // 4 < sum(made) <= most // 2 + most // 100
    introspection = await schema.execute(get_introspection_query())
    assert introspection.errors is None
