"""Attacks on the front door by documents and variables: what they may say, and what it costs.

Processor time is the server's: it runs in a thread of this process, and who asks only waits.
"""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from door import SECRET, Answer, Door

REFUSED_WITHIN = 0.3  # seconds of processor time
ALLOWED_WITHIN = 1.0
SLOWER = 3  # times: machines that do much else, whose caches are cold
REFUSALS = {"BAD_REQUEST", "GRAPHQL_PARSE_FAILED", "VALIDATION_FAILED", "OPERATION_TOO_COSTLY"}


def rows(count: int, each: str) -> str:
    return " ".join(each.replace("#", str(n)) for n in range(count))


def chain(count: int, body: str, more: str = "") -> str:
    fragments = " ".join(
        f"fragment F{n} on Query {{ {body.replace('#', str(n + 1))} }}" for n in range(count)
    )
    return f"{fragments} fragment F{count} on Query {{ __typename }} {more}"


def of(record: str) -> str:
    return f'{{ record(id: "x") {{ {record} }} }}'


DIGITS = "9" * 5000
DOCUMENTS: dict[str, str] = {
    # Fragments
    "a chain that doubles": "{ ...F0 } " + chain(90, "...F# ...F#"),
    "a chain that doubles, unused": "{ __typename } " + chain(90, "...F# ...F#"),
    "a chain that doubles, hidden by its names": "{ ...F0 } "
    + chain(90, "...F# ...F#", rows(90, "fragment F# on Query { __typename }")),
    "a chain that doubles by aliases": "{ ...F0 } "
    + chain(90, "a: node(id: 1) { ...F# } b: node(id: 1) { ...F# }"),
    "a chain longer than the stack": "{ ...F0 } " + chain(199, "...F#"),
    "a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "a circle of one": "{ ...A } fragment A on Query { ...A }",
    "a circle, unused": "{ __typename } fragment A on Query { node(id: 1) { ...A } }",
    "a circle through a field": of("...A") + " fragment A on Record { holder { record { ...A } } }",
    "wide and unused": "{ __typename } fragment F on Query { " + "__typename " * 4900 + "}",
    "wide and twice": "{ ...F } fragment F on Query { "
    + "__typename " * 4900
    + "} fragment F on Query { __typename }",
    "fragments of one name": "{ ...F } " + rows(199, "fragment F on Query { __typename }"),
    "fragments that cross": "{ __typename } "
    + " ".join(
        f"fragment F{n} on Query {{ {rows(20, f'...F{n}#')} }}" for n in range(100)
    ),
    "a fragment on a scalar": "{ ...F } fragment F on String { length }",
    "a fragment on an input": "{ ...F } fragment F on SignInInput { login }",
    "a fragment named on": "{ ...on } fragment on on Query { __typename }",
    "a fragment nobody wrote": "{ ...F }",
    # Numbers of things
    "aliases": of(rows(101, "a#: state")),
    "roots": rows(1, "{ ") + rows(31, "a#: __typename") + " }",
    "type names": "{ " + "__typename " * 4990 + "}",
    "type names below": of("__typename " * 4900),
    "mutations": "mutation { " + rows(11, "a#: __typename") + " }",
    "directives": "{ __typename " + "@include(if: true) " * 101 + "}",
    "directives on variables": "query(" + rows(101, "$a#: Int @deprecated") + ") { __typename }",
    "directives that nobody knows": "{ __typename " + rows(100, "@a#") + " }",
    "operations": rows(51, "query Q# { __typename }"),
    "operations of one name": rows(50, "query Q { __typename }"),
    "operations without names": rows(50, "{ __typename }"),
    "a subscription of two roots": "subscription { a: inboxEvents { __typename } b: inboxEvents"
    " { __typename } }",
    "a subscription of two roots by fragment": "subscription { ...F inboxEvents { __typename } }"
    " fragment F on Subscription { b: inboxEvents { __typename } }",
    "a subscription that is skipped": "subscription { inboxEvents @skip(if: true) { __typename } }",
    "a subscription that is included": "subscription($a: Boolean = false)"
    " { ... @include(if: $a) { inboxEvents { __typename } } }",
    "a subscription to a type's name": "subscription { __typename }",
    "a subscription to the schema": "subscription { __schema { description } }",
    "variables": "query(" + rows(1600, "$a#: Int") + ") { __typename }",
    "variables of one name": "query(" + "$a: Int " * 1600 + ") { __typename }",
    "variables of unknown types": "query(" + rows(1600, "$a#: A#") + ") { __typename }",
    "a variable that is no input": "query($a: Record) { __typename }",
    "a variable in its own default": "query($a: Int = $a) { __typename }",
    "arguments": "{ record(" + 'id: "x" ' * 1600 + ") { id } }",
    "arguments of unknown names": "{ record(" + rows(1600, "a#: 1") + ") { id } }",
    "fields of an object": "{ record(id: {" + "a: 1 " * 1600 + "}) { id } }",
    "comments": "#\n" * 5000 + "{ __typename }",
    # Depth
    "selections": "{ a" * 1600 + "}" * 1600,
    "lists": "{ node(id: " + "[" * 2400 + "]" * 2400 + ") { id } }",
    "objects": "{ node(id: " + "{ a: " * 1500 + "1" + "}" * 1500 + ") { id } }",
    "types of variables": "query($a: " + "[" * 2400 + "Int" + "]" * 2400 + ") { __typename }",
    "inline fragments": "{ ... " * 1600 + "__typename" + "}" * 1600,
    # Pairs
    "arguments that differ": of(rows(99, "a: documents(first: #) { totalCount }")),
    "arguments that differ, on many lines": "\n" * 80_000
    + of(rows(140, "documents(first: #) { totalCount }")),
    "fields that differ below": of(
        f"documents {{ edges {{ {rows(99, 'a: cursor')} }} }} documents {{ edges {{"
        f" {rows(99, 'a: node { id }')} }} }}"
    ),
    "objects that are equal": of(
        ("documents(first: {" + rows(10, "k#: #") + "}) { totalCount } ") * 100
    ),
    # Texts
    "a value where none belongs": '{ "' + f"{SECRET} Value " * 4000 + '" }',
    "a value that speaks of values": '{ "' + " cannot represent" * 5800 + '" }',
    "a value that ends early": '{ a(b: "' + SECRET * 5000,
    "a block that ends early": '{ a(b: """' + 'x"' * 49_000,
    "a name of any length": "{ " + "a" * 99_000 + " }",
    "a text of blanks": "," * 99_000,
    "a text of many lines": "\r\n" * 49_000 + "{ a }",
    "control characters": "{ __typename \x07 }",
    "half a surrogate": '{ node(id: "\\uD83D") { id } }',
    "a surrogate in braces": '{ node(id: "\\u{D83D}") { id } }',
    "a code point that is none": '{ node(id: "\\u{110000}") { id } }',
    "an escape that is none": '{ node(id: "\\x41") { id } }',
    "a number of many digits": of(f"documents(first: {DIGITS}) {{ totalCount }}"),
    "a number far below zero": of(f"documents(first: -{DIGITS}) {{ totalCount }}"),
    "a number of a large exponent": of(f"documents(first: 1e{DIGITS}) {{ totalCount }}"),
    "a default of many digits": f"query($n: Int = {DIGITS}) {of('documents(first: $n) { totalCount }')[1:]}",
    "an enum in quotes": of('documents(filter: {categories: ["\u0130"]}) { totalCount }'),
    "an enum in the quotes of a default": "query($f: DocumentFilterInput = {categories: [\"\u0130\"]}) "
    + of("documents(filter: $f) { totalCount }"),
    "a number that leads with zero": of("documents(first: 007) { totalCount }"),
    "a number that runs into a name": of("documents(first: 1a) { totalCount }"),
    # Not to be run
    "types": rows(600, "type A# { a: Int }"),
    "an extension of the schema": "extend schema { query: Query } { __typename }",
    "an enum of 4,000 values": "enum E {" + " A" * 4000 + " }",
    "a directive's definition": "directive @a on FIELD { __typename }",
    "an unknown operation": "delete { __typename }",
    "a leaf that is opened": of("state { x }"),
    "an object that is not": "{ viewer }",
    "introspection in introspection": "{ __schema { types { fields { type { fields { type { fields"
    " { name } } } } } } } }",
    "introspection that goes round": '{ __type(name: "Node") { possibleTypes { interfaces {'
    " possibleTypes { interfaces { name } } } } } }",
    "the whole schema, by aliases": "{ __schema { types { fields { "
    + rows(95, "a#: type { name kind description isOneOf }")
    + " } } } }",
    "the whole schema, by possible types": "{ __schema { types { possibleTypes { fields { "
    + rows(95, "a#: name")
    + " } } } } }",
    "pages in pages": of(
        "documents(first: 100) { edges { node { versions(first: 100) { edges { node { versions("
        "first: 100) { edges { node { id } } } } } } } } }"
    ),
    "pages in fragments": of(rows(95, "a#: documents(first: 100) { ...F }"))
    + " fragment F on DocumentConnection { edges { node { id title status } } }",
    "pages in inline fragments": "{ node(id: 1) { "
    + rows(90, "... on Record { a#: documents(first: 100) { edges { node { id } } } }")
    + " } }",
    "a list of ids": '{ nodes(ids: ["x"' + ' "x"' * 2400 + "]) { id __typename a: id b: id c: id } }",
    "the engine, for any day": of(
        rows(28, 'a#: prevention(asOf: "2026-01-10") { schedule }').replace("a1:", "b1:")
    ),
}  # fmt: skip


