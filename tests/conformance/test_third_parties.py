"""What others publish, against a sandbox server: `make conformance` with fewer documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import node
from harness.command import run_parts
from harness.parts import PARTS, Run
from harness.results import Outcome
from node_packages import install_packages

EXAMPLES = 4  # documents for each operation
TOGETHER = [name for name, part in PARTS.items() if "server" in part.needs]


@pytest.fixture(scope="session")
def packages() -> Path:
    return install_packages(node.HERE)


def failures(outcome: Outcome) -> dict[str, str]:
    return {check.name: check.reason for check in outcome.checks if not check.passed}


@pytest.mark.timeout(600)
def test_audits_clients_and_relay(packages: Path) -> None:
    said: list[str] = []
    outcomes = run_parts(TOGETHER, Run(said.append))
    failed = {name: failures(outcome) for name, outcome in outcomes.items()}
    assert failed == {name: {} for name in TOGETHER}, "\n".join(said)
    asked = {name: len(outcome.checks) for name, outcome in outcomes.items()}
    assert asked == {
        "graphql-http": 61,
        "graphql-ws": 32,
        "graphql-sse": 12,
        "apollo": 5,
        "urql": 5,
        "relay": 10,
    }


def test_the_schema_passes_graphql_eslint(packages: Path) -> None:
    outcome = PARTS["eslint"].run(Run(print))
    assert (failures(outcome), len(outcome.checks)) == ({}, 26)


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing() -> None:
    said: list[str] = []
    outcome = PARTS["schemathesis"].run(Run(said.append, EXAMPLES, (1,)))
    assert failures(outcome) == {}, "\n".join(said)
    (row,) = outcome.details
    assert int(row["operations"]) > 80
    assert int(row["documents"]) > 3 * int(row["operations"])  # some have fewer different ones
