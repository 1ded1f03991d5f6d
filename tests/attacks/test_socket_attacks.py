"""Attacks on the front door by WebSocket: frames and messages of any shape, floods, races."""

from __future__ import annotations

import struct
import time
from typing import Any

import orjson
import pytest
from door import SECRET, Door, Socket, frame, handshake

PING = frame(1, b'{"type":"ping"}')
ASKED = {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}
INBOX = "subscription { inboxEvents { __typename } }"


def close_frame(code: int | None, reason: bytes = b"") -> bytes:
    return frame(8, b"" if code is None else struct.pack(">H", code) + reason)


FRAMES: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(1, b'{"type":"ping"}', masked=False), 1002),
    "a reserved bit": (frame(1, b'{"type":"ping"}', reserved=4), 1002),
    "every reserved bit": (frame(1, b'{"type":"ping"}', reserved=7), 1002),
    "a reserved opcode": (frame(5, b""), 1002),
    "a reserved control opcode": (frame(11, b""), 1002),
    "a ping that is too long": (frame(9, b"x" * 126), 1002),
    "a ping in pieces": (frame(9, b"x", fin=False), 1002),
    "a close in pieces": (frame(8, b"", fin=False), 1002),
    "a close of one byte": (frame(8, b"x"), 1002),
    "a close of a code that nobody may send": (close_frame(1005), 1002),
    "a close of code 0": (close_frame(0), 1002),
    "a close of code 65535": (close_frame(65535), 1002),
    "a close whose reason is no UTF-8": (close_frame(1000, b"\xff"), 1007),
    "a close as it should be": (close_frame(1000, SECRET.encode()), 1000),
    "a close without a code": (close_frame(None), 1005),
    "a piece of nothing": (frame(0, b"x"), 1002),
    "a message within a message": (frame(1, b"{", fin=False) + frame(2, b"}"), 1002),
    "a message that is too long": (frame(1, b" " * (2**20 + 1)), 1009),
    "a length of 2**63": (b"\x81\xff" + struct.pack(">Q", 2**63), 1009),
    "a length of 2**40": (b"\x81\xff" + struct.pack(">Q", 2**40), 1009),
    "pieces that are too long": (
        frame(1, b" " * 600_000, fin=False) + frame(0, b" " * 600_000), 1009),
    "binary": (frame(2, b'{"type":"ping"}'), 4400),
    "no UTF-8": (frame(1, b'{"type":"\xff"}'), 4400),
    "no UTF-8, in pieces": (frame(1, b'{"type":"\xe2', fin=False) + frame(0, b'"}'), 4400),
    "HTTP again": (b"GET /graphql HTTP/1.1\r\nHost: localhost\r\n\r\n" * 9, 1002),
    "empty": (frame(1, b""), 4400),
    "a NUL": (frame(1, b"\0"), 4400),
    "deep": (frame(1, b"[" * 900_000), 4400),
    "wide": (frame(1, b'{"type":"ping","payload":[' + b"1," * 400_000 + b"1]}"), 4400),
    "two values": (frame(1, b'{"type":"ping"}{"type":"ping"}'), 4400),
    "a batch": (frame(1, b'[{"type":"ping"}]'), 4400),
    "what servers say": (frame(1, b'{"type":"connection_ack"}'), 4400),
    "the old protocol": (frame(1, b'{"type":"stop","id":"1"}'), 4400),
    "a type that is a number": (frame(1, b'{"type":1e308}'), 4400),
    "a type twice": (frame(1, b'{"type":"ping","type":"x"}'), 4400),
    "an id of NUL": (frame(1, b'{"type":"subscribe","id":"\\u0000","payload":{}}'), 4400),
    "an id that is half a surrogate": (
        frame(1, b'{"type":"complete","id":"\\ud800"}'), 4400),
    "an id that is null": (frame(1, orjson.dumps(ASKED | {"id": None})), 4400),
    "an id of 201 characters": (frame(1, orjson.dumps(ASKED | {"id": "x" * 201})), 4400),
    "a subscription to nothing": (frame(1, orjson.dumps(ASKED | {"payload": None})), 4400),
    "a batch of queries": (frame(1, orjson.dumps(ASKED | {"payload": [{"query": "{ a }"}]})), 4400),
    "too many values": (
        frame(1, orjson.dumps(
            ASKED | {"payload": {"query": "{ a }", "variables": {"a": [1] * 20_000}}})), 4400),
}  # fmt: skip


ASKING = {"an id of NUL", "a subscription to nothing", "a batch of queries", "too many values"}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("is_known", [False, True], ids=["a stranger", "somebody"])
def test_every_frame_is_answered_by_a_code(door: Door, name: str, is_known: bool) -> None:
    sent, code = FRAMES[name]
    if name in ASKING and not is_known:
        code = 4401  # what they want is not looked at
    with door.socket() as socket:
        if is_known:
            socket.begin(door.token(door.holder))
            socket.say({"type": "subscribe", "id": "i", "payload": {"query": INBOX}})
            assert socket.message()["type"] == "next"
        socket.made.sendall(sent)
        if code == 1005:
            assert socket.hear() == (8, b"")
        else:
            assert socket.closed() == code
    with door.socket(b"Origin: http://localhost") as again:
        again.begin()


