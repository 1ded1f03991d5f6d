"""The application over real sockets: who is let in, what it is called, what a fault looks like from outside."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace

import httpx
import pytest
from small_app import QUERY, SECRET, Serve, client_of, code, data, post, unreachable

from carnet import errors
from carnet.http import ide
from carnet.http.answers import STATUSES, status_of
from carnet.people.sessions import SESSION_PREFIX, new_token
from carnet.people.sessions import authenticate as authenticate_session
from carnet.settings import Mode


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


def test_every_error_that_a_client_may_see_has_a_status() -> None:
    def below(kind: type[errors.CarnetError]) -> set[type[errors.CarnetError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    seen = below(errors.Refusal) | below(errors.ContentUnavailable)
    assert seen - set(STATUSES) == {errors.BadCursor, errors.BadId}
    assert status_of(errors.BadCursor()) == 400
    assert status_of(errors.UserMistake()) == 500
