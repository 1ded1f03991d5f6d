"""Operations over HTTP: what is taken, the good, the bad and the malformed, and what is answered."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_app import JSON, QUERY, SECRET, Serve, client_of, code, data, post, unreachable

from carnet import errors
from carnet.http.operations.negotiation import preferred_type
from carnet.http.operations.requests import VALUES_LIMIT, check_values


async def test_an_operation_is_answered_with_safe_headers(serve: Serve) -> None:
    async with serve() as client:
        answer = await post(client, {"query": "{ who }"})
    assert answer.status_code == 200
    assert data(answer) == {"who": "ANONYMOUS 127.0.0.1"}
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-correlation-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "strict-transport-security" not in answer.headers


async def test_variables_and_operation_names_reach_the_schema(serve: Serve) -> None:
    async with serve() as client:
        body = {
            "query": "query A($t: String!) { echo(text: $t) } query B { who }",
            "variables": {"t": "é\U0001f489"},
            "operationName": "A",
            "extensions": {},
        }
        assert data(await post(client, body)) == {"echo": "é\U0001f489"}


MALFORMED: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("not JSON", b"{"),
    ("null", b"null"),
    ("a number", b"1"),
    ("a string", b'"{ who }"'),
    ("a list", b'[{"query": "{ who }"}]'),
    ("no query", b"{}"),
    ("a null query", b'{"query": null}'),
    ("an empty query", b'{"query": " "}'),
    ("a query that is a list", b'{"query": ["{ who }"]}'),
    ("variables that are a list", orjson.dumps(QUERY | {"variables": []})),
    ("variables that are text", orjson.dumps(QUERY | {"variables": "{}"})),
    ("an operation name that is a number", orjson.dumps(QUERY | {"operationName": 1})),
    ("extensions that are true", orjson.dumps(QUERY | {"extensions": True})),
    ("invalid UTF-8", b'{"query": "{ who \xff }"}'),
    ("UTF-16", '{"query": "{ who }"}'.encode("utf-16")),
    ("a lone surrogate", b'{"query": "{ who }", "variables": {"a": "\\ud800"}}'),
    ("deep lists", b"[" * 100_000),
    ("deep objects", b'{"a":' * 100_000),
    ("deep variables", b'{"query": "{ who }", "variables": {"a": ' + b"[" * 50_000),
    ("an endless number", b'{"query": "{ who }", "variables": {"a": ' + b"9" * 5000 + b"}}"),
    ("NaN", b'{"query": "{ who }", "variables": {"a": NaN}}'),
    ("NUL in a variable", b'{"query": "{ who }", "variables": {"a": ["x\\u0000"]}}'),
    ("NUL in a literal", b'{"query": "{ echo(text: \\"\\\\u0000\\") }"}'),
    ("NUL in braces", b'{"query": "{ echo(text: \\"\\\\u{000}\\") }"}'),
    ("raw NUL", b'{"query": "{ who }\x00"}'),
    ("a subscription", b'{"query": "subscription { one }"}'),
    ("a file", b"\x89PNG\r\n\x1a\n"),
]


@pytest.mark.parametrize("body", [body for _, body in MALFORMED], ids=[n for n, _ in MALFORMED])
async def test_a_malformed_body_is_a_clear_400(
    serve: Serve, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        answer = await post(client, body)
    assert answer.status_code == 400
    assert code(answer) in {"VALIDATION_FAILED", "BAD_REQUEST"}
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_deep_valid_variables_are_a_request_error(serve: Serve) -> None:
    body = b'{"query": "query ($v: Int) { number(value: $v) }", "variables": {"v": %s}}'
    async with serve() as client:
        answer = await post(client, body % (b"[" * 900 + b"]" * 900))
    assert answer.status_code == 200
    assert code(answer) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/graphql",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonp",
    ],
)
async def test_only_json_is_taken(serve: Serve, content_type: str) -> None:
    async with serve() as client:
        answer = await post(client, QUERY, content_type=content_type)
    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_charset_of_utf_8_is_taken(serve: Serve) -> None:
    async with serve() as client:
        for content_type in ('application/json;charset="UTF-8"', "Application/JSON; charset=utf-8"):
            assert (await post(client, QUERY, content_type=content_type)).status_code == 200


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        (
            "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
            "application/graphql-response+json",
        ),
        ("application/json, application/graphql-response+json", "application/json"),
        (
            "application/json;q=0.5, application/graphql-response+json",
            "application/graphql-response+json",
        ),
        ("application/json, multipart/mixed", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
        (",;=,", None),
    ],
)
async def test_the_media_type_is_negotiated(
    serve: Serve, accept: str, expected: str | None
) -> None:
    assert preferred_type(accept) == expected
    async with serve() as client:
        answer = await post(client, QUERY, accept=accept)
    if expected is None:
        assert (answer.status_code, code(answer)) == (406, "NOT_ACCEPTABLE")
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


async def test_statuses_of_documents_that_do_not_run(serve: Serve) -> None:
    async with serve() as client:
        for query, name in (
            ("{ who", None),
            ("{ whom }", None),
            ("query ($v: Int!) { number(value: $v) }", None),
            ("fragment F on Query { who }", None),
            ("query A { who }", "B"),
            ("query A { who } query B { who }", None),
        ):
            body = {"query": query, "operationName": name}
            assert (await post(client, body)).status_code == 200
            typed = await post(client, body, accept="application/graphql-response+json")
            assert typed.status_code == 400
            assert code(typed) in {"BAD_REQUEST", "GRAPHQL_PARSE_FAILED"}


@pytest.mark.parametrize("query", ["{ fails }", "{ surrogate }"])
async def test_a_fault_of_ours_is_masked(
    serve: Serve, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        answer = await post(client, {"query": query})
    assert answer.json()["errors"][0]["message"] == "Something went wrong."
    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert answer.headers["x-correlation-id"] in caplog.text
    assert SECRET not in caplog.text


async def test_a_body_is_bounded_whether_it_says_its_length_or_not(serve: Serve) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    async with serve(request_limit_bytes=2000) as client:
        exact = orjson.dumps(QUERY).ljust(2000)
        assert (await post(client, exact)).status_code == 200
        answer = await post(client, exact + b" ")
        assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")
        answer = await client.post("/graphql", content=chunks(), headers=JSON)
        assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")


ECHO = "query Echo($t: String!) { echo(text: $t) }"


async def test_queries_are_taken_by_get_as_well(serve: Serve) -> None:
    parameters = {"query": ECHO, "variables": '{"t": "é"}', "operationName": "Echo"}
    async with serve() as client:
        answer = await client.get("/graphql", params=parameters | {"extensions": "{}"})
        assert (answer.status_code, data(answer)) == (200, {"echo": "é"})
        empty = {"variables": "", "operationName": "", "extensions": "null"}
        answer = await client.get("/graphql", params={"query": "{ who }"} | empty)
        assert data(answer) == {"who": "ANONYMOUS 127.0.0.1"}
        answer = await client.head("/graphql", params={"query": "{ who }"})
        assert (answer.status_code, answer.content) == (200, b"")
        # A browser's address bar asks for HTML; a query in it is run all the same.
        page = {"accept": "text/html,*/*;q=0.8"}
        answer = await client.get("/graphql", params={"query": "{ who }"}, headers=page)
        assert data(answer) == {"who": "ANONYMOUS 127.0.0.1"}


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("", 400, "VALIDATION_FAILED"),
        ("query=", 400, "VALIDATION_FAILED"),
        ("query={who}&query={who}", 400, "VALIDATION_FAILED"),
        ("query={who}&variables=[]", 400, "VALIDATION_FAILED"),
        ("query={who}&variables=x", 400, "VALIDATION_FAILED"),
        ("query={who}&extensions=1", 400, "VALIDATION_FAILED"),
        ("query={who}&variables=" + "[" * 5000, 400, "VALIDATION_FAILED"),
        ("query=%ff", 400, "GRAPHQL_PARSE_FAILED"),
        ("query=%00", 400, "VALIDATION_FAILED"),
        ("query=mutation{act}", 405, "METHOD_NOT_ALLOWED"),
        ("query=subscription{one}", 400, "BAD_REQUEST"),
        ("query={who", 400, "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_a_get_that_is_no_query_is_refused(
    serve: Serve, query: str, status: int, reason: str
) -> None:
    async with serve() as client:
        typed = {"accept": "application/graphql-response+json"}
        answer = await client.get(f"/graphql?{query}", headers=typed)
    assert (answer.status_code, code(answer)) == (status, reason)
    assert answer.headers["content-type"] == typed["accept"]
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


async def test_every_answer_tells_its_cost(serve: Serve) -> None:
    bounds = {"query_cost_limit": 53, "query_budget": 100, "query_budget_per_second": 1}
    async with serve(**bounds) as client:
        answer = await post(client, {"query": "{ who number }"})
        cost = {"requested": 52, "available": 48, "limit": 100, "restoredPerSecond": 1}
        assert answer.json()["extensions"] == {"cost": cost}
        answer = await post(client, {"query": "{ who a: who b: who c: who }"})
        assert (answer.status_code, code(answer)) == (400, "OPERATION_TOO_COSTLY")
        answer = await post(client, {"query": "{ who a: who b: who }"})
        assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
        # What was too costly was paid for as a refused document; a second may have passed.
        assert answer.headers["retry-after"] in {"9", "10"}
        # A budget is the viewer's: somebody else has their own.
        answer = await post(client, {"query": "{ who }"}, authorization="Bearer good")
        assert answer.json()["extensions"]["cost"]["available"] == 49


async def test_documents_that_are_refused_are_paid_for(serve: Serve) -> None:
    wrong = {"query": "{ " + "wrong " * 40 + "}"}
    async with serve(query_budget=10_000, query_budget_per_second=1) as client:
        answers = [await post(client, wrong) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        left = (await post(client, {"query": "{ who }"})).json()["extensions"]["cost"]["available"]
        price = len(wrong["query"]) // 5
        assert left - (10_000 - 2 * price - 51) in {0, 1}  # a second may have passed


async def test_a_variable_of_a_wrong_type_is_a_request_error(serve: Serve) -> None:
    body = {"query": "query ($v: Int!) { number(value: $v) }", "variables": {"v": "x"}}
    async with serve() as client:
        answer = await post(client, body, accept="application/graphql-response+json")
        assert (answer.status_code, code(answer)) == (400, "BAD_REQUEST")
        assert "data" not in answer.json()
        assert (await post(client, body)).status_code == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"query": st.sampled_from(["{ who }", "query ($v: Int) { number(value: $v) }"])},
        optional={
            "variables": JSON_VALUES | st.dictionaries(st.just("v"), JSON_VALUES),
            "operationName": JSON_VALUES,
            "extensions": JSON_VALUES,
        },
    ).map(lambda value: json.dumps(value).encode())
)
async def test_no_body_is_a_fault(body: bytes) -> None:
    async with client_of(unreachable()) as client:
        answer = await post(client, body)
    assert answer.status_code in {200, 400}
    assert {"data", "errors"} & set(answer.json())
    for problem in answer.json().get("errors", []):
        assert problem["extensions"]["code"] != "INTERNAL"


@pytest.mark.parametrize(
    ("path", "shown", "status"),
    [
        ("/raises/missing%0aX", "/raises/missing?X", 401),
        ("/health/live%0aX", "?", 404),
        (f"/{SECRET}", "?", 404),  # what is no path of ours may be anything
    ],
)
async def test_the_access_log_has_no_query_string_and_no_address(
    serve: Serve, caplog: pytest.LogCaptureFixture, path: str, shown: str, status: int
) -> None:
    caplog.set_level(logging.INFO, "carnet.access")
    headers = {"authorization": "Bearer stolen"}
    async with serve() as client:
        answer = await client.get(path, params={"name": SECRET}, headers=headers)
    (line,) = [record.message for record in caplog.records if record.name == "carnet.access"]
    logged = json.loads(line)
    assert logged.pop("ms") >= 0
    assert logged == {
        "method": "GET",
        "path": shown,
        "status": status,
        "correlation": answer.headers["x-correlation-id"],
    }


@pytest.mark.parametrize("shape", [{"a": [{"b": "x\0"}]}, {"a\0": 1}, "\0"])
def test_nul_is_found_wherever_it_is(shape: object) -> None:
    with pytest.raises(errors.ValidationFailed, match=re.escape("U+0000")):
        check_values(shape)


def test_values_are_counted_wherever_they_are() -> None:
    check_values({"a": ["\\u0000", 1, None, {"b": True}]})
    for shape in ([0] * (VALUES_LIMIT - 1), [[0] * (VALUES_LIMIT - 2)]):
        check_values(shape)
        with pytest.raises(errors.ValidationFailed, match="at most 10000 values"):
            check_values([*shape, *[{"a": 1}] * 2])
