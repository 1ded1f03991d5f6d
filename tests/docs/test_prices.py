"""What the guides show can be asked: it is taken, and costs no more than one operation may."""

from __future__ import annotations

import re
from pathlib import Path

import graph
import pytest
from graphql import ExecutableDefinitionNode, OperationDefinitionNode, parse

from carnet.settings import Settings
from carnet_graphql.operations.operation import Operation

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{guide.stem}-{number}")
    for guide in GUIDES
    for number, block in enumerate(
        re.findall(r"^```graphql\n(.*?)^```", guide.read_text(), re.DOTALL | re.MULTILINE), 1
    )
]


@pytest.mark.parametrize("text", BLOCKS)
def test_what_a_guide_shows_costs_no_more_than_it_may(text: str) -> None:
    definitions = parse(text).definitions
    assert all(isinstance(each, ExecutableDefinitionNode) for each in definitions)
    operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
    assert operations
    for each in operations:
        operation = graph.SCHEMA.operations.read(text, each.name.value if each.name else None)
        assert isinstance(operation, Operation), operation
        assert graph.SCHEMA.costs.of(operation, None) <= Settings().query_cost_limit
