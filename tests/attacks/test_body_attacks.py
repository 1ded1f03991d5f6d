"""Attacks on the front door by what is in a request: its body, its parameters."""

from __future__ import annotations

import gzip
from time import process_time
from urllib.parse import quote

import orjson
import pytest
from door import PLAIN, SECRET, Door

VALUE = quote(SECRET).encode()
TYPED = b"Accept: application/graphql-response+json"


def get(parameters: bytes, *headers: bytes) -> bytes:
    lines = (
        b"GET /graphql?" + parameters + b" HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
        TYPED,
        *headers,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a gzip bomb": gzip.compress(b" " * 2**24 + PLAIN),
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "a NUL at the end": PLAIN + b"\0",
    "two values": PLAIN + PLAIN,
    "overlong UTF-8": b'{"query":"{ \xc0\xafx }"}',
    "a surrogate in UTF-8": b'{"query":"{ \xed\xa0\x80 }"}',
    "half a surrogate": b'{"query":"{ __typename }","variables":{"a":"\\udc00"}}',
    "deep lists": b"[" * 500_000 + b"]" * 500_000,
    "deep objects": b'{"a":' * 190_000,
    "deep variables": b'{"query":"{ __typename }","variables":' + b'{"a":' * 1200 + b"1" + b"}" * 1201,
    "wide variables": orjson.dumps(
        {"query": "{ __typename }", "variables": {f"{SECRET}{n}": 1 for n in range(40_000)}}
    ),
    "a wide list": b'{"query":"{ __typename }","variables":{"a":[' + b"1," * 500_000 + b"1]}}",
    "many empty lists": b'{"query":"{ __typename }","variables":{"a":[' + b"[]," * 340_000 + b"[]]}}",
    "an integer of a megabyte": b'{"query":"{ __typename }","variables":{"a":' + b"9" * 10**6 + b"}}",
    "an exponent": b'{"query":"{ __typename }","variables":{"a":1e999999999}}',
    "infinity": b'{"query":"{ __typename }","variables":{"a":Infinity}}',
    "a batch": b"[" + PLAIN + b"]",
    "a batch in an object": b'{"0":' + PLAIN + b"}",
    "a query in a list": b'{"query":["{ __typename }"]}',
    "a query in an object": b'{"query":{"__proto__":"{ __typename }"}}',
    "a query of blanks": b'{"query":"\\ufeff\\n\\t , "}',
    "a query of NUL": b'{"query":"{ __typename }\\u0000"}',
    "the last of two queries": b'{"query":"{ __typename }","query":1}',
    "variables as text": b'{"query":"{ __typename }","variables":"{}"}',
    "variables as a list": b'{"query":"{ __typename }","variables":[{}]}',
    "an operation's name as a list": b'{"query":"{ __typename }","operationName":["A"]}',
    "an operation's name as false": b'{"query":"{ __typename }","operationName":false}',
    "extensions as text": b'{"query":"{ __typename }","extensions":"x"}',
    "a hash that is a number": b'{"documentId":1}',
    "a hash of another kind": b'{"extensions":{"persistedQuery":[]}}',
    "a hash that nobody registered": b'{"documentId":"%s"}' % (b"\xc4\xb0" * 64),
    "files": b'{"query":"mutation($f: Upload!) { x(f: $f) }","map":{"0":["variables.f"]}}',
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_said_to_be_none(door: Door, name: str) -> None:
    started_at = process_time()
    answer = door.post(BODIES[name], TYPED)
    assert process_time() - started_at < 0.9  # 0.1 on a machine that does nothing else
    assert answer.status == 400, answer
    assert answer.code in {
        "BAD_REQUEST", "VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "PERSISTED_QUERY_NOT_FOUND",
    }  # fmt: skip
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate, gzip", b"identity, x"])
def test_a_coded_body_is_never_unpacked(door: Door, coding: bytes) -> None:
    answer = door.post(gzip.compress(PLAIN), b"Content-Encoding: " + coding)
    assert (answer.status, answer.code) == (400, "VALIDATION_FAILED")


PARAMETERS: dict[str, tuple[bytes, int]] = {
    "none": (b"", 400),
    "a query twice": (b"query=%7B__typename%7D&query=%7B__typename%7D", 400),
    "variables twice": (b"query=%7B__typename%7D&variables=%7B%7D&variables=%7B%7D", 400),
    "variables that are no JSON": (b"query=%7B__typename%7D&variables=" + VALUE, 400),
    "variables that are a list": (b"query=%7B__typename%7D&variables=[]", 400),
    "variables that are null": (b"query=%7B__typename%7D&variables=null", 200),
    "extensions that are a number": (b"query=%7B__typename%7D&extensions=1", 400),
    "deep variables": (b"query=%7B__typename%7D&variables=" + b"[" * 20_000, 400),
    "thousands of parameters": (b"query=%7B__typename%7D" + b"&a" * 10_000, 400),
    "thousands of empty ones": (b"query=%7B__typename%7D" + b"&" * 10_000, 200),
    "thousands of names": (
        b"query=%7B__typename%7D" + b"".join(b"&a%d=" % n for n in range(4000)), 200),
    "no UTF-8": (b"query=%7B__typename%7D&x=%ff%fe", 200),
    "a query that is no UTF-8": (b"query=%ff", 400),
    "NUL": (b"query=%7B__typename%7D%00", 400),
    "plus for spaces": (b"query=query+A+%7B+__typename+%7D&operationName=A", 200),
    "another name": (b"query=query+A+%7B+__typename+%7D&operationName=" + VALUE, 400),
    "an empty name": (b"query=%7B__typename%7D&operationName=", 200),
    "a mutation": (b"query=mutation%7B__typename%7D", 405),
    "a mutation that is named": (
        b"query=query+A%7B__typename%7Dmutation+B%7B__typename%7D&operationName=B", 405),
    "a subscription": (b"query=subscription%7BinboxEvents%7B__typename%7D%7D", 400),
    "semicolons": (b"query=%7B__typename%7D;variables=x", 400),
    "a long query": (b"query=%7B__typename%7D" + b"%20" * 10_000, 200),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_read_as_strictly_as_a_body(door: Door, name: str) -> None:
    parameters, status = PARAMETERS[name]
    answer = door.answer(get(parameters))
    assert answer.status == status, answer
    assert status == 200 or answer.code in {
        "BAD_REQUEST", "VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "METHOD_NOT_ALLOWED",
    }  # fmt: skip
    assert SECRET.encode() not in answer.body
    with_body = get(parameters, b"Content-Length: 3") + b"abc"
    assert door.answer(with_body).status == status  # what a GET carries is not looked at
