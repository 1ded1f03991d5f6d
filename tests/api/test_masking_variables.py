"""What a complaint about variables says of them: nothing that the sender chose, values or keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import graph
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLError,
    OperationDefinitionNode,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    parse,
)
from graphql.execution.values import get_variable_values

from carnet_graphql.masking import mask_all

SCHEMA = graph.SCHEMA._schema
SECRET = "dominique.pat-trois@example.org"
KEYS = (
    SECRET,
    f"', found: {SECRET}",
    f"Value {SECRET} does not exist in {SECRET}",
    f"\n{SECRET}\n",
)
WRONG: list[Any] = [
    SECRET,
    f"String '{SECRET}",
    [SECRET],
    {SECRET: SECRET},
    {"__typename": SECRET},
    [[{SECRET: {}}]],
    2790375056,
    27903.75056,
    True,
]


def arguments() -> dict[str, GraphQLArgument]:
    """Return one argument for each type that any has."""
    return {
        str(argument.type): argument
        for kind in SCHEMA.type_map.values()
        for field in getattr(kind, "fields", {}).values()
        for argument in getattr(field, "args", {}).values()
    }


ARGUMENTS = arguments()


def wrong(kind: Any, depth: int = 4) -> Iterator[Any]:
    """Yield values that do not fit the type, each in another place of it."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        yield from ([each] for each in wrong(kind.of_type, depth))
        return
    yield from WRONG
    if is_input_object_type(kind) and depth:
        yield from ({key: SECRET} for key in KEYS)
        yield {key: SECRET for key in kind.fields} | {SECRET: None}
        for name, field in kind.fields.items():
            yield from ({name: each} for each in wrong(field.type, depth - 1))


def complaints(kind: str, value: Any) -> list[GraphQLError]:
    (operation,) = parse(f"query ($given: {kind}) {{ __typename }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    found = get_variable_values(SCHEMA, operation.variable_definitions, {"given": value})
    return mask_all(found if isinstance(found, list) else None, "c0ffee") or []


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_no_complaint_says_what_a_variable_held(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for value in wrong(ARGUMENTS[kind].type):
        for error in complaints(kind, value):
            said = str(error.formatted) + caplog.text
            assert "pat-trois" not in said and "79037" not in said, (value, said)
            assert error.message.startswith("Variable '$given' has invalid value"), error.message
            assert (error.extensions or {})["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_unknown_is_complained_of_where_it_is(key: str) -> None:
    (error,) = complaints("ProfileEntryInput", {"section": "ALLERGIES", "label": "x", key: 1})
    assert error.message == (
        "Variable '$given' has invalid value:"
        " Expected value of type 'ProfileEntryInput' not to include unknown fields."
    )


async def test_what_is_written_in_the_document_is_named() -> None:
    """It is the front end's own text, and its developer looks for it."""
    result = await graph.SCHEMA.execute(
        'mutation { addProfileEntry(input: {recordId: "x", entri: {}}) { __typename } }'
    )
    assert any("unknown field 'entri'" in error.message for error in result.errors or ())
