"""The application over real sockets: what it answers to the good, the bad and the malformed."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
import strawberry
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from carnet import errors
from carnet.http import ide
from carnet.http.answers import STATUSES, status_of
from carnet.http.app import create_app
from carnet.http.operations.negotiation import preferred_type
from carnet.http.operations.requests import VALUES_LIMIT, check_values
from carnet.http.services import Services, actor_of
from carnet.people.actor import Actor, Assurance, Operator
from carnet.people.sessions import SESSION_PREFIX, new_token
from carnet.people.sessions import authenticate as authenticate_session
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Mode, Settings
from carnet.store.cursors import Cursors
from carnet.store.database import Database
from carnet_graphql.assembly import CarnetSchema, build
from carnet_graphql.context import Info
from carnet_graphql.node import NodeQuery

SECRET = "DOMINIQUE PAT-TROIS"
ACCOUNT = UUID(int=7)
JSON = {"content-type": "application/json"}


@strawberry.type(description="The root.")
class Query(NodeQuery):
    @strawberry.field(description="Who asks.")
    async def who(self, info: Info) -> str:
        return f"{info.context.actor.kind} {info.context.address}"

    @strawberry.field(description="Says it again.")
    async def echo(self, text: str) -> str:
        return text

    @strawberry.field(description="A number.")
    async def number(self, value: int | None = None) -> int | None:
        return value

    @strawberry.field(description="Fails.")
    async def fails(self) -> int | None:
        raise RuntimeError(SECRET)

    @strawberry.field(description="Cannot be written as JSON.")
    async def surrogate(self) -> str:
        return "\ud800"


@strawberry.type(description="Acts.")
class Mutation:
    @strawberry.mutation(description="Acts.")
    async def act(self) -> bool:
        return True


@strawberry.type(description="Streams.")
class Subscription:
    @strawberry.subscription(description="One.")
    async def one(self) -> AsyncIterator[int]:
        yield 1


def schema(mode: Mode) -> CarnetSchema:
    return build(Query, Mutation, Subscription, introspection=mode is Mode.DEVELOPMENT)


async def authenticate(_database: Database, token: str, _address: str) -> Actor:
    if token == "good":
        return Operator(ACCOUNT, Assurance.SANDBOX)
    if token == "broken":
        raise RuntimeError(SECRET)
    if token == "limited":
        raise errors.RateLimited(retry_after=17)
    raise errors.Unauthenticated()


async def raises(request: Request) -> Response:
    kind = request.path_params["kind"]
    if kind == "fault":
        raise RuntimeError(SECRET)
    if kind == "mistake":
        raise errors.UserMistake(SECRET)
    if kind == "halfway":

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            raise RuntimeError(SECRET)

        return StreamingResponse(body())
    if kind == "missing":
        raise errors.NotFound()
    if kind == "full":
        raise errors.StorageFull()
    if kind == "limited":
        raise errors.RateLimited(retry_after=9)
    return PlainTextResponse((await actor_of(request)).kind)


ROUTES = [Route("/raises/{kind}", raises, methods=["GET"])]
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(database: Database) -> Serve:
    """Start a server of these settings on a free port of this machine."""

    @asynccontextmanager
    async def started(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        given_settings = Settings(**changes)
        services = Services(
            given_settings,
            database,
            None,
            schema(given_settings.mode),
            authenticate,
            None,
            None,
            Cursors(b"k"),
            FeedSecrets.of(b"k"),
        )
        config = uvicorn.Config(
            create_app(services, ROUTES), port=0, log_config=None, ws="none", proxy_headers=False
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
            assert not task.done()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            server.should_exit = True
            await task

    return started


async def post(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await client.post(
        "/graphql",
        content=content,
        headers=JSON | {name.replace("_", "-"): value for name, value in headers.items()},
    )


def data(answer: httpx.Response) -> Any:
    """Return the data of an answer without errors."""
    assert set(answer.json()) == {"data", "extensions"}
    return answer.json()["data"]


def code(answer: httpx.Response) -> str:
    (problem,) = answer.json()["errors"]
    assert problem["extensions"]["correlationId"] == answer.headers["x-correlation-id"]
    return str(problem["extensions"]["code"])


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


QUERY = {"query": "{ who }"}
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


async def test_a_token_makes_an_actor(serve: Serve) -> None:
    async with serve() as client:
        for scheme in ("Bearer", "bearer"):
            answer = await post(client, QUERY, authorization=f"{scheme} good")
            assert data(answer) == {"who": "OPERATOR 127.0.0.1"}
        answer = await client.get("/raises/nothing", headers={"authorization": "Bearer good"})
        assert answer.text == "OPERATOR"


@pytest.mark.parametrize(
    "header",
    ["Bearer stolen", "Bearer", "", "Basic Z29vZA==", "good", "Bearer " + "x" * 9000],
)
@pytest.mark.parametrize("path", ["/graphql", "/raises/nothing"])
async def test_a_token_that_opens_nothing_is_401(serve: Serve, header: str, path: str) -> None:
    async with serve() as client:
        if path == "/graphql":
            answer = await post(client, QUERY, authorization=header)
        else:
            answer = await client.get(path, headers={"authorization": header})
    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers_are_refused(serve: Serve) -> None:
    headers = [("authorization", "Bearer good"), ("authorization", "Bearer good")]
    async with serve() as client:
        answer = await client.get("/raises/nothing", headers=headers)
    assert answer.status_code == 401


async def test_a_fault_while_authenticating_is_a_masked_500(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        answer = await post(client, QUERY, authorization="Bearer broken")
        assert (answer.status_code, code(answer)) == (500, "INTERNAL")
        answer = await post(client, QUERY, authorization="Bearer limited")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("missing", 404, "NOT_FOUND"),
        ("full", 507, "STORAGE_FULL"),
        ("limited", 429, "RATE_LIMITED"),
        ("mistake", 500, "INTERNAL"),
        ("fault", 500, "INTERNAL"),
    ],
)
async def test_an_error_of_a_route_has_the_one_shape(
    serve: Serve, kind: str, status: int, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        answer = await client.get(f"/raises/{kind}")
    assert (answer.status_code, code(answer)) == (status, expected)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert SECRET not in caplog.text + answer.text


async def test_an_answer_that_breaks_off_is_no_complete_answer(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/raises/halfway")
    assert "BrokenAnswer" in caplog.text
    assert SECRET not in caplog.text


async def test_a_client_that_leaves_is_no_fault(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "carnet.access")
    async with serve() as client:
        host, port = client.base_url.host, client.base_url.port
        _, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while '"status":499' not in caplog.text:
                await client.get("/health/live")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_unknown_paths_and_methods(serve: Serve) -> None:
    async with serve() as client:
        answer = await client.get("/nothing/here")
        assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
        assert "GraphQL is at /graphql" in answer.json()["errors"][0]["message"]
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = await client.request(method, "/graphql")
            assert (answer.status_code, code(answer)) == (405, "METHOD_NOT_ALLOWED")
            assert "POST" in answer.headers["allow"]


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


async def test_names_that_are_not_ours_are_not_answered_to(serve: Serve) -> None:
    async with serve() as client:
        answer = await post(client, QUERY, host="rebound.example")
        assert (answer.status_code, code(answer)) == (400, "HOST_NOT_ALLOWED")
        alive = await client.get("/health/live", headers={"host": "rebound.example"})
        assert alive.status_code == 200
    async with serve(allowed_hosts=("carnet.example",), mode=Mode.PRODUCTION) as client:
        assert (await post(client, QUERY, host="carnet.example")).status_code == 200
        assert (await post(client, QUERY)).status_code == 200  # of this machine
        assert (await post(client, QUERY, host="other.example")).status_code == 400


async def test_pages_of_other_origins_speak_only_if_allowed(serve: Serve) -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with serve() as client:
        answer = await post(client, QUERY, origin="https://app.example")
        assert (answer.status_code, code(answer)) == (403, "ORIGIN_NOT_ALLOWED")
        assert "see CARNET_ALLOWED_ORIGINS" in answer.json()["errors"][0]["message"]
        assert (await client.options("/graphql", headers=asked)).status_code == 403
        assert (await post(client, QUERY, origin=str(client.base_url))).status_code == 200
    async with serve(allowed_origins=("https://app.example",)) as client:
        answer = await post(client, QUERY, origin="https://app.example")
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "X-Correlation-Id" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        preflight = await client.options("/graphql", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
        answer = await post(client, QUERY, origin="https://other.example")
        assert (answer.status_code, code(answer)) == (403, "ORIGIN_NOT_ALLOWED")


async def test_development_has_the_ide_and_introspection(serve: Serve) -> None:
    async with serve() as client:
        page = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"] == ide.POLICY
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
            assert (await client.get(path)).status_code == 200
        answer = await post(client, {"query": "{ __schema { queryType { name } } }"})
        assert answer.json()["data"]["__schema"]["queryType"]["name"] == "Query"
        start = await client.get("/")
        assert (start.status_code, start.headers["location"]) == (307, "/graphql")
        missing = await client.get("/static/graphiql/../../../app.py")
        assert missing.status_code == 404


async def test_production_has_neither(serve: Serve) -> None:
    async with serve(mode=Mode.PRODUCTION) as client:
        page = await client.get("/graphql", headers={"accept": "text/html"})
        assert (page.status_code, code(page)) == (406, "NOT_ACCEPTABLE")
        for path in ("/", "/static/graphiql/boot.js"):
            assert (await client.get(path)).status_code == 404
        answer = await post(client, {"query": "{ __schema { queryType { name } } }"})
        assert "data" not in answer.json()
        assert answer.headers["strict-transport-security"].startswith("max-age=")


async def test_health(serve: Serve) -> None:
    async with serve() as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def unreachable(mode: Mode = Mode.DEVELOPMENT) -> Services:
    nowhere = Database.connect("postgresql://nobody@127.0.0.1:1/none")
    cursors = Cursors(b"k")
    feeds = FeedSecrets.of(b"k")
    return Services(
        Settings(mode=mode), nowhere, None, schema(mode), authenticate, None, None, cursors, feeds
    )


def client_of(services: Services) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(services, ROUTES))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_not_ready_without_its_database(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(unreachable()) as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
        assert (await client.get("/health/live")).status_code == 200
    assert "failure" in caplog.text


async def test_a_database_that_is_away_is_a_503(caplog: pytest.LogCaptureFixture) -> None:
    services = replace(unreachable(), authenticate=authenticate_session)
    token = new_token(SESSION_PREFIX)
    async with client_of(services) as client:
        answer = await post(client, QUERY, authorization=f"Bearer {token}")
    assert (answer.status_code, code(answer)) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"
    assert "failure" in caplog.text


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


def test_every_error_that_a_client_may_see_has_a_status() -> None:
    def below(kind: type[errors.CarnetError]) -> set[type[errors.CarnetError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    seen = below(errors.Refusal) | below(errors.ContentUnavailable)
    assert seen - set(STATUSES) == {errors.BadCursor, errors.BadId}
    assert status_of(errors.BadCursor()) == 400
    assert status_of(errors.UserMistake()) == 500


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
