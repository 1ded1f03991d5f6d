"""Attacks on the front door in time: streams of events, slow clients, those who stop and leave."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from door import HEAD, JSON, PLAIN, SECRET, Door, opened, read_answers, rest_of

from carnet.http.operations import sse, view
from carnet.http.protocol import HttpProtocol
from carnet.store.embedded import EmbeddedPostgres

CLOSE = b"Connection: close\r\n"
EVENTS = b"Accept: text/event-stream\r\n"
INBOX = "subscription { inboxEvents { __typename } }"
SCHEMA = "{ __schema { types { fields { a: description b: description c: description } } } }"
HASTE = 0.4  # seconds, where it is 10 or 30


@pytest.fixture(scope="module")
def house(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that waits for nobody."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HttpProtocol, "head_timeout", HASTE)
        patched.setattr(HttpProtocol, "take_timeout", HASTE)
        patched.setattr(view, "BODY_TIMEOUT", HASTE)
        patched.setattr(sse, "SEND_TIMEOUT", HASTE)
        folder: Path = tmp_path_factory.mktemp("door")
        with opened(postgres, folder, timing={"init_timeout": HASTE}) as door:
            yield door


def stream(body: object, *more: bytes, accept: bytes = EVENTS) -> bytes:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    length = b"Content-Length: %d\r\n\r\n" % len(content)
    return HEAD + JSON + accept + b"".join(more) + CLOSE + length + content


def token_of(door: Door) -> bytes:
    return b"Authorization: Bearer %s\r\n" % door.token(door.holder).encode()


def parts(body: bytes) -> bytes:
    """Return what a chunked body holds."""
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ __typename }", None),
        ("{ a", "GRAPHQL_PARSE_FAILED"),
        ("{ a }", "BAD_REQUEST"),
        ("query($a: ID!) { node(id: $a) { id } }", "BAD_REQUEST"),
        (INBOX, "UNAUTHENTICATED"),
        ("mutation { __typename }", None),
        (f'subscription {{ documentEvents(record: "{SECRET}") {{ __typename }} }}', "BAD_ID"),
    ],
)  # fmt: skip
def test_a_stream_of_one_operation_ends(door: Door, query: str, code: str | None) -> None:
    answer = door.answer(stream({"query": query}))
    assert (answer.status, answer.header("content-type")) == (
        200,
        "text/event-stream; charset=utf-8",
    )
    assert answer.header("content-length") is None
    events = parts(answer.body)
    assert b"\r" not in events and events.endswith(b"\n\nevent: complete\ndata:\n\n")
    (data,) = [line[6:] for line in events.split(b"\n") if line.startswith(b"data: ")]
    body = orjson.loads(data)
    if code is None:
        assert "errors" not in body
    else:
        assert body["errors"][0]["extensions"]["code"] == code
        assert body["errors"][0]["extensions"]["correlationId"] == answer.header("x-correlation-id")
    assert SECRET.encode() not in events


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream, application/json", True),
        ("application/json, text/event-stream", False),
        ("application/json;q=0.9, text/event-stream", True),
        ("text/event-stream;q=0, application/json", False),
        ("text/event-stream;q=0.1, */*", False),
        ("TEXT/EVENT-STREAM", True),
        ("text/*", None),
        ("text/event-stream;q=nan", None),
        ("text/event-stream;charset=utf-16", True),
    ],
)
def test_a_stream_is_what_a_client_prefers(door: Door, accept: str, is_stream: bool | None) -> None:
    wish = b"Accept: " + accept.encode() + b"\r\n"
    answer = door.answer(stream({"query": "{ __typename }"}, accept=wish))
    kind = answer.header("content-type") or ""
    assert (answer.status, kind.startswith("text/event-stream")) == (
        (406, False) if is_stream is None else (200, is_stream)
    )


@pytest.mark.parametrize("body", [[], {}, {"query": 1}, {"query": "{ a }", "variables": 1}])
def test_what_is_no_request_is_no_stream(door: Door, body: object) -> None:
    answer = door.answer(stream(body))
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    assert answer.header("content-type") == "application/json"


def test_streams_by_get_follow_and_do_not_act(door: Door) -> None:
    for query, status in ((b"mutation%7B__typename%7D", 405), (b"%7B__typename%7D", 200)):
        head = b"GET /graphql?query=" + query + b" HTTP/1.1\r\nHost: localhost\r\n"
        assert door.answer(head + EVENTS + CLOSE + b"\r\n").status == status


def begun(door: Door, wire: socket.socket, request: bytes) -> bytes:
    """Send, and return what comes at first."""
    wire.sendall(request)
    received = b""
    while b"event: next" not in received:
        received += wire.recv(2**16)
    return received


def until_nobody_is_left(door: Door) -> None:
    live = door.live
    assert live is not None
    end = time.monotonic() + 15
    while live.connections._addresses or len(live.hub) or live.sockets.open:
        assert time.monotonic() < end, (live.connections._addresses, len(live.hub))
        door.post()


def test_who_leaves_a_stream_leaves_no_subscription(door: Door) -> None:
    for _ in range(3):
        with door.wire() as wire:
            begun(door, wire, stream({"query": INBOX}, token_of(door)))
        with door.wire() as wire:
            begun(door, wire, stream({"query": INBOX}, token_of(door)))
            wire.shutdown(socket.SHUT_WR)
            rest_of(wire)
    until_nobody_is_left(door)


def test_a_head_of_a_stream_has_no_body_and_no_end(door: Door) -> None:
    target = b"HEAD /graphql?query=subscription%7BinboxEvents%7B__typename%7D%7D HTTP/1.1\r\n"
    with door.wire() as wire:
        wire.sendall(target + b"Host: localhost\r\n" + EVENTS + token_of(door) + b"\r\n")
        assert wire.recv(2**16).startswith(b"HTTP/1.1 200 ")
    until_nobody_is_left(door)


def test_who_never_reads_a_stream_keeps_no_place(door: Door) -> None:
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(20)
        wire.connect(("127.0.0.1", door.port))
        wire.sendall(stream({"query": SCHEMA}) * 1)
        until_nobody_is_left(door)


@pytest.mark.parametrize("close", [CLOSE, b""])
def test_who_never_reads_an_answer_is_dropped(door: Door, close: bytes) -> None:
    """Else every connection that somebody opens for it keeps an answer of megabytes."""
    rows = " ".join(f"a{n}: description" for n in range(95))  # 5 MB of answer
    query = f"{{ __schema {{ types {{ fields {{ {rows} }} }} }} }}"
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(20)
        wire.connect(("127.0.0.1", door.port))
        wire.sendall(stream({"query": query}, accept=b"").replace(CLOSE, close) * 2)
        end = time.monotonic() + 15
        while any(each.client == wire.getsockname() for each in open_connections(door)):
            assert time.monotonic() < end
            door.post()


def open_connections(door: Door) -> list[HttpProtocol]:
    assert door.stopper is not None and door.stopper.server is not None
    return [
        each
        for each in list(door.stopper.server.server_state.connections)
        if isinstance(each, HttpProtocol)
    ]


def test_who_reads_slowly_is_waited_for(door: Door) -> None:
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(20)
        wire.connect(("127.0.0.1", door.port))
        wire.sendall(stream({"query": SCHEMA}, accept=b""))
        received, begun_at = b"", time.monotonic()
        while chunk := wire.recv(4096):
            received += chunk
            if time.monotonic() - begun_at < 3 * HASTE:
                door.post()  # so that it takes longer than anybody is given to take nothing
        (answer,) = read_answers(received)
    assert answer.json["data"]["__schema"]["types"]


def test_variables_that_no_subscription_may_have_end_it(door: Door) -> None:
    body = b'{"query":"%s","variables":{"x":%s}}'
    for value in (b"[" * 300 + b"]" * 300, b'"' + b"x" * 70_000 + b'"'):
        answer = door.answer(stream(body % (INBOX.encode(), value), token_of(door)))
        assert b"VALIDATION_FAILED" in answer.body and b"event: complete" in answer.body


# --- slow ones


def test_a_body_that_stops_is_given_up(door: Door) -> None:
    head = HEAD + JSON + b"Content-Length: %d\r\n\r\n" % len(PLAIN)
    with door.wire() as wire:
        wire.sendall(head + PLAIN[:5])
        (answer,) = read_answers(rest_of(wire))
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")
    chunked = HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    with door.wire() as wire:
        wire.sendall(chunked)
        (answer,) = read_answers(rest_of(wire))
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json"])
def test_a_refused_body_that_never_ends_is_cut_off(door: Door, kind: bytes) -> None:
    """Who is refused at once may finish what they send, but not for ever."""
    head = HEAD + b"Content-Type: " + kind + b"\r\nContent-Length: 1099511627776\r\n\r\n"
    with door.wire() as wire:
        wire.sendall(head)
        (answer,) = read_answers(wire.recv(2**16))
        assert answer.status in (413, 415)
        end = time.monotonic() + 15
        wire.settimeout(0.05)
        while True:
            assert time.monotonic() < end, "it takes what comes for ever"
            try:
                wire.sendall(b"x")
                if wire.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break


def test_drops_of_a_head_have_one_deadline(door: Door) -> None:
    with door.wire() as wire:
        wire.settimeout(0.05)
        received, end = b"", time.monotonic() + 15
        while not received:
            assert time.monotonic() < end
            try:
                wire.sendall(b"G" if not received else b"E")
                received = wire.recv(2**16)
            except TimeoutError:
                continue
        (answer,) = read_answers(received)
    assert answer.status in (400, 408)


def test_a_socket_that_says_nothing_is_closed(door: Door) -> None:
    with door.socket() as silent:
        assert silent.closed() == 4408
    with door.wire() as wire:
        wire.sendall(b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n")
        (answer,) = read_answers(rest_of(wire))
        assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")


# --- those who say no more, and wait

RECORD = "query($id: ID!) { record(id: $id) { documents(first: 20) { edges { node { title } } } } }"


def test_who_has_said_all_is_answered(door: Door) -> None:
    """Some clients close their half once the request is sent; the answer is still to come."""
    body = {"query": RECORD, "variables": {"id": door.record}}
    request = stream(body, token_of(door), accept=b"")
    for _ in range(5):
        answer = door.answer(request, half_close=True)
        assert answer.status == 200 and answer.json["data"]["record"]["documents"]["edges"]
        kept = request.replace(CLOSE, b"")
        assert door.answer(kept, half_close=True).status == 200
        both = door.answers(kept + kept, half_close=True)
        assert [each.status for each in both] == [200, 200]