def refused(door: Door, query: str, variables: Any = None, **rest: Any) -> Answer:
    """Ask, and look at how it is refused, and for how much."""
    door.post()  # the first of a connection costs more
    started_at = process_time()
    answer = door.ask(query, variables, **rest)
    spent = process_time() - started_at
    assert answer.code in REFUSALS, answer
    assert answer.status == 400
    assert 0 < len(answer.errors) <= 5
    assert "data" not in answer.json
    assert SECRET.encode() not in answer.body
    assert spent < REFUSED_WITHIN * SLOWER, spent
    return answer


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_asks_too_much_is_refused_for_little(door: Door, name: str) -> None:
    query = DOCUMENTS[name]
    refused(door, query)
    with door.socket() as socket:
        socket.begin()
        socket.say({"type": "subscribe", "id": "1", "payload": {"query": query}})
        message = socket.message()
        assert (message["type"], message["id"]) == ("error", "1")
        assert message["payload"][0]["extensions"]["code"] in REFUSALS


def test_the_longest_chain_is_refused_at_once(door: Door) -> None:
    query = DOCUMENTS["a chain that doubles"]
    assert min(_spent(door, query) for _ in range(3)) < 0.05


def _spent(door: Door, query: str) -> float:
    started_at = process_time()
    assert door.ask(query).status in (200, 400)
    return process_time() - started_at


