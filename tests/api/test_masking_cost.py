"""Taking values out of complaints costs what their length says, whatever the values are."""

from __future__ import annotations

import re
import time

import graph
import pytest
from graphql import OperationDefinitionNode, parse
from graphql.execution.values import get_variable_values
from hypothesis import given
from hypothesis import strategies as st

from carnet_graphql.masking import without_values

MOST_SECONDS = 0.5  # of this thread's processor time; anybody could make it take five


@pytest.mark.parametrize(
    "value",
    [" cannot represent" * 6_000, "Value " * 15_000, "String '" * 10_000, ", found" * 9_000],
)
@pytest.mark.parametrize("frame", ["{}", 'Expected value of type "Int!", found "{}".', "Value '{}"])
def test_no_value_makes_it_slow(value: str, frame: str) -> None:
    began = time.thread_time()
    without_values(frame.format(value))
    assert time.thread_time() - began < MOST_SECONDS


def test_a_stranger_cannot_make_a_complaint_slow() -> None:
    document = parse("query($kind: PreventionKind!) { __typename }")
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    sent = {"kind": " cannot represent" * 6_000}
    found = get_variable_values(graph.SCHEMA._schema, operation.variable_definitions, sent)
    assert isinstance(found, list)
    began = time.thread_time()
    told = [without_values(error.message) for error in found]
    assert time.thread_time() - began < MOST_SECONDS
    assert told == [
        "Variable '$kind' has invalid value: That value does not exist in 'PreventionKind' enum."
    ]


_WORDS = st.lists(
    st.sampled_from(["Value ", " does not exist in ", "x", "'", " "]), max_size=12
).map("".join)


@given(message=_WORDS)
def test_a_value_of_an_enum_goes_as_a_pattern_would_take_it(message: str) -> None:
    wanted = re.sub(
        r"Value .* does not exist in ", "That value does not exist in ", message, flags=re.DOTALL
    )
    assert without_values(message) == wanted
