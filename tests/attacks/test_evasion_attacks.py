"""Attacks on what keeps callers apart: budgets, addresses, trusted documents, closed schemas."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from door import HEAD, JSON, PLAIN, SECRET, SOON, Door, opened

from carnet.settings import Mode
from carnet.store.embedded import EmbeddedPostgres
from carnet_graphql.operations.trusted import TrustedDocuments, sha256_of

CHEAP = "{ __typename }"  # 51 points
POOR = {"query_cost_limit": 300, "query_budget": 510, "query_budget_per_second": 1}
APP = "https://app.example.org"
OWN = "query Own { __typename }"


@pytest.fixture(scope="module")
def poor(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server on which everybody may ask ten small questions."""
    folder: Path = tmp_path_factory.mktemp("door")
    proxies = ("127.0.0.1", "10.0.0.0/8")
    with opened(
        postgres,
        folder,
        trusted_proxies=proxies,
        sockets_per_address=3,
        connections_per_address=3,
        **POOR,
    ) as door:
        yield door


@pytest.fixture(scope="module")
def closed(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server in production, which serves people what their front end registered."""
    folder: Path = tmp_path_factory.mktemp("door")
    documents = TrustedDocuments({sha256_of(OWN): OWN}, is_only=True)
    settings: dict[str, Any] = {
        "mode": Mode.PRODUCTION,
        "allowed_hosts": ("localhost", "*.example.org"),
        "allowed_origins": (APP,),
    }
    with opened(postgres, folder, documents=documents, **settings) as door:
        yield door


@pytest.fixture(scope="module")
def production(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """A server in production, to which everything may be sent."""
    folder: Path = tmp_path_factory.mktemp("door")
    with opened(postgres, folder, mode=Mode.PRODUCTION) as door:
        yield door


def from_(address: str) -> bytes:
    return b"X-Forwarded-For: " + address.encode()


def spend(door: Door, *headers: bytes, token: str | None = None) -> int:
    """Ask until nothing is left, and return how often that was answered."""
    for count in range(100):
        answer = door.post(PLAIN, *headers, token=token)
        if answer.status != 200:
            assert (answer.status, answer.code) == (429, "RATE_LIMITED")
            assert int(answer.header("retry-after") or 0) > 0
            return count
    raise AssertionError("there is no end")


def test_a_budget_is_of_an_address_and_of_an_account(poor: Door) -> None:
    assert spend(poor, from_("192.0.2.1")) == 10
    assert spend(poor, from_("192.0.2.1")) == 0
    assert spend(poor, from_("192.0.2.2")) == 10
    token = poor.token(poor.holder)
    assert spend(poor, from_("192.0.2.1"), token=token) == 10
    assert spend(poor, from_("192.0.2.3"), token=token) == 0  # nor from elsewhere
    assert spend(poor, from_("192.0.2.3"), token=poor.token(poor.holder)) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("192.0.2.10", "::ffff:192.0.2.10"),
        ("192.0.2.11", "8.8.8.8, 192.0.2.11"),
        ("192.0.2.12", "192.0.2.12, 10.1.2.3"),
        ("192.0.2.13", "x, 192.0.2.13"),
        ("192.0.2.14", " 192.0.2.14 ,10.9.9.9"),
        ("192.0.2.15", "1.1.1.1, " * 300 + "192.0.2.15"),
        ("2001:db8:1::1", "2001:db8:1::2"),
        ("2001:db8:2::1", "2001:db8:2:0:ffff:ffff:ffff:ffff"),
        ("2001:db8:3::1", "2001:DB8:3::1"),
        ("2001:db8:4::1", "2001:db8:4::1%eth0"),
    ],
)
def test_an_address_written_otherwise_is_no_other(poor: Door, first: str, second: str) -> None:
    assert spend(poor, from_(first)) == 10
    assert spend(poor, from_(second)) == 0


def test_several_headers_of_proxies_are_one_list(poor: Door) -> None:
    assert spend(poor, from_("192.0.2.20")) == 10
    assert spend(poor, from_("192.0.2.99"), from_("192.0.2.20")) == 0


def test_whom_nobody_trusts_says_nothing_of_addresses(house: Door) -> None:
    poorer = [from_(f"192.0.2.{n}") for n in range(30)]
    left = [house.post(PLAIN, header).json["extensions"]["cost"]["available"] for header in poorer]
    assert left == sorted(left, reverse=True)  # one budget, whatever they say


def test_a_burst_spends_no_more_than_there_is(poor: Door) -> None:
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(5):
            statuses.append(poor.post(PLAIN, from_("192.0.2.30")).status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(200), statuses.count(429)) == (10, 30)


def test_every_transport_spends_the_same_budget(poor: Door) -> None:
    header = from_("192.0.2.40")
    target = b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: localhost\r\n"
    events = b"Accept: text/event-stream"
    for _ in range(3):
        assert poor.answer(target + header + b"\r\nConnection: close\r\n\r\n").status == 200
    for _ in range(3):
        assert poor.post(PLAIN, header, events).status == 200
    with poor.socket(header) as socket:
        socket.begin()
        for number in range(6):
            asked = {"type": "subscribe", "id": f"{number}", "payload": {"query": CHEAP}}
            socket.say(asked)
            message = socket.message()
            if message["type"] == "error":
                assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
                assert message["payload"][0]["extensions"]["retryAfter"] > 0
                break
            assert socket.message()["type"] == "complete"
        assert number == 4
    assert spend(poor, header, events) == 0


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("first: 100", {}),
        ("first: $n", {"n": 100}),
        ("last: $n", {"n": 100}),
        ("last: $n", {"n": 100.0}),  # an Int, as JSON's numbers go
        ("first: $m", {}),
        ("first: $n, last: $m", {"n": 1}),
        ("first: 1, last: $n", {"n": 100}),
    ],
)
def test_a_size_costs_wherever_it_is_said(
    poor: Door, query: str, variables: dict[str, Any]
) -> None:
    declared = [each for each in ("$n: Int", "$m: Int = 100") if each[:2] in query]
    head = f"query({', '.join(declared)})" if declared else "query"
    text = (
        f"{head} {{ record(id: 1) {{ ...F }} }} fragment F on Record {{ ... {{"
        f" documents({query}) {{ edges {{ node {{ id }} }} }} }} }}"
    )
    header = from_(f"192.0.3.{len(query) + len(str(variables))}")
    answer = poor.post({"query": text, "variables": variables}, header)
    assert (answer.status, answer.code) == (400, "OPERATION_TOO_COSTLY")
    small = text.replace(f"({query})", "(first: 1)").replace(head, "query")
    assert poor.post({"query": small}, header).json["extensions"]["cost"]["requested"] == 255


def test_sockets_are_counted_by_household(poor: Door) -> None:
    with (
        poor.socket(from_("2001:db8:60::1")) as one,
        poor.socket(from_("2001:db8:60::2")) as two,
        poor.socket(from_("2001:db8:60::3")) as three,
        poor.socket(from_("2001:db8:60::4")) as four,
        poor.socket(from_("2001:db8:61::1")) as other,
    ):
        assert [each.is_open for each in (one, two, three, four, other)] == [
            True, True, True, False, True,
        ]  # fmt: skip
        assert four.head.startswith(b"HTTP/1.1 429 ")


# --- what is registered, and nothing else

EVADING: dict[str, tuple[dict[str, Any], str]] = {
    "a text": ({"query": CHEAP}, "OPERATION_NOT_TRUSTED"),
    "a text with a space more": ({"query": OWN + " "}, "OPERATION_NOT_TRUSTED"),
    "a text with a comment": ({"query": "#\n" + OWN}, "OPERATION_NOT_TRUSTED"),
    "a text with a mark": ({"query": "\ufeff" + OWN}, "OPERATION_NOT_TRUSTED"),
    "a text beside the hash of another": (
        {"query": CHEAP, "documentId": sha256_of(OWN)}, "OPERATION_NOT_TRUSTED"),
    "an empty text beside a hash": (
        {"query": "", "documentId": sha256_of(OWN)}, "VALIDATION_FAILED"),
    "a text and its own hash": (
        {"query": CHEAP, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256_of(
            CHEAP)}}}, "OPERATION_NOT_TRUSTED"),
    "the hash of what nobody registered": (
        {"documentId": sha256_of(CHEAP)}, "PERSISTED_QUERY_NOT_FOUND"),
    "a hash of another letter": ({"documentId": "\u0130" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
    "a hash twice prefixed": (
        {"documentId": "sha256:sha256:" + sha256_of(OWN)}, "PERSISTED_QUERY_NOT_FOUND"),
    "a long hash": ({"documentId": "a" * 900_000}, "PERSISTED_QUERY_NOT_FOUND"),
    "another name": (
        {"documentId": sha256_of(OWN), "operationName": "Other"}, "BAD_REQUEST"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVADING)
def test_nothing_runs_that_is_not_registered(closed: Door, name: str) -> None:
    body, code = EVADING[name]
    token = closed.token(closed.holder)
    typed = b"Accept: application/graphql-response+json"
    for who in (None, token):
        answer = closed.post(body, typed, token=who)
        assert answer.code == code
        assert answer.status in (400, 403) and "data" not in answer.json
        streamed = closed.post(body, b"Accept: text/event-stream", token=who)
        assert code.encode() in streamed.body
    with closed.socket() as socket:
        socket.begin(token)
        socket.say({"type": "subscribe", "id": "1", "payload": body})
        if code == "VALIDATION_FAILED":
            assert socket.closed() == 4400
        else:
            message = socket.message()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["code"] == code


def test_what_is_registered_runs_by_its_text_and_by_its_hash(closed: Door) -> None:
    for body in (
        {"query": OWN},
        {"documentId": sha256_of(OWN)},
        {"documentId": "sha256:" + sha256_of(OWN).upper()},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256_of(OWN)}}},
    ):
        assert closed.post(body).json["data"] == {"__typename": "Query"}


# --- production


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { description } }",
        '{ __type(name: "Query") { name } }',
        '{ a: __type(name: "Query") { ...F } } fragment F on __Type { name }',
        "{ ... @include(if: true) { __schema { types { name } } } }",
        "query A { __schema { description } } query B { __typename }",
    ],
)
def test_production_tells_nobody_its_schema(production: Door, query: str) -> None:
    answer = production.ask(query, operationName="B" if "query B" in query else None)
    assert answer.status == 400 and answer.code == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ recor }", None),
        ("{ record(di: 1) { id } }", None),
        ("{ record(id: 1) { documents(filter: {categorie: 1}) { totalCount } } }", None),
        ("{ record(id: 1) { documents(filter: {categories: PERSONA}) { totalCount } } }", None),
        ("query($f: DocumentFilterInpu) { record(id: 1) { documents(filter: $f) { totalCount } } }",
            None),
        ("query($f: DocumentFilterInput) { record(id: 1) { documents(filter: $f) { totalCount } } }",
            {"f": {"categorie": 1}}),
        ("query($f: DocumentFilterInput) { record(id: 1) { documents(filter: $f) { totalCount } } }",
            {"f": {"categories": ["PERSONA"]}}),
    ],
)  # fmt: skip
def test_production_guesses_no_names(production: Door, query: str, variables: Any) -> None:
    answer = production.ask(query, variables)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert b"Did you mean" not in answer.body and b"PERSONAL" not in answer.body
    with production.socket() as socket:
        socket.begin()
        payload = {"query": query, "variables": variables}
        socket.say({"type": "subscribe", "id": "1", "payload": payload})
        assert "Did you mean" not in str(socket.message())


def test_production_shows_no_page_and_asks_for_encryption(production: Door) -> None:
    page = b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    answer = production.answer(page)
    assert answer.status == 406 and b"<html" not in answer.body
    assert "max-age" in (answer.header("strict-transport-security") or "")


# --- other origins


def preflight(*headers: bytes) -> bytes:
    lines = (b"OPTIONS /graphql HTTP/1.1", b"Host: localhost", b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


ASKS = (b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: authorization")


def test_an_allowed_origin_may_read_and_no_other(closed: Door) -> None:
    allowed = closed.answer(preflight(b"Origin: " + APP.encode(), *ASKS))
    assert (allowed.status, allowed.header("access-control-allow-origin")) == (200, APP)
    assert allowed.header("access-control-allow-credentials") is None
    for origin in (b"https://evil.example", b"null", b"https://app.example.org.evil.example",
                   b"http://app.example.org", b"https://app.example.org:8443",
                   b"https://xapp.example.org", b"https://app.example.org/"):  # fmt: skip
        for answer in (
            closed.answer(preflight(b"Origin: " + origin, *ASKS)),
            closed.post(PLAIN, b"Origin: " + origin),
        ):
            assert (answer.status, answer.code) == (403, "ORIGIN_NOT_ALLOWED")
            assert answer.header("access-control-allow-origin") is None


def test_two_origins_are_no_allowed_one(closed: Door) -> None:
    both = (b"Origin: " + APP.encode(), b"Origin: https://evil.example")
    for headers in (both, both[::-1]):
        assert closed.post(PLAIN, *headers).status == 403
    with closed.socket(*both) as socket:
        assert not socket.is_open


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 403),
        ("localhost:8443", 403),
        ("records.example.org", 403),
        ("a.b.example.org", 403),
        ("RECORDS.EXAMPLE.ORG.", 403),
        ("example.org", 400),
        ("evilexample.org", 400),
        ("example.org.evil.example", 400),
        ("127.0.0.1", 403),
        ("[::1]", 403),
        ("app.localhost", 403),
        (".example.org", 400),
        ("-.example.org", 400),
        (f"{SECRET}.example", 400),
    ],
)
def test_production_answers_to_the_names_it_was_given(closed: Door, host: str, status: int) -> None:
    head = HEAD.replace(b"localhost", host.encode())
    answer = closed.answer(
        head + JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(PLAIN), PLAIN)
    )
    assert answer.status == status  # 403: it is asked, and the text is not registered
    assert SECRET.encode() not in answer.body


@pytest.fixture(scope="module")
def narrow(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that lets an address have four connections, and knows of no proxy."""
    folder: Path = tmp_path_factory.mktemp("door")
    with opened(postgres, folder, connections_per_address=4) as door:
        yield door


def ask_and_stay(wire: socket.socket, *headers: bytes) -> None:
    length = b"Content-Length: %d" % len(PLAIN)
    wire.sendall(HEAD + JSON + b"\r\n".join((*headers, length, b"", PLAIN)))
    assert wire.recv(2**16).startswith(b"HTTP/1.1 200 ")


def free(door: Door, most: int) -> None:
    """Wait until all but so many connections are gone for the server."""
    assert door.live is not None
    counts, end = door.live.connections.peers._addresses, monotonic() + SOON
    while sum(counts.values()) > most:
        assert monotonic() < end
        sleep(0.01)


def test_connections_that_are_kept_and_idle_count(narrow: Door) -> None:
    with ExitStack() as open_:
        wires = [open_.enter_context(narrow.wire()) for _ in range(2)]
        for wire in wires:
            ask_and_stay(wire)
        open_.enter_context(narrow.wire())  # says nothing at all
        closing = ExitStack()
        opened_ = closing.enter_context(narrow.socket())  # goes over to sockets, and counts on
        opened_.begin()
        for _ in range(3):
            answer = narrow.answer()
            assert (answer.status, answer.code) == (429, "RATE_LIMITED")
            assert answer.header("retry-after") == "30"
            assert answer.errors[0]["extensions"]["retryAfter"] == 30
        free(narrow, 4)  # those that were refused are forgotten, and nobody else
        for wire in wires:
            ask_and_stay(wire)
        assert narrow.answer().status == 429
        closing.close()
        free(narrow, 3)
        ask_and_stay(open_.enter_context(narrow.wire()))
        assert narrow.answer().status == 429
    free(narrow, 0)
    narrow.check()


def test_a_trusted_proxy_has_as_many_connections_as_it_likes(poor: Door) -> None:
    with ExitStack() as open_:
        for number in range(20):
            ask_and_stay(open_.enter_context(poor.wire()), from_(f"198.51.100.{number}"))
    assert poor.live is not None and not poor.live.connections.peers._addresses