ALLOWED: dict[str, str] = {
    "nothing": "{ }",  # as the specification's next edition has it
    "the schema thirty times": "{ " + rows(30, "a#: __schema { types { fields { name } } }") + " }",
    "the schema": "{ __schema { types { fields { "
    + rows(45, "a#: type { name kind description specifiedByURL }")
    + " } } } }",
    "the schema's possible types": "{ __schema { types { interfaces { possibleTypes { "
    + rows(40, "a#: name")
    + " } } } } }",
    "the schema's arguments": "{ __schema { types { fields { "
    + rows(35, "a#: args { name description type { name kind } }")
    + " } } } }",
    "the schema's enums": "{ __schema { types { "
    + rows(95, "a#: enumValues { name description }")
    + " } } }",
    "one of": "{ __schema { types { isOneOf kind } } }",
    "pairs": of("documents(first: 1) { edges { node { " + "id " * 100 + "} } } " * 1),
    "comments": "#" + "x" * 95_000 + "\n{ __typename }",
    "block strings": '{ node(id: """' + "\n  a" * 24_000 + '""") { id } }',
    "escapes": '{ node(id: "' + "\\u{1F600}" * 11_000 + '") { id } }',
    "digits": "{ node(id: " + "9" * 99_000 + ") { id } }",
    "a default of digits": f"query($id: ID! = {DIGITS}) {{ node(id: $id) {{ id }} }}",
    "skipped": "query { " + rows(30, "a#: __typename @skip(if: true)") + " }",
    "inline fragments": "{ node(id: 1) { " + "... on Document { id } " * 140 + "} }",
    "spreads": "{ " + rows(30, "...F#") + " } " + rows(30, "fragment F# on Query { __typename }"),
    "operations": rows(50, "query Q# { __typename }"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_dearest_that_is_allowed_is_done_soon(door: Door, name: str) -> None:
    query = ALLOWED[name]
    started_at = process_time()
    answer = door.ask(query, operationName="Q7" if name == "operations" else None)
    spent = process_time() - started_at
    assert answer.status == 200, answer.body[:300]
    assert answer.json["extensions"]["cost"]["requested"] <= door.settings.query_cost_limit
    assert all(problem["extensions"]["code"] != "INTERNAL" for problem in answer.errors)
    assert spent < ALLOWED_WITHIN * SLOWER, spent
