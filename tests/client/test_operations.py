"""Every document that the client sends is one that the server takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from carnet_client import operations
from carnet_client.operations import Operation

ROOT = Path(__file__).parents[2]
OPERATIONS = [each for each in vars(operations).values() if isinstance(each, Operation)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_schema_has_all_that_is_asked_for(operation: Operation) -> None:
    document = parse(operation.text)
    assert validate(SCHEMA, document) == []
    (definition,) = document.definitions
    assert definition.name.value == operation.name
    fields = [selection.name.value for selection in definition.selection_set.selections]
    assert fields == [operation.field]


SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