INITS: dict[str, tuple[Any, int]] = {
    "a payload that is text": (SECRET, 4400),
    "a payload that is a list": ([SECRET], 4400),
    "a token that is a number": ({"Authorization": 1}, 4403),
    "a token that is a list": ({"Authorization": [f"Bearer {SECRET}"]}, 4403),
    "another scheme": ({"authorization": f"Basic {SECRET}"}, 4403),
    "a token that nobody has": ({"AUTHORIZATION": f"Bearer {SECRET}"}, 4403),
    "a token of a megabyte": ({"Authorization": "Bearer " + "x" * 10**6}, 4403),
    "a token in headers": ({"headers": {"Authorization": f"bearer {SECRET}"}}, 4403),
    "a token of blanks": ({"Authorization": "Bearer    "}, 4403),
    "two tokens": ({"Authorization": f"Bearer {SECRET}", "authorization": "Bearer x"}, 4403),
}


@pytest.mark.parametrize("name", INITS)
def test_who_introduces_themselves_wrongly_is_sent_away(door: Door, name: str) -> None:
    payload, code = INITS[name]
    with door.socket() as socket:
        socket.say({"type": "connection_init", "payload": payload})
        assert socket.closed() == code


@pytest.mark.parametrize(
    "headers",
    [
        [b"Authorization: Bearer x", b"Authorization: Bearer y"],
        [b"Authorization: Basic x"],
        [b"Authorization: Bearer "],
        [b"Authorization:"],
        [b"Authorization: x"],
    ],
)
def test_a_header_that_is_no_token_sends_away_too(door: Door, headers: list[bytes]) -> None:
    with door.socket(*headers) as socket:
        assert socket.closed() == 4403


def test_who_says_much_else_is_let_in(door: Door) -> None:
    with door.socket() as socket:
        payload = {"headers": [SECRET], "Authorization": None, SECRET: ["x" * 900_000]}
        socket.say({"type": "connection_init", "payload": payload})
        assert socket.message() == {"type": "connection_ack"}


def test_introductions_come_once_and_first(door: Door) -> None:
    init = frame(1, b'{"type":"connection_init"}')
    for sent, code in ((init + init, 4429), (frame(1, orjson.dumps(ASKED)), 4401)):
        with door.socket() as socket:
            socket.made.sendall(sent)
            assert socket.closed() == code


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ([b"Host: evil.example"], 400),
        ([b"Host: localhost", b"Host: evil.example"], 400),
        ([b"Host: localhost:"], 400),
        ([b"Origin: null"], 403),
        ([b"Origin: http://localhost", b"Origin: null"], 403),
        ([b"Sec-WebSocket-Version: 12"], 400),
        ([b"Sec-WebSocket-Key: x"], 400),
        ([b"Content-Length: 5"], 400),
        ([b"Transfer-Encoding: chunked"], 400),
        ([b"Authorization: Bearer x", b"Authorization: Bearer y"], 101),
        ([b"Sec-WebSocket-Extensions: permessage-deflate;;;=,"], 101),
        ([b"Sec-WebSocket-Extensions: x" + b", x" * 500], 101),
        ([b"Sec-WebSocket-Protocol: " + b"x, " * 500 + b"y"], 101),
        ([b"X-Forwarded-For: " + b"1.1.1.1, " * 500], 101),
        ([b"Cookie: " + b"x" * 40_000], 431),
        ([b"X: \xff\xfe"], 101),
    ],
)  # fmt: skip
def test_a_handshake_is_looked_at_as_closely_as_a_request(
    door: Door, more: list[bytes], status: int
) -> None:
    with door.socket(*more) as socket:
        assert int(socket.head.split()[1]) == status, socket.head


@pytest.mark.parametrize(
    ("target", "host", "origin", "status"),
    [
        (b"http://evil.example/graphql", b"localhost", b"http://localhost", 400),
        (b"http://localhost@evil.example/graphql", b"localhost", b"http://localhost", 400),
        (b"http://localhost/graphql?x", b"evil.example", b"http://localhost", 101),
        (b"http://localhost/graphql", b"evil.example", b"http://evil.example", 403),
        (b"http://localhost/other", b"localhost", b"http://localhost", 404),
        (b"ws://localhost/graphql", b"localhost", b"http://localhost", 400),
    ],
)
def test_the_host_of_a_whole_url_counts(
    door: Door, target: bytes, host: bytes, origin: bytes, status: int
) -> None:
    asked = handshake(b"Host: " + host, b"Origin: " + origin).replace(b"/graphql", target, 1)
    with door.wire() as wire:
        wire.sendall(asked)
        assert int(Socket(wire).head.split()[1]) == status


