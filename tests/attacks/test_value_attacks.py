"""Attacks by values: wrong ones for every argument of the schema, as a stranger and as a patient.

The arguments are found in the schema: one that is added tomorrow is attacked tomorrow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import graph
import pytest
from door import SECRET, Door
from graphql import (
    GraphQLField,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_object_type,
    is_required_argument,
)

SCHEMA = graph.SCHEMA._schema
TEXTS = ("String", "ID", "Cursor", "URL")
SAMPLES: dict[str, Any] = {
    "Int": 1,
    "Float": 1.5,
    "Boolean": True,
    "UUID": "01890a5d-ac96-774b-bcce-b302099a8057",
    "Date": "1980-05-04",
    "DateTime": "2026-01-10T08:00:00Z",
    "PartialDate": "2026-01",
    "Decimal": "1.5",
    "Base64Bytes": "AAAA",
}
ID = "AQGJCl2sdndLvM6zAgmagFdEb2N1bWVudA"  # of a document that nobody has
WRONG: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, -(2**63), 1e308, "", " ", SECRET, f"{SECRET}\n" * 9,
    "null", "1e5", "٣", "\u202e\u0301", "\U0001f489", "a" * 20_000, [], [[]], [SECRET], ["\u0130"], [None], {},
    {"a": SECRET}, {SECRET: 1}, {"__typename": "x"}, {"\u0130\n": {}}, [[[[[[1]]]]]], "2026-02-30", "0000-01-01",
    "9999-12-31", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+99:99", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "AA=", "AB", "A", "AA", "\u0130", "0" * 36, "1" * 50 + ".0", "NaN",
    "-0", "-Infinity", "../../etc/passwd", "'; DROP TABLE x; --", "%s%n", "${7*7}", "\\u0000", ID,
    "AQ", "Ag" + ID[2:], "http://169.254.169.254/", "//x", "a@b", "mailto:" + SECRET, "=1+1",
]  # fmt: skip


def paths() -> dict[str, str]:
    """Return for each type of objects a query that comes to it, with ``%s`` for its selections."""
    found = {"Query": "{ %s }"}
    waiting = deque([SCHEMA.query_type])
    while waiting:
        kind: Any = waiting.popleft()
        for name, field in kind.fields.items():
            required = [a for a, given in field.args.items() if is_required_argument(given)]
            below = get_named_type(field.type)
            if not is_composite_type(below) or (
                required and (kind.name, name) != ("Query", "record")
            ):
                continue
            call = f"{name}(id: RECORD)" if required else name
            for each in [below] if is_object_type(below) else SCHEMA.get_possible_types(below):
                if each.name not in found:
                    inner = f"{call} {{ ... on {each.name} {{ %s }} }}"
                    found[each.name] = found[kind.name] % inner
                    waiting.append(each)
    return found | {"Mutation": "mutation { %s }"}


def fields() -> Iterator[tuple[str, str, GraphQLField]]:
    """Yield each field with arguments: its name, how to come to it, itself."""
    for owner, path in paths().items():
        kind: Any = SCHEMA.type_map[owner]
        for name, field in kind.fields.items():
            if field.args:
                yield f"{owner}.{name}", path, field


FIELDS = {name: (path, field) for name, path, field in fields()}


def filled(kind: Any, wrong: Any, *, is_all: bool) -> Any:
    """Return a value of the type in which texts are wrong, or everything is."""
    kind = get_nullable_type(kind)
    if is_list_type(kind):
        return [filled(kind.of_type, wrong, is_all=is_all)]
    if is_input_object_type(kind):
        if isinstance(wrong, dict) and is_all:
            return wrong
        given = {
            name: filled(field.type, wrong, is_all=is_all) for name, field in kind.fields.items()
        }
        return dict([next(iter(given.items()))]) if kind.is_one_of else given
    if is_all or kind.name in TEXTS:
        return wrong
    return next(iter(kind.values)) if is_enum_type(kind) else SAMPLES[kind.name]


@pytest.mark.parametrize("name", FIELDS)
def test_no_value_of_an_argument_is_a_fault(door: Door, name: str) -> None:
    path, field = FIELDS[name]
    leaf = name.partition(".")[2]
    declared = ", ".join(f"${key}: {given.type}" for key, given in field.args.items())
    passed = ", ".join(f"{key}: ${key}" for key in field.args)
    below = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    document = path.replace("RECORD", f'"{door.record}"') % f"{leaf}({passed}){below}"
    head, separator, rest = document.partition("{")
    query = f"{head.strip() or 'query'}({declared}) {separator}{rest}"
    token = door.token(door.holder)
    for number, wrong in enumerate(WRONG):
        for is_all in (False, True) if isinstance(wrong, str) else (True,):
            variables = {
                key: filled(given.type, wrong, is_all=is_all) for key, given in field.args.items()
            }
            answer = door.post(
                {"query": query, "variables": variables},
                b"Accept: application/graphql-response+json",
                token=token if number % 4 else None,
            )
            assert answer.status in (200, 400), (wrong, answer)
            for problem in answer.errors:
                assert problem["extensions"]["code"] != "INTERNAL", (wrong, problem)
                assert SECRET not in problem["message"], (wrong, problem)
