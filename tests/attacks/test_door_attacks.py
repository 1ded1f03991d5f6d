"""Attacks on the front door by HTTP: smuggling, odd targets, headers, bodies, parameters.

Every probe is answered with a status that fits and GraphQL's shape, whatever it is.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from door import HEAD, JSON, PLAIN, SECRET, Door, read_answers, rest_of

BODY = b"Content-Length: %d\r\n\r\n%s" % (len(PLAIN), PLAIN)
CLOSE = b"Connection: close\r\n"
GOOD = HEAD + JSON + CLOSE + BODY
TYPED = b"Accept: application/graphql-response+json\r\n"


def get(
    target: bytes, *headers: bytes, method: bytes = b"GET", host: bytes = b"localhost"
) -> bytes:
    lines = (
        method + b" " + target + b" HTTP/1.1",
        b"Host: " + host,
        b"Connection: close",
        *headers,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(*chunks: bytes, more: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + JSON + CLOSE + more + b"Transfer-Encoding: chunked\r\n\r\n" + coded + end


ASK = b"/graphql?query=%7B__typename%7D"
VALUE = quote(SECRET).encode()

REQUESTS: dict[str, tuple[bytes, int]] = {
    # Where one request ends and the next begins
    "both lengths": (
        HEAD + JSON + CLOSE + b"Transfer-Encoding: chunked\r\n" + BODY, 400),
    "both lengths, the other way round": (
        HEAD + JSON + CLOSE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (HEAD + JSON + CLOSE + b"Content-Length: 5\r\n" + BODY, 400),
    "a length twice": (
        HEAD + JSON + CLOSE + b"Content-Length: %d\r\n" % len(PLAIN) + BODY, 400),
    "a list of lengths": (HEAD + JSON + CLOSE + b"Content-Length: 26, 26\r\n\r\n" + PLAIN, 400),
    "a signed length": (HEAD + JSON + CLOSE + b"Content-Length: +26\r\n\r\n" + PLAIN, 400),
    "a length in hexadecimal": (HEAD + JSON + CLOSE + b"Content-Length: 0x1a\r\n\r\n" + PLAIN, 400),
    "an endless length": (HEAD + JSON + CLOSE + b"Content-Length: %s\r\n\r\n" % (b"9" * 400), 400),
    "a length without one": (HEAD + JSON + CLOSE + b"Content-Length:\r\n\r\n", 400),
    "a length of a terabyte": (HEAD + JSON + b"Content-Length: 1099511627776\r\n\r\n{", 413),
    "a space before the colon": (HEAD + b"Content-Length : 26\r\n" + JSON + CLOSE + BODY, 400),
    "a tab before the coding": (
        HEAD + JSON + CLOSE + b"Transfer-Encoding:\tchunked\r\n\r\n1a\r\n" + PLAIN + b"\r\n0\r\n\r\n", 200),
    "another coding": (HEAD + JSON + CLOSE + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    "chunked is not last": (HEAD + JSON + CLOSE + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "chunked twice": (
        HEAD + JSON + CLOSE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    "a folded header": (HEAD + b"X-Y: a\r\n b\r\n" + JSON + CLOSE + BODY, 400),
    "a bare CR": (HEAD + b"X-Y: a\rTransfer-Encoding: chunked\r\n" + JSON + CLOSE + BODY, 400),
    "a chunk of no length": (chunked(end=b"\r\n\r\n"), 400),
    "a chunk of a negative length": (chunked(end=b"-1\r\n\r\n"), 400),
    "a chunk of too many digits": (chunked(end=b"f" * 40 + b"\r\n"), 400),
    "a chunk without its end": (chunked(end=b"1\r\nab\r\n0\r\n\r\n"), 400),
    "extensions of chunks": (chunked(end=b"1a;a=b;" + b"c" * 1000 + b"\r\n" + PLAIN + b"\r\n0\r\n\r\n"), 200),
    "trailers that name the host": (
        chunked(PLAIN, end=b"0\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\r\n"), 200),
    "one byte a chunk": (chunked(*(bytes([byte]) for byte in PLAIN)), 200),
    "a body that is too large, in chunks": (chunked(*[b" " * 60_000] * 18), 413),
    # Targets
    "absolute": (get(b"http://localhost" + ASK), 200),
    # The target's host counts, whatever the Host header says (RFC 9112, 3.2.2).
    "absolute, of another host": (get(b"http://evil.example" + ASK), 400),
    "absolute, of ours to another host": (get(b"http://localhost" + ASK, host=b"evil.example"), 200),
    "absolute, of a pasted host": (get(b"http://localhost.evil.example" + ASK), 400),
    "absolute, with a port": (get(b"http://localhost:8000" + ASK), 200),
    "absolute, in capitals": (get(b"HTTPS://LOCALHOST" + ASK), 200),
    "absolute, with a user": (get(b"http://localhost@evil.example" + ASK), 400),
    "absolute, with our user": (get(b"http://x:y@localhost" + ASK), 400),
    "absolute, of no host": (get(b"http://" + ASK), 400),
    "absolute, of another scheme": (get(b"ftp://localhost" + ASK), 400),
    "absolute, of no path": (get(b"http://localhost"), 307),
    "absolute, of a query": (get(b"http://localhost?query=%7B__typename%7D"), 307),
    "absolute, with two hosts": (get(b"http://localhost" + ASK, b"Host: localhost"), 400),
    "absolute, without a host": (b"GET http://localhost" + ASK + b" HTTP/1.1\r\n" + CLOSE + b"\r\n", 400),
    "absolute, to post": (
        HEAD.replace(b" /graphql", b" http://evil.example/graphql") + JSON + CLOSE + BODY, 400),
    "two slashes": (get(b"//graphql?query=%7B__typename%7D"), 404),
    "two slashes and a host": (get(b"//evil.example/graphql/"), 404),
    "a slash more": (get(b"/graphql/?query=%7B__typename%7D"), 404),
    "percent": (get(b"/%67raphql?query=%7B__typename%7D"), 200),
    "percent that is a slash": (get(b"/graphql%2f?query=%7B__typename%7D"), 404),
    "percent that is NUL": (get(b"/graphql%00"), 404),
    "percent that is no UTF-8": (get(b"/%ff%fe" + VALUE), 404),
    "percent that is none": (get(b"/graphql%zz"), 404),
    "percent that ends a line": (get(b"/%0d%0aSet-Cookie:%20x"), 404),
    "dots": (get(b"/health/../graphql?query=%7B__typename%7D"), 404),
    "dots, encoded": (get(b"/x/%2e%2e/graphql"), 404),
    "a semicolon": (get(b"/graphql;jsessionid=1"), 404),
    "a backslash": (get(b"/\\graphql"), 404),
    "a fragment": (get(ASK + b"#x"), 200),
    "a star": (get(b"*", method=b"OPTIONS"), 404),
    "an authority": (get(b"localhost:80", method=b"CONNECT"), 400),
    "a target of 31 KiB": (get(b"/" + b"x" * 31_000), 404),
    "a target of 40 KiB": (get(b"/" + b"x" * 40_000), 431),
    "no target": (b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /graphql\r\n\r\n", 400),
    # Methods
    "HEAD": (get(ASK, method=b"HEAD"), 200),
    "HEAD of a mutation": (
        get(b"/graphql?query=mutation%7B__typename%7D", method=b"HEAD"), 405),
    "HEAD of a stream": (get(ASK, b"Accept: text/event-stream", method=b"HEAD"), 200),
    "OPTIONS": (get(b"/graphql", method=b"OPTIONS"), 405),
    "TRACE": (get(b"/graphql", b"Cookie: " + VALUE, method=b"TRACE"), 405),
    "PROPFIND": (get(b"/graphql", method=b"PROPFIND"), 405),
    "PUT": (get(b"/graphql", b"Content-Length: 0", method=b"PUT"), 405),
    "DELETE": (get(b"/graphql", method=b"DELETE"), 405),
    "get": (get(b"/graphql", method=b"get"), 400),
    "a method that is overridden": (
        get(b"/graphql?query=mutation%7B__typename%7D", b"X-HTTP-Method-Override: POST"), 405),
    # Headers
    "no host": (b"POST /graphql HTTP/1.1\r\n" + JSON + CLOSE + BODY, 400),
    "no host in HTTP/1.0": (b"POST /graphql HTTP/1.0\r\n" + JSON + BODY, 400),
    "two hosts": (HEAD + b"Host: localhost\r\n" + JSON + CLOSE + BODY, 400),
    "two kinds": (HEAD + JSON + b"Content-Type: text/plain\r\n" + CLOSE + BODY, 415),
    "two kinds, JSON last": (HEAD + b"Content-Type: text/plain\r\n" + JSON + CLOSE + BODY, 415),
    "two tokens": (
        HEAD + b"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n" + JSON + CLOSE + BODY, 401),
    "a token of 30 KB": (
        HEAD + b"Authorization: Bearer " + VALUE * 2300 + b"\r\n" + JSON + CLOSE + BODY, 401),
    "a token that is no ASCII": (
        HEAD + b"Authorization: Bearer \xe9\xff\r\n" + JSON + CLOSE + BODY, 401),
    "a token with a NUL": (HEAD + b"Authorization: Bearer a\0b\r\n" + JSON + CLOSE + BODY, 400),
    "another scheme": (HEAD + b"Authorization: Digest x\r\n" + JSON + CLOSE + BODY, 401),
    "a thousand headers": (
        HEAD + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(1000)) + JSON + CLOSE + BODY, 200),
    "a header without a name": (HEAD + b": x\r\n" + JSON + CLOSE + BODY, 400),
    "an empty kind": (HEAD + b"Content-Type:\r\n" + CLOSE + BODY, 415),
    "a kind with odd spaces": (
        HEAD + b"Content-Type:  application/json ; charset = utf-8\r\n" + CLOSE + BODY, 200),
    "a kind with much more": (
        HEAD + b"Content-Type: application/json" + b";a=b" * 5000 + b"\r\n" + CLOSE + BODY, 415),
    "a form": (HEAD + b"Content-Type: application/x-www-form-urlencoded\r\n" + CLOSE + BODY, 415),
    "many parts": (
        HEAD + b"Content-Type: multipart/form-data; boundary=x\r\n" + CLOSE + BODY, 415),
    "plain text, as forms of other sites send": (
        HEAD + b"Content-Type: text/plain\r\n" + CLOSE + BODY, 415),
    "another expectation": (HEAD + b"Expect: 200-ok\r\n" + JSON + CLOSE + BODY, 200),
    "a range": (HEAD + b"Range: bytes=0-0\r\n" + JSON + CLOSE + BODY, 200),
    "conditions": (HEAD + b'If-Match: "x"\r\nIf-None-Match: *\r\n' + JSON + CLOSE + BODY, 200),
    "what proxies would obey": (
        HEAD + b"X-Original-URL: /x\r\nX-Rewrite-URL: /x\r\nForwarded: for=x;host=evil\r\n"
        b"X-Forwarded-Host: evil\r\nX-Forwarded-Proto: x\r\n" + JSON + CLOSE + BODY, 200),
}  # fmt: skip
CODES = {
    400: {"BAD_REQUEST", "VALIDATION_FAILED", "HOST_NOT_ALLOWED"},
    401: {"UNAUTHENTICATED"},
    403: {"ORIGIN_NOT_ALLOWED"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    406: {"NOT_ACCEPTABLE"},
    413: {"PAYLOAD_TOO_LARGE"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    431: {"HEAD_TOO_LARGE"},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_has_one_answer_that_fits(door: Door, name: str) -> None:
    request, status = REQUESTS[name]
    if b"HTTP/1.1" in request and CLOSE not in request:
        request = request.replace(b"\r\n", b"\r\n" + CLOSE, 1)
    received = door.said(request)
    if request.startswith(b"HEAD"):
        assert received.startswith(b"HTTP/1.1 %d " % status) and received.endswith(b"\r\n\r\n")
        return
    (answer,) = read_answers(received)
    assert answer.status == status, answer
    assert SECRET.encode() not in answer.body
    assert answer.header("cache-control") == "no-store"
    assert answer.header("x-content-type-options") == "nosniff"
    if status == 307:  # the bare address leads to GraphiQL, in development
        assert answer.header("location") == "/graphql"
        return
    if status != 200:
        assert answer.code in CODES[status]
        assert answer.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        (b"localhost", True),
        (b"LOCALHOST:8000", True),
        (b"localhost.", True),
        (b"127.0.0.1:1", True),
        (b"[::1]", True),
        (b"[::1]:443", True),
        (b"app.localhost", True),
        (b"[::1", False),
        (b"::1", False),
        (b"[::1%25eth0]", False),
        (b"localhost:", False),
        (b"localhost:x", False),
        (b"localhost:123456", False),
        (b"localhost..", False),
        (b"localhost@evil.example", False),
        (b"evil.example#localhost", False),
        (b"localhost.evil.example", False),
        (b"localhost,evil.example", False),
        (b"localhost evil.example", False),
        (b"xn--lcalhost-54a.example", False),
        (b"\xe9vil.example", False),
        (b"127.0.0.1.nip.example", False),
        (b"0x7f.1", False),
        (b"", False),
        (b"a" * 30_000, False),
        (b"a" * 30_000 + b"!", False),
    ],
)  # fmt: skip
def test_only_names_that_are_ours_are_answered_to(door: Door, host: bytes, is_own: bool) -> None:
    answer = door.answer(get(ASK, host=host))
    assert answer.status == (200 if is_own else 400)
    assert is_own or answer.code == "HOST_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("origins", "may_speak"),
    [
        ([b"http://localhost"], True),
        ([b"HTTP://LOCALHOST"], True),
        ([b"null"], False),
        ([b""], False),
        ([b"https://evil.example"], False),
        ([b"http://localhost", b"https://evil.example"], False),
        ([b"http://localhost, https://evil.example"], False),
        ([b"http://localhost@evil.example"], False),
        ([b"http://localhost:1"], False),
        ([b"http://localhost/"], False),
        ([b"http://localhost."], False),
        ([b"file://localhost"], False),
        ([b"http://\xe9localhost"], False),
    ],
)
def test_only_pages_that_are_ours_may_speak(
    door: Door, origins: list[bytes], may_speak: bool
) -> None:
    answer = door.answer(get(ASK, *(b"Origin: " + origin for origin in origins)))
    assert answer.status == (200 if may_speak else 403)
    assert may_speak or answer.code == "ORIGIN_NOT_ALLOWED"
    assert answer.header("access-control-allow-origin") is None
    with door.socket(*(b"Origin: " + origin for origin in origins)) as socket:
        assert socket.is_open is may_speak


GRAPHQL = "application/graphql-response+json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json;q=nan", None),
        ("application/json;q=-1", None),
        ("application/json;q=1e-999", None),
        ("application/json;q=inf", None),
        ("application/json;q=1e999", None),
        ("application/json;q=1_0", None),
        ("application/json;q=٣", None),
        ("application/json;q=", None),
        ("application/json;q", None),
        ("application/json;q=" + "9" * 20_000, None),
        ("application/json; Q=0.5 , " + GRAPHQL + ";q=0.6", GRAPHQL),
        ("text/html;q=1, application/json;q=0.001", "application/json"),
        ("x/y," * 6_000 + "application/json", "application/json"),
        ("," * 30_000, None),
        (";" * 30_000, None),
        ('application/json;a="x,y"', "application/json"),
        ("*", None),
        ("application/json\xff", None),
        ("multipart/mixed;deferSpec=20220824", None),
    ],
)
def test_odd_wishes_are_read_or_refused(door: Door, accept: str, expected: str | None) -> None:
    answer = door.post(PLAIN, b"Accept: " + accept.encode())
    if expected is None:
        assert (answer.status, answer.code) == (406, "NOT_ACCEPTABLE")
    else:
        assert (answer.status, answer.header("content-type")) == (200, expected)


def test_wishes_in_several_headers_are_one_list(door: Door) -> None:
    answer = door.post(PLAIN, b"Accept: text/html", b"Accept: " + GRAPHQL.encode())
    assert (answer.status, answer.header("content-type")) == (200, GRAPHQL)


def test_expecting_to_go_on_is_told_to_only_when_the_body_is_wanted(door: Door) -> None:
    expecting = HEAD + JSON + CLOSE + b"Expect: 100-continue\r\n"
    assert [answer.status for answer in door.answers(expecting + BODY)] == [100, 200]
    refused = expecting + b"Content-Length: 99999999\r\n\r\n"
    assert [answer.status for answer in door.answers(refused)] == [413]


def test_what_is_pipelined_is_answered_in_order(door: Door) -> None:
    keep = HEAD + JSON + BODY
    bad = HEAD + JSON + b"Content-Length: 2\r\n\r\n[]"
    found = door.answers(keep + bad + get(b"/x").replace(CLOSE, b"") + keep * 30 + GOOD)
    assert [answer.status for answer in found] == [200, 400, 404, *[200] * 31]
    assert len({answer.header("x-correlation-id") for answer in found}) == 34


def test_a_body_that_is_refused_is_no_request_of_its_own(door: Door) -> None:
    inner = get(ASK)
    head = HEAD + b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(inner)
    found = door.answers(head + inner + GOOD)
    assert [answer.status for answer in found] == [415, 200]


def test_who_leaves_early_leaves_nothing(door: Door) -> None:
    for part in (GOOD[:9], GOOD[:70], GOOD[:-1], GOOD):
        for _ in range(5):
            with door.wire() as wire:
                wire.sendall(part)
    answer = door.answer(GOOD, half_close=True)
    assert answer.status == 200
    assert door.said(GOOD[:-1], half_close=True) == b""  # there is nobody to tell


def test_a_refusal_reaches_who_is_still_sending(door: Door) -> None:
    with door.wire() as wire:
        wire.sendall(HEAD + JSON + CLOSE + b"Content-Length: 9000000\r\n\r\n" + b" " * 100_000)
        (answer,) = read_answers(rest_of(wire))
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
