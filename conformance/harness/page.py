"""Writes docs/conformance.md from what is kept: no dates, so that only what changed differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.node import HERE
from harness.parts import PARTS
from harness.results import Outcome

FILE = HERE.parent / "docs" / "conformance.md"
HEAD = """\
# Carnet against what others publish

Audits, clients, compilers and a fuzzer, as their publishers ship them, against a sandbox server
over HTTP and sockets. `make conformance` runs them all and writes this page; two parts alone:
`make conformance ARGS="relay eslint"`, and `ARGS=--help` says more. Nothing in a third party's
audit is changed or left out. `make test` runs the same, with fewer documents from Schemathesis.
"""
NOTES = {
    "eslint": """\
Two rules are told what they cannot know; the reasons are in `conformance/eslint.mjs`:

- `strict-id-in-types` asks each object for an id unless it has no logical one, and takes the names
  of those. An event's is its `eventId`. That none of the named is a `Node` is checked as well.
- `relay-edge-types` has a part by which a list may hold edges only: no given names, and not Relay's
  own `nodes(ids:)`. It is off; instead, each list of nodes that is no connection has to be named
  with what bounds it.
""",
    "schemathesis": """\
Each seed has a server of its own, with fresh data. Generated ids are replaced by ones that
somebody of the sandbox has seen, else every answer would be `BAD_ID`. Each answer goes through
Schemathesis' checks `not_a_server_error`, `response_schema_conformance` and
`negative_data_rejection`, and through `conformance/harness/answers.py`, which asks for the media
type, the shape of GraphQL's answer, a code of `ErrorCode` or of HTTP on each error, and
`Retry-After` with 429. An error of a resolver that has one of these codes is a refusal, not a
server error: Schemathesis knows only Apollo's codes.
""",
}


def write(outcomes: Mapping[str, Outcome], file: Path = FILE) -> None:
    """Write the page."""
    file.write_text("\n".join(_lines(outcomes)) + "\n", "utf-8")


def _lines(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    yield HEAD
    yield "| part | passed | with |"
    yield "|---|---|---|"
    kept = [(name, part, outcomes.get(name)) for name, part in PARTS.items()]
    for name, part, outcome in kept:
        if outcome is None:
            yield f"| [{part.title}](#{name}) | not run yet | |"
            continue
        packages = ", ".join(f"{package} {of}" for package, of in outcome.versions.items())
        passed = f"{outcome.passed} of {len(outcome.checks)}"
        yield f"| [{part.title}](#{name}) | {passed} | {packages} |"
    for name, part, outcome in kept:
        yield f"\n## {name}\n"
        yield f"{part.about[0].upper()}{part.about[1:]}.\n"
        if name in NOTES:
            yield NOTES[name]
        if outcome is not None:
            yield from _outcome(outcome)


def _outcome(outcome: Outcome) -> Iterator[str]:
    if outcome.details:
        columns = list(outcome.details[0])
        yield "| " + " | ".join(columns) + " |"
        yield "|" + "---|" * len(columns)
        for row in outcome.details:
            yield "| " + " | ".join(row.values()) + " |"
        yield ""
    yield "| check | result |"
    yield "|---|---|"
    for check in outcome.checks:
        result = "passed" if check.passed else f"**failed**: {_cell(check.reason)}"
        yield f"| {_cell(check.name)} | {result} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:500]
