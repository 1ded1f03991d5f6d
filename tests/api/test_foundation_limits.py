"""What clients learn of errors, and what a document may cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from time import process_time
from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLError, get_introspection_query, parse
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError, OperationalError

from carnet import errors
from carnet_graphql.assembly import build
from carnet_graphql.masking import mask, mask_all
from carnet_graphql.operations.limits import (
    ALIAS_LIMIT,
    DEPTH_LIMIT,
    DIRECTIVE_LIMIT,
    FIELD_LIMIT,
    FRAGMENT_LIMIT,
    MUTATION_LIMIT,
    OPERATION_LIMIT,
    PAIR_LIMIT,
    ROOT_LIMIT,
    TEXT_LIMIT,
    TOKEN_LIMIT,
    check_size,
)

SECRET = "DOMINIQUE PAT-TROIS 2 79 03"


class Request:
    """Stands where the server puts its own context; the schema reads only the id."""

    correlation_id = "c0ffee"


@strawberry.type(description="A node of an endless tree.")
class Tree:
    @strawberry.field(description="A leaf.")
    def leaf(self) -> int:
        return 1

    @strawberry.field(description="Another tree.")
    def tree(self) -> Tree:
        return Tree()

    @strawberry.field(description="Fails in every item but the first.")
    async def items(self) -> list[int | None]:
        return [1, SECRET, 3]  # the fault under test

    @strawberry.field(description="Fails.")
    async def fails(self) -> int | None:
        raise RuntimeError(SECRET)

    @strawberry.field(description="Fails in SQL.")
    async def sql(self) -> int | None:
        raise IntegrityError("INSERT INTO persons", {"name": SECRET}, ValueError(SECRET))

    @strawberry.field(description="Finds no database.")
    async def away(self) -> int | None:
        raise OperationalError("SELECT", {"name": SECRET}, ConnectionRefusedError(SECRET))

    @strawberry.field(description="Promises a number.")
    async def nothing(self) -> int:
        return None  # the fault under test

    @strawberry.field(description="Content is gone.")
    async def content(self) -> int | None:
        raise errors.ContentCorrupted()

    @strawberry.field(description="A fault of the operator's.")
    async def mistake(self) -> int | None:
        raise errors.UserMistake(SECRET)


@strawberry.type(description="The root.")
class Query(Tree):
    pass


@strawberry.type(description="Changes.")
class Mutation:
    @strawberry.mutation(description="Fails.")
    async def fail(self, value: UUID) -> int | None:
        raise KeyError(SECRET)


@strawberry.type(description="Streams.")
class Subscription:
    @strawberry.subscription(description="Counts, then fails.")
    async def count(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError(SECRET)

    @strawberry.subscription(description="Trees.")
    async def trees(self) -> AsyncGenerator[Tree, None]:
        yield Tree()


SCHEMA = build(Query, Mutation, Subscription)
CLOSED = build(Query, Mutation, introspection=False)


async def ask(query: str, schema: strawberry.Schema = SCHEMA, **variables: object) -> Any:
    return await schema.execute(query, variables, context_value=Request())


def formatted(result: Any) -> list[dict[str, Any]]:
    return [dict(error.formatted) for error in result.errors or []]


MASKED = {"code": "INTERNAL", "correlationId": "c0ffee"}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ fails }", {}),
        ("{ tree { sql } }", {}),
        ("{ items }", {}),
        ("{ nothing }", {}),
        ("{ mistake }", {}),
        ("mutation ($v: UUID!) { fail(value: $v) }", {"v": str(UUID(int=1))}),
    ],
)
async def test_a_fault_is_masked_and_logged_without_its_values(
    query: str, variables: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    result = await ask(query, **variables)
    (problem,) = formatted(result)
    assert problem["message"] == "Something went wrong."
    assert problem["extensions"] == MASKED
    assert problem["path"]
    assert SECRET not in caplog.text
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in records] == ["carnet.graphql"]
    assert "failure c0ffee: " in caplog.text


async def test_a_database_that_is_away_is_said_as_such(caplog: pytest.LogCaptureFixture) -> None:
    (problem,) = formatted(await ask("{ away }"))
    assert problem["extensions"] == {"code": "UNAVAILABLE", "correlationId": "c0ffee"}
    assert "failure c0ffee: " in caplog.text
    assert SECRET not in caplog.text + problem["message"]


async def test_the_log_names_the_kinds_and_the_place(caplog: pytest.LogCaptureFixture) -> None:
    await ask("{ fails }")
    assert "builtins.RuntimeError" in caplog.text
    assert "test_foundation_limits.py" in caplog.text
    assert " fails" in caplog.text


async def test_every_event_of_a_subscription_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    stream = await SCHEMA.subscribe("subscription { count }", context_value=Request())
    answers = [answer async for answer in stream]
    assert answers[0].data == {"count": 1}
    assert formatted(answers[-1])[0]["message"] == "Something went wrong."
    stream = await SCHEMA.subscribe(
        "subscription { trees { leaf items fails } }", context_value=Request()
    )
    answers = [answer async for answer in stream]
    assert answers[0].data == {"trees": {"leaf": 1, "items": [1, None, 3], "fails": None}}
    assert [problem["extensions"] for problem in formatted(answers[0])] == [MASKED, MASKED]
    assert SECRET not in caplog.text


async def test_content_that_is_gone_says_so_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (problem,) = formatted(await ask("{ content }"))
    assert problem["extensions"]["code"] == "CONTENT_CORRUPTED"
    assert "carnet.errors.ContentCorrupted" in caplog.text


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("{ leaf", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ leef }", "BAD_REQUEST", "Cannot query field 'leef'"),
        ('mutation { fail(value: "x") }', "BAD_REQUEST", "UUID: A UUID in its hyphenated form."),
        ("mutation ($v: UUID!) { fail(value: $v) }", "BAD_REQUEST", "Variable '$v'"),
        ("", None, None),
    ],
)
async def test_a_complaint_about_the_request_keeps_its_message(
    query: str, code: str | None, message: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if code is None:
        with pytest.raises(Exception, match="missing a"):
            await ask(query)
        return
    (problem,) = formatted(await ask(query))
    assert problem["extensions"] == {"code": code, "correlationId": "c0ffee"}
    assert message is not None and message in problem["message"]
    assert caplog.records == []


async def test_at_most_5_validation_errors() -> None:
    result = await ask("{ tree { " + " ".join(f"wrong{n}" for n in range(300)) + " } }")
    assert len(result.errors) == 5


def test_masking_twice_changes_nothing() -> None:
    once = mask(GraphQLError("x", original_error=RuntimeError(SECRET)), "one")
    assert mask_all([once], "two") == [once]
    assert mask_all(None, "one") is None
    assert mask_all([], "one") is None


async def test_introspection_passes_in_development_and_not_in_production() -> None:
    query = get_introspection_query()
    result = await ask(query)
    assert result.errors is None
    result = await ask(query, CLOSED)
    assert result.data is None
    assert "introspection has been disabled" in formatted(result)[0]["message"]
    assert (await ask("{ __typename leaf }", CLOSED)).data == {"__typename": "Query", "leaf": 1}


async def test_only_development_makes_suggestions() -> None:
    assert "Did you mean" in formatted(await ask("{ leav }"))[0]["message"]
    assert "Did you mean" not in formatted(await ask("{ leav }", CLOSED))[0]["message"]


def nested(depth: int) -> str:
    return "{ tree " * (depth - 1) + "{ leaf }" + " }" * (depth - 1)


async def test_depth_is_bounded_exactly() -> None:
    assert (await ask(nested(DEPTH_LIMIT))).errors is None
    (problem,) = formatted(await ask(nested(DEPTH_LIMIT + 1)))
    assert problem["message"] == f"Fields may be nested at most {DEPTH_LIMIT} deep."


async def test_depth_counts_through_fragments_and_inline_fragments() -> None:
    half = "{ tree " * 10 + "{ %s }" + " }" * 10
    fragment = " fragment F on Tree " + half.replace("%s", "leaf")
    problems = formatted(await ask(half.replace("%s", "...F") + fragment))
    assert "nested at most" in problems[0]["message"]
    inline = half.replace("%s", "... on Tree " + half.replace("%s", "leaf"))
    assert "nested at most" in formatted(await ask(inline))[0]["message"]


async def test_fields_are_bounded_exactly() -> None:
    def query(count: int) -> str:
        # Spread out ten times: the document itself stays far below the limit of tokens.
        theirs = f"fragment F on Tree {{ {'leaf ' * 9} }}"
        own = "leaf " * (count - 2 - 90 * (2 + 9))
        spread = " ".join(f"b{n}: tree {{ ...F }}" for n in range(90))
        assert len(own) // 5 < 1100
        return f"{{ tree {{ {spread} t: tree {{ {own} }} }} }} {theirs}"

    # Its own leaves are many pairs: so only the message tells which bound was met.
    (problem,) = formatted(await ask(query(FIELD_LIMIT)))
    assert problem["message"] == "Too many selections of the same field."
    (problem,) = formatted(await ask(query(FIELD_LIMIT + 1)))
    assert problem["message"].startswith(f"At most {FIELD_LIMIT} fields")


@pytest.mark.parametrize(
    ("limit", "query", "message"),
    [
        (
            ALIAS_LIMIT,
            lambda n: "{ tree { " + "".join(f"a{i}: leaf " for i in range(n)) + "} }",
            "aliases",
        ),
        (
            ALIAS_LIMIT,
            lambda n: (
                "{ tree { ...F ...F "
                + "x: leaf " * (n % 2)
                + "} } fragment F on Tree { "
                + "".join(f"a{i}: leaf " for i in range(n // 2))
                + "}"
            ),
            "aliases",
        ),
        (ROOT_LIMIT, lambda n: "{ " + "leaf " * n + "}", "at the root"),
        (
            ROOT_LIMIT,
            lambda n: (
                "{ ...F "
                + "leaf " * (n - 5)
                + "} fragment F on Query { ... { "
                + "leaf " * 5
                + "} }"
            ),
            "at the root",
        ),
        (MUTATION_LIMIT, lambda n: "mutation { " + "__typename " * n + "}", "at the root"),
        (
            DIRECTIVE_LIMIT,
            lambda n: (
                "{ "
                + "leaf @include(if: true) " * 10
                + "tree { "
                + "leaf @skip(if: false) " * (n - 10)
                + "} }"
            ),
            "directives",
        ),
        (
            FRAGMENT_LIMIT,
            lambda n: (
                "{ tree { "
                + "".join(f"a{i}: tree {{ ...F{i} }} " for i in range(100))
                + "} } "
                + "".join(
                    f"fragment F{i} on Tree {{ leaf {f'...F{i + 100}' if i + 100 < n else ''} }} "
                    for i in range(n)
                )
            ),
            "fragments",
        ),
        (
            OPERATION_LIMIT,
            lambda n: " ".join(f"query Q{i} {{ leaf }}" for i in range(n)),
            "operations",
        ),
    ],
    ids=[
        "aliases",
        "aliases in fragments",
        "roots",
        "roots in fragments",
        "mutations",
        "directives",
        "fragments",
        "operations",
    ],
)
async def test_each_number_is_bounded_exactly(limit: int, query: Any, message: str) -> None:
    assert check_size(parse(query(limit))) is None
    refused = check_size(parse(query(limit + 1)))
    assert refused is not None and refused.message.startswith(f"At most {limit} ")
    assert message in refused.message
    (problem,) = formatted(await ask(query(limit + 1)))
    assert problem["message"] == refused.message


def test_what_has_to_be_compared_is_bounded() -> None:
    """graphql-core compares every pair of selections of one name, and what is below each."""

    def query(count: int) -> str:
        return "{ tree { " + "tree { leaf } " * count + "} }"

    most = max(n for n in range(200) if n * (n - 1) // 2 * 2 <= PAIR_LIMIT)  # two levels
    assert check_size(parse(query(most))) is None
    refused = check_size(parse(query(most + 1)))
    assert refused is not None and refused.message == "Too many selections of the same field."


async def test_a_text_is_bounded_exactly() -> None:
    assert (await ask("{ leaf }".ljust(TEXT_LIMIT))).errors is None
    (problem,) = formatted(await ask("{ leaf }".ljust(TEXT_LIMIT + 1)))
    assert problem["message"] == f"A document has at most {TEXT_LIMIT} characters."


@pytest.mark.parametrize(
    "body",
    ["...F{next} ...F{next}", "tree {{ ...F{next} }} other: tree {{ ...F{next} }}"],
    ids=["spreads", "fields"],
)
async def test_a_chain_of_doubling_fragments_is_refused_at_once(body: str) -> None:
    chain = " ".join(
        f"fragment F{number} on Tree {{ {body.format(next=number + 1)} }}" for number in range(90)
    )
    query = "{ tree { ...F0 } } " + chain + " fragment F90 on Tree { leaf }"
    document = parse(query)
    started_at = process_time()
    assert check_size(document) is not None
    assert process_time() - started_at < 0.05  # an exponential rule would not end at all
    result = await asyncio.wait_for(ask(query), 5)
    assert result.data is None and len(result.errors) == 1


async def test_a_chain_longer_than_the_stack_is_refused_too() -> None:
    chain = " ".join(f"fragment F{n} on Tree {{ ...F{n + 1} }}" for n in range(600))
    result = await ask("{ tree { ...F0 } } " + chain + " fragment F600 on Tree { leaf }")
    assert result.data is None
    assert {problem["extensions"]["code"] for problem in formatted(result)} == {"BAD_REQUEST"}


async def test_fragments_in_a_circle_are_refused() -> None:
    result = await ask(
        "{ tree { ...A } } fragment A on Tree { ...B } fragment B on Tree { ...A leaf }"
    )
    (problem,) = formatted(result)
    assert problem["message"] == "Fragments may not spread each other in a circle."


async def test_of_several_operations_one_must_be_named() -> None:
    query = "query A { leaf } query B { tree { leaf } }"
    assert "operationName" in formatted(await ask(query))[0]["message"]
    result = await SCHEMA.execute(query, context_value=Request(), operation_name="B")
    assert result.data == {"tree": {"leaf": 1}}


async def test_an_unknown_fragment_is_a_validation_error() -> None:
    assert "Unknown fragment" in formatted(await ask("{ ...Nothing }"))[0]["message"]


@pytest.mark.parametrize("filler", ["leaf ", "#\n", "{"], ids=["names", "comments", "braces"])
async def test_tokens_are_bounded(filler: str) -> None:
    result = await ask("{ leaf " + filler * TOKEN_LIMIT + "}")
    assert result.data is None
    assert formatted(result)[0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


@given(st.lists(st.lists(st.integers(0, 12), max_size=4), min_size=1, max_size=12))
def test_the_measure_equals_a_walk_of_the_spread_out_document(graph: list[list[int]]) -> None:
    # Fragment n spreads only later fragments, so the slow walk ends.
    count = len(graph)
    spreads = [
        [target for target in targets if n < target < count] for n, targets in enumerate(graph)
    ]

    def walk(number: int) -> tuple[int, int]:
        depth, fields = 2, 2
        for target in spreads[number]:
            inner = walk(target)
            depth, fields = max(depth, 1 + inner[0]), fields + 1 + inner[1]
        return depth, fields

    text = "{ ...F0 } " + " ".join(
        f"fragment F{n} on Tree {{ tree {{ leaf {' '.join(f'...F{t}' for t in targets)} }} }}"
        for n, targets in enumerate(spreads)
    )
    depth, fields = walk(0)
    refused = check_size(parse(text))
    assert (refused is not None) == (depth > DEPTH_LIMIT or fields + 1 > FIELD_LIMIT)