def test_what_comes_with_the_handshake_waits_for_nothing(door: Door) -> None:
    """Clients may not, but some write their first frame with the handshake: it is answered or not,
    and what follows is."""
    with door.wire() as wire:
        wire.sendall(handshake())
        socket = Socket(wire)
        for byte in frame(1, b'{"type":"connection_init"}') + PING:
            wire.sendall(bytes([byte]))
        assert {socket.message()["type"] for _ in range(2)} == {"connection_ack", "pong"}


def test_control_frames_come_between_pieces(door: Door) -> None:
    with door.socket() as socket:
        text = b'{"type":"connection_init"}'
        for at in range(len(text)):
            is_last = at == len(text) - 1
            socket.made.sendall(frame(0 if at else 1, text[at : at + 1], fin=is_last))
            socket.made.sendall(frame(9, b"%d" % at) + frame(10, b"never asked"))
        heard = [socket.hear() for _ in range(len(text) + 1)]
        assert [data for opcode, data in heard if opcode == 10] == [b"%d" % n for n in range(26)]
        assert (1, b'{"type":"connection_ack"}') in heard


def test_floods_of_pings_are_answered_or_wait(door: Door) -> None:
    with door.socket() as socket:
        for _ in range(20):
            socket.made.sendall((frame(9, b"") + PING) * 200)
        heard = [socket.hear() for _ in range(8000)]
        assert heard.count((10, b"")) == heard.count((1, b'{"type":"pong"}')) == 4000


def test_a_client_that_never_reads_holds_nobody_up(door: Door) -> None:
    payload = frame(1, orjson.dumps({"type": "ping", "payload": {"a": "x" * 100_000}}))
    with door.socket() as socket:
        socket.made.setblocking(False)
        sent, end = 0, time.monotonic() + 5
        try:
            while time.monotonic() < end:
                sent += socket.made.send(payload)
        except BlockingIOError:
            pass  # the server takes no more: nothing grows in it
        assert sent < 50_000_000
        door.check()


def test_subscriptions_flood_up_to_their_bound(door: Door) -> None:
    with door.socket() as socket:
        socket.begin(door.token(door.holder))
        sent = b"".join(
            frame(1, orjson.dumps(
                {"type": "subscribe", "id": f"{n}", "payload": {"query": INBOX}}))
            for n in range(150)
        )  # fmt: skip
        socket.made.sendall(sent)
        found: dict[str, str] = {}
        while len(found) < 150:
            message = socket.message()
            found.setdefault(message["id"], message["type"])
            if message["type"] == "error":
                assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert list(found.values()).count("next") == 100
        assert {found[f"{n}"] for n in range(100, 150)} == {"error"}


def test_beginning_and_ending_race_and_leave_nothing(door: Door) -> None:
    with door.socket() as socket:
        socket.begin(door.token(door.holder))
        for number in range(100):
            asked = {"type": "subscribe", "id": "x", "payload": {"query": INBOX}}
            ended = {"type": "complete", "id": "x"}
            pair = frame(1, orjson.dumps(asked)) + frame(1, orjson.dumps(ended))
            socket.made.sendall(pair * (1 + number % 3))
        socket.made.sendall(PING)
        while socket.message()["type"] != "pong":
            pass
    assert door.live is not None
    end = time.monotonic() + 10
    while len(door.live.hub) and time.monotonic() < end:
        door.post()
    assert len(door.live.hub) == 0


def test_an_id_may_be_any_text_and_serves_again(door: Door) -> None:
    with door.socket() as socket:
        socket.begin()
        for id_ in ("\u202e\U0001f489", '"}\n{', "__proto__", " ", "x" * 200, "1", "1"):
            socket.say(ASKED | {"id": id_})
            assert socket.message()["id"] == id_
            assert socket.message() == {"type": "complete", "id": id_}
        socket.say({"type": "complete", "id": "never begun"})
        socket.say(ASKED)
        assert socket.message()["type"] == "next"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ a", "GRAPHQL_PARSE_FAILED"),
        ("{ a }", "BAD_REQUEST"),
        ("query A { __typename } query B { __typename }", "BAD_REQUEST"),
        ("query ($a: Int!) { __typename @include(if: true) }", "BAD_REQUEST"),
        ("query ($a: ID!) { node(id: $a) { id } }", "BAD_REQUEST"),
        ("subscription ($a: ID!) { documentEvents(record: $a) { __typename } }", "BAD_REQUEST"),
        ('subscription { documentEvents(record: "x") { __typename } }', "BAD_ID"),
        ('subscription { inboxEvents(after: "x") { __typename } }', "UNAUTHENTICATED"),
        (INBOX, "UNAUTHENTICATED"),
    ],
)  # fmt: skip
def test_an_operation_that_does_not_run_is_an_error_of_its_own(
    door: Door, query: str, code: str
) -> None:
    with door.socket() as socket:
        socket.begin()
        socket.say(ASKED | {"payload": {"query": query}})
        message = socket.message()
        assert message["type"] == "error"
        problem = message["payload"][0]
        assert problem["extensions"]["code"] == code, problem
        assert len(problem["extensions"]["correlationId"]) == 16
        socket.say(ASKED)  # the socket is still good
        assert socket.message()["type"] == "next"
